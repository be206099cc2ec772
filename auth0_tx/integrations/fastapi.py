"""Auth0 in FastAPI: dependencies that the OpenAPI document shows as security schemes.

@app.get("/orders")
async def orders(token: Annotated[TokenExchangeResponse, Depends(OnBehalfOf(API))]):
...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated

from ..errors import Auth0Error, ConfigurationError
from ..values import (
    CustomTokenExchangeOptions,
    SessionPolicy,
    TokenExchangeResponse,
    UserClaims,
)
from .async_request_client import AsyncRequestAuth0
from .error_answers import answer_for
from .request_base import get_bearer_token

try:
    from fastapi import Depends, HTTPException, Request
    from fastapi.openapi.models import APIKey, APIKeyIn
    from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
    from fastapi.openapi.models import SecurityBase as SecurityBaseModel
    from fastapi.security.base import SecurityBase
except ImportError:
    raise ConfigurationError(
        "fastapi is not installed: pip install 'auth0-tx[fastapi]'",
        parameter="fastapi",
    ) from None

from .starlette import (
    SessionCommitMiddleware,
    auth0_lifespan,
    auth0_of,
    backchannel_logout,
    handle_errors,
)

__all__ = [
    "Auth0",
    "CurrentUser",
    "ExchangedToken",
    "OnBehalfOf",
    "RequiredUser",
    "SessionCommitMiddleware",
    "auth0_lifespan",
    "auth0_of",
    "backchannel_logout",
    "handle_errors",
]


Auth0 = Annotated[AsyncRequestAuth0, Depends(auth0_of)]
"""The client, bound to the request of the endpoint that declares this dependency."""


async def _get_user(auth0: Auth0) -> UserClaims | None:
    return await auth0.get_user()


CurrentUser = Annotated[UserClaims | None, Depends(_get_user)]
"""The claims of the logged-in user, or ``None``."""


class RequiredUser(SecurityBase):
    """Return the claims of the logged-in user; answer 401 if nobody is logged in.

    Args:
        policy: the client's ``session_policy``; the document shows the cookie's name from it.
    """

    # FastAPI reads both from any dependency that is a SecurityBase, for its document.
    model: SecurityBaseModel
    scheme_name: str

    def __init__(self, policy: SessionPolicy = SessionPolicy()) -> None:
        self.model = APIKey(
            # ``in`` is a keyword of Python, and pydantic has no other name for the field.
            **{"in": APIKeyIn.cookie},  # type: ignore[arg-type]
            name=policy.cookie_name,
            description="The login session's cookie.",
        )
        self.scheme_name = "Auth0Session"

    async def __call__(self, request: Request) -> UserClaims:
        """Return the claims of the request's user."""
        user = await auth0_of(request).get_user()
        if user is None:
            raise HTTPException(401, "login_required")
        return user


class _BearerExchange(SecurityBase, ABC):
    """An exchange of the request's bearer token.

    FastAPI shows the name of the class as the security scheme's.
    """

    model: SecurityBaseModel
    scheme_name: str

    def __init__(self, description: str) -> None:
        self.model = HTTPBearerModel(description=description)
        self.scheme_name = type(self).__name__

    async def __call__(self, request: Request) -> TokenExchangeResponse:
        """Return the tokens that the request's bearer token was exchanged for."""
        try:
            return await self._exchange(request)
        except Auth0Error as error:
            answer = answer_for(error)
        # Outside the handler: what Auth0 said is in the log, and not in this error's context.
        raise HTTPException(answer.status, answer.error, answer.headers)

    @abstractmethod
    async def _exchange(self, request: Request) -> TokenExchangeResponse: ...


class OnBehalfOf(_BearerExchange):
    """Exchange the access token of the request for one for another API.

    A request without one is answered with 401, and a refusal with a status that says who can
    do something about it.

    Args:
        audience: the identifier of the API to call.
        scope: space-separated scopes; those of the client grant if it is ``None``.
    """

    def __init__(self, audience: str, scope: str | None = None) -> None:
        super().__init__("An access token for this API.")
        self._audience, self._scope = audience, scope

    async def _exchange(self, request: Request) -> TokenExchangeResponse:
        auth0 = auth0_of(request)
        return await auth0.get_token_on_behalf_of(self._audience, self._scope)


class ExchangedToken(_BearerExchange):
    """Exchange the external token of the request for an Auth0 token.

    Args:
        subject_token_type: the URI that your Token Exchange Profile is mapped to.
        audience: the identifier of the API to call.
        scope: space-separated scopes.
    """

    def __init__(
        self, subject_token_type: str, audience: str, scope: str | None = None
    ) -> None:
        super().__init__("A token of the external system.")
        self._options = {
            "subject_token_type": subject_token_type,
            "audience": audience,
            "scope": scope,
        }

    async def _exchange(self, request: Request) -> TokenExchangeResponse:
        token = get_bearer_token(request.headers.get("authorization"))
        options = CustomTokenExchangeOptions(
            subject_token=token,
            **self._options,  # type: ignore[arg-type]
        )
        auth0 = auth0_of(request)
        return await auth0.client.custom_token_exchange(options, auth0.store_options)
