"""Auth0 in FastAPI: dependencies, which its OpenAPI document shows as what they are.

@app.get("/orders")
async def orders(token: Annotated[TokenExchangeResponse, Depends(OnBehalfOf(API))]): ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any

from ..errors import Auth0Error, ConfigurationError
from ..values import (
    CustomTokenExchangeOptions,
    SessionPolicy,
    TokenExchangeResponse,
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


def _bound(request: Request) -> AsyncRequestAuth0:
    return auth0_of(request)


Auth0 = Annotated[AsyncRequestAuth0, Depends(_bound)]
"""The client, bound to the request of the endpoint that declares it."""


async def _user(auth0: Auth0) -> dict[str, Any] | None:
    return await auth0.get_user()


CurrentUser = Annotated[dict[str, Any] | None, Depends(_user)]
"""The claims of the user who is logged in, or ``None``."""


class RequiredUser(SecurityBase):
    """Give the claims of the user who is logged in; answer 401 where nobody is.

    Args:
        policy: the client's ``session_policy``, for the name of the cookie that the
            document shows.
    """

    model: SecurityBaseModel
    scheme_name: str

    def __init__(self, policy: SessionPolicy = SessionPolicy()) -> None:
        self.model = APIKey(
            **{"in": APIKeyIn.cookie},  # type: ignore[arg-type]
            name=policy.cookie_name,
            description="The login session's cookie.",
        )
        self.scheme_name = "Auth0Session"

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Give the claims of the request's user."""
        user = await auth0_of(request).get_user()
        if user is None:
            raise HTTPException(401, "login_required")
        return user


class _BearerExchange(SecurityBase, ABC):
    """What both exchanges of a request's bearer token have in common."""

    model: SecurityBaseModel
    scheme_name: str

    def __init__(self, description: str) -> None:
        self.model = HTTPBearerModel(description=description)
        self.scheme_name = type(self).__name__

    async def __call__(self, request: Request) -> TokenExchangeResponse:
        """Give what the bearer token of the request was exchanged for."""
        try:
            return await self._exchanged(request)
        except Auth0Error as error:
            answer = answer_for(error)
        raise HTTPException(answer.status, answer.error, answer.headers or None)

    @abstractmethod
    async def _exchanged(self, request: Request) -> TokenExchangeResponse: ...


class OnBehalfOf(_BearerExchange):
    """Exchange the access token that came with a request for one of another API.

    A request without one is answered by 401, and a refusal by a status that says whose
    affair it is.

    Args:
        audience: the identifier of the API to call.
        scope: space-separated scopes; those of the client grant where it is ``None``.
    """

    def __init__(self, audience: str, scope: str | None = None) -> None:
        super().__init__("An access token of this API's.")
        self._audience, self._scope = audience, scope

    async def _exchanged(self, request: Request) -> TokenExchangeResponse:
        auth0 = auth0_of(request)
        return await auth0.get_token_on_behalf_of(self._audience, self._scope)


class ExchangedToken(_BearerExchange):
    """Exchange the external token that came with a request for one of Auth0's.

    Args:
        subject_token_type: the URI that your Token Exchange Profile is mapped to.
        audience: the identifier of the API to call.
        scope: space-separated scopes.
    """

    def __init__(
        self, subject_token_type: str, audience: str, scope: str | None = None
    ) -> None:
        super().__init__("A token of the external system's.")
        self._options = {
            "subject_token_type": subject_token_type,
            "audience": audience,
            "scope": scope,
        }

    async def _exchanged(self, request: Request) -> TokenExchangeResponse:
        token = get_bearer_token(request.headers.get("authorization"))
        options = CustomTokenExchangeOptions(
            subject_token=token,
            **self._options,  # type: ignore[arg-type]
        )
        auth0 = auth0_of(request)
        return await auth0.client.custom_token_exchange(options, auth0.store_options)
