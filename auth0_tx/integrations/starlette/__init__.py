"""Auth0 in Starlette and FastAPI: a lifespan for the clients, and a client for each request.

``SessionCommitMiddleware`` sets session cookies on any response.  Everything here takes a
``Request`` and a ``WebSocket`` alike: Starlette calls both an ``HTTPConnection``.
"""

from __future__ import annotations

try:
    import starlette as _starlette
except ImportError:
    from ...errors import ConfigurationError

    raise ConfigurationError(
        "starlette is not installed: pip install 'auth0-tx[starlette]'",
        parameter="starlette",
    ) from None

from ..asgi import SessionCommitMiddleware
from .clients import auth0_lifespan, auth0_of
from .guards import login_required, refuse_cross_origin, require_user
from .refusals import Auth0HTTPException, handle_errors
from .routes import auth0_routes, backchannel_logout

del _starlette

__all__ = [
    "Auth0HTTPException",
    "SessionCommitMiddleware",
    "auth0_lifespan",
    "auth0_of",
    "auth0_routes",
    "backchannel_logout",
    "handle_errors",
    "login_required",
    "refuse_cross_origin",
    "require_user",
]
