"""Auth0 in aiohttp.web: an application's clients, bound to each request, and ways in and out.

How a session's cookies get to the browser: ``auth0_of`` notes that they wait for the response,
and the signal that aiohttp sends when a response is prepared sets them.  A redirect that was
raised, a stream, the handshake of a WebSocket and the answer to an unhandled error all have
them.  After that no cookie can be set: a session in cookies can only be read then.

An application may be set up and cleaned up several times, as test clients do.  Its clients'
connections end with each run, and the next run opens others.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, overload

import attrs
from aiohttp import web

from ..aio import AsyncServerClient
from ..core.session.cookies import format_set_cookie, parse_cookie_name
from ..errors import (
    Auth0Error,
    ConfigurationError,
    LoginRequiredError,
)
from ..frameworks.cookies import expect_commit, get_state
from .async_request_client import AsyncRequestAuth0
from .client_sources import ClientSource, collect_sources, open_clients
from .cross_origin import refuse_other_origin
from .error_answers import NO_STORE, ErrorAnswer, answer_for
from .login_redirects import NEXT, choose_login_redirect
from .posted_logins import (
    INVALID_LOGIN,
    SUBJECT_TOKEN,
    OptionsMaker,
    choose_next,
    describe_logout,
    is_json,
    is_script,
    parse_fields,
    read_fields,
)
from .request_base import check_scopes
from .settings import DEFAULT, check_session_cookies, make_unknown_client_error

__all__ = [
    "CLIENT",
    "auth0_of",
    "auth0_routes",
    "backchannel_logout",
    "handle_errors",
    "login_required",
    "refuse_cross_origin",
    "setup",
]

P = ParamSpec("P")

Handler: TypeAlias = Callable[P, Awaitable[web.StreamResponse]]


CLIENT: web.AppKey[AsyncServerClient] = web.AppKey("auth0_tx", AsyncServerClient)
"""The client that :func:`setup` was given: ``app[CLIENT]``."""


@attrs.define(eq=False)
class _Clients:
    """The clients of one application.

    Attributes:
        sources: the clients, or functions that make them, by name.
        login_url: the application's login page.
        open: the clients while the application runs, by name.
    """

    sources: dict[str, ClientSource]
    login_url: str | None
    open: dict[str, AsyncServerClient] = attrs.field(factory=dict)

    def find(self, name: str) -> AsyncServerClient | None:
        """Return the client *name*, or ``None`` if there is none."""
        source = self.sources.get(name)
        return source if isinstance(source, AsyncServerClient) else self.open.get(name)


_CLIENTS: web.AppKey[_Clients] = web.AppKey("auth0_tx.clients", _Clients)
_BOUND: web.RequestKey[dict[str, AsyncRequestAuth0]] = web.RequestKey(
    "auth0_tx.bound", dict
)


def setup(
    app: web.Application,
    client: ClientSource,
    *,
    clients: Mapping[str, ClientSource] | None = None,
    login_url: str | None = None,
) -> None:
    """Add clients to an application and its sub-applications; cleanup closes their connections.

    A sub-application may have clients of its own, which then come first.

    Args:
        app: the application, before it runs.
        client: its client, or a function that makes it, which may be ``async``.
        clients: further clients by name, for applications at Auth0 besides the first.  Each
            needs a ``SessionPolicy(cookie_name=...)`` of its own if it keeps sessions.
        login_url: the login page, to which :func:`login_required` and :func:`handle_errors`
            send browsers that open a page; ``None`` for JSON in any case.

    Raises:
        ConfigurationError: a client is not an ``AsyncServerClient``, a name is not fit for
            one, or two clients keep sessions in one cookie.
    """
    app[_CLIENTS] = _Clients(collect_sources("setup()", client, clients), login_url)
    if isinstance(client, AsyncServerClient):
        app[CLIENT] = client
    app.cleanup_ctx.append(_hold_clients)
    app.on_response_prepare.append(_commit)


def auth0_of(request: web.Request, name: str | None = None) -> AsyncRequestAuth0:
    """Return a client, bound to *request*; nothing is read until a method asks for it.

    Args:
        request: the request; that of a WebSocket, too.
        name: the name of one of the *clients* of :func:`setup`; ``None`` for the first client.

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


@overload
def login_required(handler: Handler[P], /) -> Handler[P]: ...


@overload
def login_required(
    *,
    scopes: str | Collection[str] = (),
    audience: str | None = None,
    login_url: str | None = None,
    client: str | None = None,
    trusted_origins: Collection[str] = (),
) -> Callable[[Handler[P]], Handler[P]]: ...


def login_required(
    handler: Handler[P] | None = None,
    /,
    *,
    scopes: str | Collection[str] = (),
    audience: str | None = None,
    login_url: str | None = None,
    client: str | None = None,
    trusted_origins: Collection[str] = (),
) -> Any:
    """Let only logged-in users reach a handler.

    A decorator, with or without arguments, for functions that take the request and for the
    methods of a ``web.View``.  A browser that opens a page is redirected to the login page,
    with the page's path as ``next``.  Everybody else gets JSON: 401 if nobody is logged in, 403
    if a scope was not granted, or a page of another origin opens a WebSocket.

    Args:
        handler: the handler.
        scopes: the scopes that the user's access token must have been granted.  A token that is
            due is renewed first, as by ``get_access_token()``.
        audience: the API of that token; ``None`` for the login's.
        login_url: the login page; ``None`` for that of :func:`setup`.
        client: the name of one of the *clients* of :func:`setup`; ``None`` for the first client.
        trusted_origins: other origins whose pages may open a WebSocket.

    Raises:
        ConfigurationError: a class was decorated; decorate its methods.
    """

    def decorate(handler: Handler[P]) -> Handler[P]:
        if inspect.isclass(handler):
            raise ConfigurationError(
                "login_required decorates the methods of a web.View, not the class",
                parameter="handler",
            )

        @wraps(handler)
        async def answer(*args: P.args, **kwargs: P.kwargs) -> web.StreamResponse:
            request = _find_request(args)
            if request.headers.get("Upgrade", "").lower() == "websocket":
                # Nothing like CORS protects a WebSocket, and a browser sends cookies with it
                # from every host of the same site.
                refuse_cross_origin(request, trusted_origins)
            try:
                auth0 = auth0_of(request, client)
                if await auth0.get_user() is None:
                    raise LoginRequiredError("nobody is logged in")
                if scopes:
                    check_scopes(await auth0.get_token_set(audience), scopes)
            except ConfigurationError:
                # Of this service: its developer must see where.
                raise
            except Auth0Error as error:
                refusal = answer_for(error)
            else:
                return await handler(*args, **kwargs)
            # Outside the handler: what Auth0 said is in the log alone.
            return _respond(request, refusal, login_url)

        return answer

    return decorate if handler is None else decorate(handler)


@web.middleware
async def handle_errors(
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    """Answer errors of this library that a handler does not catch.

    A middleware: ``web.Application(middlewares=[handle_errors])``.  The status says who can
    do something about it; the body, ``{"error": code}``, gives no detail.  If :func:`setup` was
    given a login page, a browser that opens a page without a login is redirected there.
    """
    try:
        return await handler(request)
    except Auth0Error as error:
        if get_state(request).has_begun:
            # A second response would go into the first.  aiohttp logs it and hangs up.
            raise
        answer = answer_for(error)
    return _respond(request, answer, None)


async def backchannel_logout(request: web.Request) -> web.Response:
    """End the sessions that a logout token names: the handler of your Back-Channel Logout URI.

    It serves the first client; :func:`auth0_routes` has one for each.
    """
    return await _end_sessions(request, None)


def refuse_cross_origin(
    request: web.Request, trusted_origins: Collection[str] = ()
) -> None:
    """Raise an error if a page of another site made the browser send *request* (CSRF).

    Call it first in a handler of your own that logs a user in or out: ``SameSite`` protects
    neither, because a login needs no cookie and the answer to a logout deletes cookies.

    Args:
        request: a request that changes something, such as a POST.
        trusted_origins: other origins whose pages may send it, such as
            ``https://login.example.com``.

    Raises:
        aiohttp.web.HTTPForbidden: a page of another origin sent it.
    """
    headers = request.headers
    answer = refuse_other_origin(
        host=headers.get("Host"),
        origin=headers.get("Origin"),
        fetch_site=headers.get("Sec-Fetch-Site"),
        trusted_origins=trusted_origins,
    )
    if answer is not None:
        raise web.HTTPForbidden(
            text=json.dumps(answer.body),
            content_type="application/json",
            headers=answer.headers,
        )


def auth0_routes(
    make_options: OptionsMaker | None = None,
    *,
    login: str = "/login",
    logout: str = "/logout",
    backchannel_logout: str = "/backchannel-logout",
    next_url: str = "/",
    return_to: str | None = None,
    trusted_origins: Collection[str] = (),
    client: str | None = None,
) -> list[web.RouteDef]:
    """Return routes for the login by a posted token, the logout and the back-channel logout.

    ``app.add_routes(auth0_routes(make_options))``.  All answer to POST alone, and the first two
    refuse requests that pages of other sites send.

    A form that posts ``subject_token``, and ``next`` perhaps, is redirected to ``next``, or to
    the URL that ends Auth0's own session.  A script that posts JSON, or calls ``fetch``, gets
    204 after a login and ``{"logout_url": ...}`` after a logout.  Errors are answered as by
    :func:`handle_errors`.

    Args:
        make_options: makes the options of a login from the token that was posted; ``None`` for
            no login.
        login: the path of the login.
        logout: the path of the logout.
        backchannel_logout: the path of your Back-Channel Logout URI.
        next_url: the page after a login that names none.
        return_to: where Auth0 sends the browser after a logout; one of the application's
            Allowed Logout URLs.
        trusted_origins: other origins whose pages may log in and out, such as
            ``https://login.example.com``.
        client: the name of one of the *clients* of :func:`setup`; ``None`` for the first client.
    """

    async def log_in(request: web.Request) -> web.StreamResponse:
        refuse_cross_origin(request, trusted_origins)
        assert make_options is not None
        posted = await _read_posted(request)
        token = posted.get(SUBJECT_TOKEN)
        if not token:
            return _respond(request, INVALID_LOGIN)
        await auth0_of(request, client).login(make_options(token))
        if _is_script(request):
            return web.Response(status=204, headers=NO_STORE)
        return _go_on(choose_next(posted, request.query.get(NEXT), next_url))

    async def log_out(request: web.Request) -> web.StreamResponse:
        refuse_cross_origin(request, trusted_origins)
        url = await auth0_of(request, client).logout(return_to=return_to)
        if _is_script(request):
            return web.json_response(describe_logout(url), headers=NO_STORE)
        return _go_on(url)

    async def end_sessions(request: web.Request) -> web.StreamResponse:
        return await _end_sessions(request, client)

    routes = [
        web.post(logout, _answer_errors(log_out)),
        web.post(backchannel_logout, _answer_errors(end_sessions)),
    ]
    if make_options is not None:
        routes.append(web.post(login, _answer_errors(log_in)))
    return routes


def _answer_errors(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await handle_errors(request, handler)

    return answer


async def _read_posted(request: web.Request) -> Mapping[str, str]:
    if is_json(request.headers.get("Content-Type")):
        return parse_fields(await request.read())
    return read_fields(await request.post())


def _is_script(request: web.Request) -> bool:
    return is_script(
        content_type=request.headers.get("Content-Type"),
        accept=request.headers.get("Accept"),
        fetch_mode=request.headers.get("Sec-Fetch-Mode"),
    )


def _go_on(url: str) -> web.Response:
    return web.Response(status=303, headers={"Location": url, **NO_STORE})


async def _end_sessions(request: web.Request, client: str | None) -> web.Response:
    # OpenID Connect Back-Channel Logout 1.0 section 2.8: 200, or 400 if the token does not
    # hold, and no cache may keep either.
    token = (await request.post()).get("logout_token")
    auth0 = auth0_of(request, client)
    try:
        await auth0.client.handle_backchannel_logout(
            token if isinstance(token, str) else "", auth0.store_options
        )
    except Auth0Error as error:
        # A store that is down is a 503: Auth0 sends the token again.
        answer = answer_for(error)
    else:
        return web.Response(status=200, headers=NO_STORE)
    return _respond(request, answer)


def _respond(
    request: web.Request, answer: ErrorAnswer, login_url: str | None = None
) -> web.Response:
    """Return the response of an answer: a redirect to the login page, or JSON."""

    def find_login_url() -> str | None:
        urls = (login_url, *(found.login_url for found in _list_clients(request)))
        return next(filter(None, urls), None)

    target = choose_login_redirect(
        answer,
        find_login_url,
        request.path_qs,
        method=request.method,
        accept=request.headers.get("Accept"),
        fetch_mode=request.headers.get("Sec-Fetch-Mode"),
    )
    if target is not None:
        return web.Response(status=302, headers={"Location": target, **NO_STORE})
    return web.json_response(answer.body, status=answer.status, headers=answer.headers)


def _find_request(arguments: Collection[object]) -> web.Request:
    for argument in arguments:
        if isinstance(argument, web.Request):
            return argument
        if isinstance(argument, web.View):
            return argument.request
    raise ConfigurationError(
        "a handler with login_required must take the request, or be a method of a web.View",
        parameter="handler",
    )


def _list_clients(request: web.Request) -> list[_Clients]:
    """Return the clients of the applications that serve *request*, the innermost first."""
    apps = reversed(request.match_info.apps)
    return [app[_CLIENTS] for app in apps if _CLIENTS in app]


def _find_client(request: web.Request, name: str) -> AsyncServerClient:
    applications = _list_clients(request)
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
    applications = _list_clients(request)
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
