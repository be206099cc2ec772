"""Auth0 in Starlette and FastAPI: a lifespan for the client, and the client for each request.

``SessionCommitMiddleware`` sets session cookies on any response.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from ..aio import AsyncServerClient
from ..errors import Auth0Error, BackchannelLogoutError, ConfigurationError
from .asgi import SessionCommitMiddleware
from .async_request_client import AsyncRequestAuth0
from .error_answers import answer_for

try:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
except ImportError:
    raise ConfigurationError(
        "starlette is not installed: pip install 'auth0-tx[starlette]'",
        parameter="starlette",
    ) from None

__all__ = [
    "SessionCommitMiddleware",
    "auth0_lifespan",
    "auth0_of",
    "backchannel_logout",
    "handle_errors",
]

# Keys of the lifespan's state, which each request has, and of a request's scope.
_STATE = "auth0_tx"
_BOUND = "auth0_tx.bound"

Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]


def auth0_lifespan(
    client: AsyncServerClient, lifespan: Lifespan | None = None
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Return a lifespan that gives requests the client, and closes it at the end.

    Args:
        client: the application's client.
        lifespan: the application's own lifespan, whose state requests have too.
    """

    @asynccontextmanager
    async def with_client(app: Any) -> AsyncIterator[Mapping[str, Any]]:
        async with client:
            if lifespan is None:
                yield {_STATE: client}
                return
            async with lifespan(app) as state:
                yield {**(state or {}), _STATE: client}

    return with_client


def auth0_of(request: Request) -> AsyncRequestAuth0:
    """Return the client, bound to *request*; nothing is read until a method asks for it.

    Raises:
        ConfigurationError: the application does not run with :func:`auth0_lifespan`.
    """
    bound: AsyncRequestAuth0 | None = request.scope.get(_BOUND)
    if bound is None:
        client = getattr(request.state, _STATE, None)
        if client is None:
            raise ConfigurationError(
                "the application must run with lifespan=auth0_lifespan(client)",
                parameter="lifespan",
            )
        authorization = request.headers.get("authorization")
        bound = AsyncRequestAuth0(client, {"request": request}, authorization)
        # In the scope: each layer of Starlette makes its own Request of the same scope.
        request.scope[_BOUND] = bound
    return bound


async def backchannel_logout(request: Request) -> Response:
    """End the sessions that a logout token names: the endpoint of your Back-Channel Logout URI.

    It needs *python-multipart*, as every form in Starlette does.
    """
    # OpenID Connect Back-Channel Logout 1.0 section 2.8: 200, or 400 if the token does not
    # hold, and no cache may keep either.
    async with request.form() as form:
        token = form.get("logout_token")
    auth0 = auth0_of(request)
    status = 200
    try:
        await auth0.client.handle_backchannel_logout(
            token if isinstance(token, str) else "", auth0.store_options
        )
    except BackchannelLogoutError as error:
        status = answer_for(error).status
    return Response(status_code=status, headers={"Cache-Control": "no-store"})


def handle_errors(app: Starlette) -> None:
    """Answer errors of this library that an endpoint does not catch, as an API would.

    The status says who can do something about it; the body gives no detail.
    """
    app.add_exception_handler(Auth0Error, _answer_error)


def _answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, Auth0Error)
    answer = answer_for(error)
    return JSONResponse(answer.body, answer.status, answer.headers)
