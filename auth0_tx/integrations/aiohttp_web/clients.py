"""An application's clients, and the client of each request.

How a session's cookies get to the browser: ``auth0_of`` notes that they wait for the response,
and the signal that aiohttp sends when a response is prepared sets them.  A redirect that was
raised, a stream, the handshake of a WebSocket and the answer to an unhandled error all have
them.  After that no cookie can be set: a session in cookies can only be read then.

An application may be set up and cleaned up several times, as test clients do.  Its clients'
connections end with each run, and the next run opens others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping

import attrs
from aiohttp import web

from ...aio import AsyncServerClient
from ...core.session.cookies import format_set_cookie, parse_cookie_name
from ...errors import ConfigurationError
from ...frameworks.cookies import expect_commit, get_state
from ..async_request_client import AsyncRequestAuth0
from ..client_sources import ClientSource, collect_sources, open_clients
from ..settings import DEFAULT, check_session_cookies, make_unknown_client_error

CLIENT: web.AppKey[AsyncServerClient] = web.AppKey("auth0_tx", AsyncServerClient)
"""The client that ``setup`` was given: ``app[CLIENT]``."""


@attrs.define(eq=False)
class ApplicationClients:
    """The clients of one application.

    Attributes:
        sources: the clients, or functions that make them, by name.
        login_url: the application's login page.
        trusted_origins: other origins whose pages may open WebSockets.
        open: the clients while the application runs, by name.
    """

    sources: dict[str, ClientSource]
    login_url: str | None
    trusted_origins: Collection[str]
    open: dict[str, AsyncServerClient] = attrs.field(factory=dict)

    def find(self, name: str) -> AsyncServerClient | None:
        """Return the client *name*, or ``None`` if there is none."""
        source = self.sources.get(name)
        return source if isinstance(source, AsyncServerClient) else self.open.get(name)


_CLIENTS: web.AppKey[ApplicationClients] = web.AppKey(
    "auth0_tx.clients", ApplicationClients
)
_BOUND: web.RequestKey[dict[str, AsyncRequestAuth0]] = web.RequestKey(
    "auth0_tx.bound", dict
)


def setup(
    app: web.Application,
    client: ClientSource,
    *,
    clients: Mapping[str, ClientSource] | None = None,
    login_url: str | None = None,
    trusted_origins: Collection[str] = (),
) -> None:
    """Add clients to an application and its sub-applications; cleanup closes their connections.

    A sub-application may have clients of its own, which then come first.

    Args:
        app: the application, before it runs.
        client: its client, or a function that makes it, which may be ``async``.
        clients: further clients by name, for applications at Auth0 besides the default.  Each
            needs a ``SessionPolicy(cookie_name=...)`` of its own if it keeps sessions.
        login_url: the login page, to which :func:`login_required` and :func:`handle_errors`
            send browsers that open a page; ``None`` for JSON in any case.
        trusted_origins: other origins whose pages may open WebSockets as the user, such as
            ``https://app.example.com``.

    Raises:
        ConfigurationError: a client is not an ``AsyncServerClient``, a name is not fit for
            one, or two clients keep sessions in one cookie.
    """
    app[_CLIENTS] = ApplicationClients(
        collect_sources("setup()", client, clients), login_url, trusted_origins
    )
    if isinstance(client, AsyncServerClient):
        app[CLIENT] = client
    app.cleanup_ctx.append(_hold_clients)
    app.on_response_prepare.append(_commit)


def auth0_of(request: web.Request, name: str | None = None) -> AsyncRequestAuth0:
    """Return a client, bound to *request*; nothing is read until a method asks for it.

    Args:
        request: the request; that of a WebSocket, too.
        name: the name of one of the *clients* of ``setup``; ``None`` for the default client.

    Raises:
        ConfigurationError: the application has no such client, or two clients of it and of a
            sub-application keep sessions in one cookie.
    """
    bound = request.get(_BOUND)
    if bound is None:
        _check_sub_applications(request)
        expect_commit(request).is_bound = True
        bound = request[_BOUND] = {}
    name = name or DEFAULT
    if name not in bound:
        authorization = request.headers.get("Authorization")
        client = _find_client(request, name)
        bound[name] = AsyncRequestAuth0(client, {"request": request}, authorization)
    return bound[name]


def list_clients(request: web.Request) -> list[ApplicationClients]:
    """Return the clients of the applications that serve *request*, the innermost first."""
    apps = reversed(request.match_info.apps)
    return [app[_CLIENTS] for app in apps if _CLIENTS in app]


def list_trusted_origins(request: web.Request) -> list[str]:
    """Return the other origins whose pages may open WebSockets as the user."""
    return [
        origin for found in list_clients(request) for origin in found.trusted_origins
    ]


def _find_client(request: web.Request, name: str) -> AsyncServerClient:
    applications = list_clients(request)
    for found in applications:
        client = found.find(name)
        if client is not None:
            return client
    if not applications:
        raise ConfigurationError(
            "the application needs setup(app, client)", parameter="app"
        )
    names = dict.fromkeys(name for found in applications for name in found.sources)
    raise make_unknown_client_error("setup()", name, names)


def _check_sub_applications(request: web.Request) -> None:
    """Check the cookies of all applications that serve *request*; most often there is one.

    An application does not know which other one it is mounted in before a request comes.
    """
    applications = list_clients(request)
    if len(applications) < 2:
        return
    found = {
        client: f"{name} of application {number}" if number else name
        for number, clients in enumerate(reversed(applications))
        for name in clients.sources
        if (client := clients.find(name)) is not None
    }
    check_session_cookies(
        {name: client.session_cookie for client, name in found.items()}
    )


async def _hold_clients(app: web.Application) -> AsyncIterator[None]:
    found = app[_CLIENTS]
    async with open_clients("setup()", found.sources) as found.open:
        yield
    found.open = {}


async def _commit(request: web.Request, response: web.StreamResponse) -> None:
    # Not ``commit(response, ...)``: when this signal is sent, the response's cookie jar has
    # been written to header fields already, and ``set_cookie`` would come too late.
    state = get_state(request)
    state.has_begun = True
    # It is too late to keep caches from a stream when it reads the session.
    is_whole = isinstance(response, web.Response | web.FileResponse)
    state.was_read |= state.is_bound and not is_whole
    headers = response.headers
    if state.cookies:
        fields = headers.popall("Set-Cookie", [])
        others = [
            field for field in fields if parse_cookie_name(field) not in state.cookies
        ]
        for field in (*others, *map(format_set_cookie, state.cookies.values())):
            headers.add("Set-Cookie", field)
    given = ", ".join(headers.getall("Cache-Control", [])) or None
    headers.update(state.cache_headers(given, headers.getall("Vary", [])))
