"""An application's lifespan, and its routes for login and logout, as FastAPI has them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI

from ..client_sources import ClientSource
from ..posted_logins import OptionsMaker
from ..starlette import auth0_routes
from ..starlette import clients as starlette_clients
from ..starlette.clients import Lifespan
from .document import name_cookies


def auth0_lifespan(
    client: ClientSource,
    lifespan: Lifespan | None = None,
    *,
    clients: Mapping[str, ClientSource] | None = None,
    trusted_origins: Collection[str] = (),
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Return a lifespan that gives requests their clients, and closes connections at the end.

    That of Starlette; an application of FastAPI shows the names of the clients' cookies in its
    OpenAPI document.

    Args:
        client: the application's client, or a function that makes it, which may be ``async``.
        lifespan: the application's own lifespan, whose state requests have too.
        clients: further clients by name, for applications at Auth0 besides the default.  Each
            needs a ``SessionPolicy(cookie_name=...)`` of its own if it keeps sessions.
        trusted_origins: other origins whose pages may open WebSockets as the user.

    Raises:
        ConfigurationError: a client is not an ``AsyncServerClient``, a name is not fit for
            one, or two clients keep sessions in one cookie.
    """
    with_clients = starlette_clients.auth0_lifespan(
        client, lifespan, clients=clients, trusted_origins=trusted_origins
    )

    @asynccontextmanager
    async def with_document(app: Any) -> AsyncIterator[Mapping[str, Any]]:
        async with with_clients(app) as state:
            if isinstance(app, FastAPI):
                name_cookies(app, starlette_clients.list_cookies(state))
            yield state

    return with_document


def auth0_router(
    make_options: OptionsMaker | None = None,
    *,
    login: str = "/login",
    logout: str = "/logout",
    backchannel_logout: str = "/backchannel-logout",
    next_url: str = "/",
    return_to: str | None = None,
    trusted_origins: Collection[str] = (),
    client: str | None = None,
) -> APIRouter:
    """Return a router with the routes of ``auth0_tx.integrations.starlette.auth0_routes``.

    ``app.include_router(auth0_router(...), prefix="/auth")``.  The document does not show them.

    Args:
        make_options: makes the options of a login from the token that was posted; ``None`` for
            no login.
        login: the path of the login.
        logout: the path of the logout.
        backchannel_logout: the path of your Back-Channel Logout URI.
        next_url: the page after a login that names none.
        return_to: where Auth0 sends the browser after a logout; one of the application's
            Allowed Logout URLs.
        trusted_origins: other origins whose pages may log in and out.
        client: the name of one of the lifespan's *clients*; ``None`` for the default client.
    """
    routes = auth0_routes(
        make_options,
        login=login,
        logout=logout,
        backchannel_logout=backchannel_logout,
        next_url=next_url,
        return_to=return_to,
        trusted_origins=trusted_origins,
        client=client,
    )
    return APIRouter(routes=[*routes])
