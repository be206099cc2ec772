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
from ..async_request_client import AsyncRequestAuth0
from ..client_sources import (
    ClientSource,
    check_cookies,
    collect_sources,
    open_clients,
)
from ..settings import DEFAULT, make_unknown_client_error

# Keys of the lifespan's state, which each request has, and of a request's scope.
_STATE = "auth0_tx"
_NAMED = "auth0_tx_clients"
_ORIGINS = "auth0_tx_trusted_origins"
_BOUND = "auth0_tx.bound"

Lifespan: TypeAlias = Callable[
    [Any], AbstractAsyncContextManager[Mapping[str, Any] | None]
]


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
        client: the application's client, or a function that makes it, which may be ``async``.
        lifespan: the application's own lifespan, whose state requests have too.
        clients: further clients by name, for applications at Auth0 besides the default.  Each
            needs a ``SessionPolicy(cookie_name=...)`` of its own if it keeps sessions.
        trusted_origins: other origins whose pages may open WebSockets as the user, such as
            ``https://app.example.com``.

    Raises:
        ConfigurationError: a client is not an ``AsyncServerClient``, a name is not fit for
            one, or two clients keep sessions in one cookie.
    """
    sources = collect_sources("auth0_lifespan", client, clients)

    @asynccontextmanager
    async def with_clients(app: Any) -> AsyncIterator[Mapping[str, Any]]:
        async with AsyncExitStack() as stack:
            opened = await stack.enter_async_context(
                open_clients("auth0_lifespan", sources)
            )
            state: Mapping[str, Any] | None = None
            if lifespan is not None:
                state = await stack.enter_async_context(lifespan(app))
            state = state or {}
            opened = _merge_clients(state.get(_NAMED, {}), opened)
            check_cookies(opened)
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


def get_trusted_origins(request: HTTPConnection) -> Collection[str]:
    """Return the other origins whose pages may open WebSockets as the user."""
    origins: Collection[str] = getattr(request.state, _ORIGINS, ())
    return origins


def list_cookies(state: Mapping[str, Any]) -> dict[str | None, str]:
    """Return the session cookie of each client, by the name that ``auth0_of`` takes."""
    clients: Mapping[str, AsyncServerClient] = state[_NAMED]
    return {
        None if name == DEFAULT else name: client.session_cookie
        for name, client in clients.items()
        if client.session_cookie is not None
    }


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
        raise make_unknown_client_error("auth0_lifespan", name, clients)
    return clients[name]
