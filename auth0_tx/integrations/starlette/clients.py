"""The lifespan that keeps an application's clients open, and the client of each request."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from typing import Any, TypeAlias

from starlette.requests import HTTPConnection

from ...aio import AsyncServerClient
from ...errors import ConfigurationError
from ...frameworks.cookies import get_state
from ...shells.aiohttp_shell import hold_open
from ..async_request_client import AsyncRequestAuth0
from ..cross_origin import refuse_other_origin
from ..error_answers import ErrorAnswer
from ..settings import DEFAULT, check_client_name, check_session_cookies

# Keys of the lifespan's state, which each request has, and of a request's scope.
_STATE = "auth0_tx"
_NAMED = "auth0_tx_clients"
_ORIGINS = "auth0_tx_trusted_origins"
_BOUND = "auth0_tx.bound"

Lifespan: TypeAlias = Callable[
    [Any], AbstractAsyncContextManager[Mapping[str, Any] | None]
]
ClientSource: TypeAlias = AsyncServerClient | Callable[[], AsyncServerClient]
"""A client, or a function that makes one."""


def auth0_lifespan(
    client: ClientSource,
    lifespan: Lifespan | None = None,
    *,
    clients: Mapping[str, ClientSource] | None = None,
    trusted_origins: Collection[str] = (),
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Return a lifespan that gives requests their clients, and closes connections at the end.

    It may run again, as for each ``with TestClient(app)`` and each invocation on AWS Lambda.
    A client opens new connections then; a function makes a new client.

    Args:
        client: the application's client, or a function that makes it.
        lifespan: the application's own lifespan, whose state requests have too.
        clients: further clients by name, for applications at Auth0 besides the default.  Each
            needs a ``SessionPolicy(cookie_name=...)`` of its own if it keeps sessions.
        trusted_origins: other origins whose pages may open WebSockets as the user, such as
            ``https://app.example.com``.

    Raises:
        ConfigurationError: a client is not an ``AsyncServerClient``, a name is not fit for
            one, or two clients keep sessions in one cookie.
    """
    sources: dict[str, ClientSource] = {DEFAULT: client}
    for name, source in (clients or {}).items():
        check_client_name(name)
        sources[name] = source
    for source in sources.values():
        _check_source(source)
    _check_cookies(
        {
            name: source
            for name, source in sources.items()
            if isinstance(source, AsyncServerClient)
        }
    )

    @asynccontextmanager
    async def with_clients(app: Any) -> AsyncIterator[Mapping[str, Any]]:
        async with AsyncExitStack() as stack:
            opened: dict[str, AsyncServerClient] = {}
            for name, source in sources.items():
                opened[name] = _make_client(source)
                await stack.enter_async_context(hold_open(opened[name]))
            state: Mapping[str, Any] | None = None
            if lifespan is not None:
                state = await stack.enter_async_context(lifespan(app))
            state = state or {}
            opened = _merge_clients(state.get(_NAMED, {}), opened)
            _check_cookies(opened)
            yield {
                **state,
                _STATE: opened[DEFAULT],
                _NAMED: opened,
                _ORIGINS: trusted_origins,
            }

    return with_clients


def auth0_of(request: HTTPConnection, name: str | None = None) -> AsyncRequestAuth0:
    """Return a client, bound to *request*; nothing is read until a method asks for it.

    Args:
        request: the request or the WebSocket.
        name: the name of one of the lifespan's *clients*; ``None`` for the default client.

    Raises:
        ConfigurationError: the application does not run with :func:`auth0_lifespan`, or it
            has no client of that name.
    """
    client = _find_client(request, name or DEFAULT)
    get_state(request).is_bound = True
    # In the scope: each layer of Starlette makes its own Request of the same scope.
    bound: dict[str, AsyncRequestAuth0] = request.scope.setdefault(_BOUND, {})
    found = bound.get(name or DEFAULT)
    # A mounted application may have clients of its own.
    if found is None or found.client is not client:
        authorization = request.headers.get("authorization")
        found = AsyncRequestAuth0(client, {"request": request}, authorization)
        bound[name or DEFAULT] = found
    return found


# FastAPI takes a dependency's parameters for those of the query: in ``Depends(auth0_of)``, a
# visitor would choose the client.
vars(auth0_of)["__signature__"] = inspect.Signature(
    [
        inspect.Parameter(
            "request",
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            annotation=HTTPConnection,
        )
    ],
    return_annotation=AsyncRequestAuth0,
)


def refuse_websocket(request: HTTPConnection) -> ErrorAnswer | None:
    """Return the answer to a WebSocket that a page of an origin opens which is not trusted.

    A browser lets it, and sends cookies with the handshake: always from another host of the
    same site, and with ``SameSite=None`` from any.  The page could read the answers, too, as
    nothing like CORS protects them.

    Returns:
        The answer, or ``None`` for any other WebSocket or request.
    """
    if request.scope["type"] != "websocket":
        return None
    return refuse_other_origin(
        host=request.headers.get("host"),
        origin=request.headers.get("origin"),
        fetch_site=request.headers.get("sec-fetch-site"),
        trusted_origins=getattr(request.state, _ORIGINS, ()),
    )


def list_cookies(state: Mapping[str, Any]) -> dict[str | None, str]:
    """Return the session cookie of each client, by the name that ``auth0_of`` takes."""
    clients: Mapping[str, AsyncServerClient] = state[_NAMED]
    return {
        None if name == DEFAULT else name: client.session_cookie
        for name, client in clients.items()
        if client.session_cookie is not None
    }


def _check_source(source: object) -> None:
    if not isinstance(source, AsyncServerClient) and not callable(source):
        raise ConfigurationError(
            "auth0_lifespan needs an AsyncServerClient, or a function that makes one",
            parameter="client",
        )


def _make_client(source: ClientSource) -> AsyncServerClient:
    if isinstance(source, AsyncServerClient):
        return source
    client = source()
    if not isinstance(client, AsyncServerClient):
        raise ConfigurationError(
            "the function given to auth0_lifespan must return an AsyncServerClient",
            parameter="client",
        )
    return client


def _merge_clients(
    inner: Mapping[str, AsyncServerClient], outer: Mapping[str, AsyncServerClient]
) -> dict[str, AsyncServerClient]:
    """Return the clients of two lifespans, one around the other."""
    for name, client in outer.items():
        if inner.get(name, client) is not client:
            raise ConfigurationError(
                f"two lifespans have different clients as {name!r}: pass one of them in "
                "clients={...}",
                parameter="clients",
            )
    return {**inner, **outer}


def _check_cookies(clients: Mapping[str, AsyncServerClient]) -> None:
    cookies = {name: client.session_cookie for name, client in clients.items()}
    check_session_cookies(cookies)


def _find_client(request: HTTPConnection, name: str) -> AsyncServerClient:
    clients: Mapping[str, AsyncServerClient] | None = getattr(
        request.state, _NAMED, None
    )
    if clients is None:
        raise ConfigurationError(
            "the application must run with lifespan=auth0_lifespan(client); a test client "
            "runs it within `with TestClient(app)`",
            parameter="lifespan",
        )
    if name not in clients:
        raise ConfigurationError(
            f"auth0_lifespan has no client {name!r}; it has {', '.join(clients)}",
            parameter="clients",
        )
    return clients[name]
