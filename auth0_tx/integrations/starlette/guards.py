"""Endpoints for logged-in users: ``require_user`` and the decorator ``login_required``."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import wraps
from typing import Any, ParamSpec, overload

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from ...errors import ConfigurationError
from ...session_values import UserClaims
from ..async_request_client import AsyncRequestAuth0
from ..cross_origin import refuse_other_origin
from ..request_base import check_login, check_scopes
from .clients import auth0_of, get_trusted_origins
from .refusals import finish_or_refuse, make_refusal

P = ParamSpec("P")


def refuse_cross_origin(
    request: HTTPConnection, trusted_origins: Collection[str] = ()
) -> None:
    """Raise an error if a page of another site made the browser send *request* (CSRF).

    Call it first in an endpoint of your own that logs a user in or out: ``SameSite`` protects
    neither, because a login needs no cookie and the answer to a logout deletes cookies.

    Args:
        request: a request that changes something, such as a POST.
        trusted_origins: other origins whose pages may send it, such as
            ``https://login.example.com``.

    Raises:
        Auth0HTTPException: a page of another origin sent it (403).
        starlette.exceptions.WebSocketException: the same, for a WebSocket.
    """
    answer = refuse_other_origin(
        host=request.headers.get("host"),
        origin=request.headers.get("origin"),
        fetch_site=request.headers.get("sec-fetch-site"),
        trusted_origins=trusted_origins,
    )
    if answer is not None:
        raise make_refusal(request, answer)


def open_session(request: HTTPConnection, client: str | None) -> AsyncRequestAuth0:
    """Return a client for whoever the request's session belongs to.

    Raises:
        starlette.exceptions.WebSocketException: a page of another origin opens a WebSocket.
        ConfigurationError: as for :func:`auth0_of`.
    """
    auth0 = auth0_of(request, client)
    if request.scope["type"] == "websocket":
        # A browser lets any page, and sends cookies with the handshake: always from another
        # host of the same site, and with ``SameSite=None`` from any.  The page could read the
        # answers, too, as nothing like CORS protects them.
        refuse_cross_origin(request, get_trusted_origins(request))
    return auth0


async def require_user(
    request: HTTPConnection,
    *,
    scopes: str | Collection[str] = (),
    audience: str | None = None,
    client: str | None = None,
) -> UserClaims:
    """Return the claims of the logged-in user.

    Args:
        request: the request or the WebSocket.
        scopes: the scopes that the user's access token must have been granted, space-separated
            or a collection.  A token that is due is renewed first.
        audience: the API of that token; ``None`` for the login's.
        client: the name of one of the lifespan's *clients*; ``None`` for the default client.

    Raises:
        Auth0HTTPException: nobody is logged in (401), a scope was not granted (403), or the
            answer of another error of this library.
        starlette.exceptions.WebSocketException: the same, for a WebSocket.
        ConfigurationError: a setting is wrong.
    """
    auth0 = open_session(request, client)

    async def check() -> UserClaims:
        user = check_login(await auth0.get_user())
        if scopes:
            check_scopes(await auth0.get_token_set(audience), scopes)
        return user

    return await finish_or_refuse(request, check())


@overload
def login_required(endpoint: Callable[P, Any], /) -> Callable[P, Awaitable[Any]]: ...


@overload
def login_required(
    *,
    scopes: str | Collection[str] = (),
    audience: str | None = None,
    client: str | None = None,
) -> Callable[[Callable[P, Any]], Callable[P, Awaitable[Any]]]: ...


def login_required(
    endpoint: Callable[P, Any] | None = None,
    /,
    *,
    scopes: str | Collection[str] = (),
    audience: str | None = None,
    client: str | None = None,
) -> Any:
    """Let only logged-in users reach an endpoint.

    A decorator, with or without arguments, for functions and methods that take the request or
    the WebSocket.  Others are answered as :func:`require_user` raises; with a login page in
    :func:`handle_errors`, a browser is sent there.

    Args:
        endpoint: the endpoint, ``async def`` or ``def``.
        scopes: the scopes that the user's access token must have been granted, space-separated
            or a collection.
        audience: the API of that token; ``None`` for the login's.
        client: the name of one of the lifespan's *clients*; ``None`` for the default client.
    """

    def decorate(endpoint: Callable[P, Any]) -> Callable[P, Awaitable[Any]]:
        @wraps(endpoint)
        async def answer(*args: P.args, **kwargs: P.kwargs) -> Any:
            request = _find_request((*args, *kwargs.values()))
            await require_user(request, scopes=scopes, audience=audience, client=client)
            if inspect.iscoroutinefunction(endpoint):
                return await endpoint(*args, **kwargs)
            return await run_in_threadpool(endpoint, *args, **kwargs)

        # FastAPI may look up annotations that are text in the module of this function.
        with suppress(NameError):
            signature = inspect.signature(endpoint, eval_str=True)
            vars(answer)["__signature__"] = signature
        return answer

    return decorate if endpoint is None else decorate(endpoint)


def _find_request(arguments: Collection[object]) -> HTTPConnection:
    for argument in arguments:
        if isinstance(argument, HTTPConnection):
            return argument
    raise ConfigurationError(
        "an endpoint with login_required must take the request or the WebSocket",
        parameter="endpoint",
    )
