"""Auth0 in FastAPI: dependencies that the OpenAPI document shows as security schemes.

@app.get("/orders")
async def orders(token: Annotated[str, Depends(AccessToken(API))]): ...
"""

from __future__ import annotations

try:
    import fastapi as _fastapi
except ImportError:
    from ...errors import ConfigurationError

    raise ConfigurationError(
        "fastapi is not installed: pip install 'auth0-tx[fastapi]'",
        parameter="fastapi",
    ) from None

from ..starlette import (
    Auth0HTTPException,
    SessionCommitMiddleware,
    auth0_of,
    backchannel_logout,
    handle_errors,
    login_required,
    refuse_cross_origin,
    require_user,
)
from .application import auth0_lifespan, auth0_router
from .dependencies import (
    AccessToken,
    Auth0,
    BoundClient,
    CurrentUser,
    ExchangedToken,
    OnBehalfOf,
    OptionalUser,
    RequiredUser,
)
from .document import RESPONSES, ErrorBody

del _fastapi

__all__ = [
    "RESPONSES",
    "AccessToken",
    "Auth0",
    "Auth0HTTPException",
    "BoundClient",
    "CurrentUser",
    "ErrorBody",
    "ExchangedToken",
    "OnBehalfOf",
    "OptionalUser",
    "RequiredUser",
    "SessionCommitMiddleware",
    "auth0_lifespan",
    "auth0_of",
    "auth0_router",
    "backchannel_logout",
    "handle_errors",
    "login_required",
    "refuse_cross_origin",
    "require_user",
]
