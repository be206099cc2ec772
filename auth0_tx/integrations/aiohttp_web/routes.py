"""Routes to add: login by a posted token, logout, and Auth0's back-channel logout.

A login or a logout that a page of another site makes the browser send is refused
(see ``cross_origin``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from aiohttp import web

from ...core.wire.redirects import check_return_to
from ...errors import Auth0Error
from ..error_answers import NO_STORE, answer_for
from ..login_redirects import NEXT
from ..posted_logins import (
    INVALID_LOGIN,
    SUBJECT_TOKEN,
    OptionsMaker,
    choose_next,
    describe_logout,
    get_route_name,
    is_json,
    is_script,
    parse_fields,
    read_fields,
)
from .clients import auth0_of
from .guards import handle_errors, refuse_cross_origin, respond


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

    ``app.add_routes(auth0_routes(make_options))``.  Their names are ``auth0_login``,
    ``auth0_logout`` and ``auth0_backchannel_logout``; those of the client ``orders`` begin with
    ``auth0_orders_``.  All answer to POST alone, and the first two refuse requests that pages of
    other sites send.

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
        client: the name of one of the *clients* of ``setup``; ``None`` for the default client.

    Raises:
        InvalidInputError: *return_to* is not a URL.
    """
    check_return_to(return_to)

    async def log_in(request: web.Request) -> web.StreamResponse:
        refuse_cross_origin(request, trusted_origins)
        assert make_options is not None
        posted = await _read_posted(request)
        token = posted.get(SUBJECT_TOKEN)
        if not token:
            return respond(request, INVALID_LOGIN)
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

    handlers = {
        "login": (login, log_in),
        "logout": (logout, log_out),
        "backchannel_logout": (backchannel_logout, end_sessions),
    }
    if make_options is None:
        del handlers["login"]
    return [
        web.post(path, _answer_errors(handler), name=get_route_name(name, client))
        for name, (path, handler) in handlers.items()
    ]


async def backchannel_logout(request: web.Request) -> web.Response:
    """End the sessions that a logout token names: the handler of your Back-Channel Logout URI.

    It serves the default client; :func:`auth0_routes` has one for each.
    """
    return await _end_sessions(request, None)


def _answer_errors(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await handle_errors(request, handler)

    return answer


async def _read_posted(request: web.Request) -> Mapping[str, str]:
    if is_json(request.headers.get("Content-Type")):
        return parse_fields(await request.read())
    return read_fields(await _read_form(request))


async def _read_form(request: web.Request) -> Mapping[str, Any]:
    """Return the fields of a posted form; none if it cannot be read as one."""
    try:
        return await request.post()
    except (ValueError, LookupError):
        # A wrong boundary, octets that are not in the charset, or no such charset.
        return {}


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
    token = (await _read_form(request)).get("logout_token")
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
    return respond(request, answer)
