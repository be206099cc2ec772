"""Handlers for logged-in users and for pages of this site: who else asks is refused."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Collection
from functools import wraps
from typing import Any, ParamSpec, TypeAlias, overload

from aiohttp import web

from ...errors import Auth0Error, ConfigurationError
from ...frameworks.cookies import get_state
from ..cross_origin import refuse_other_origin
from ..error_answers import NO_STORE, ErrorAnswer, answer_for
from ..login_redirects import choose_login_redirect
from ..request_base import check_login, check_scopes
from .clients import auth0_of, list_clients, list_trusted_origins

P = ParamSpec("P")

Handler: TypeAlias = Callable[P, Awaitable[web.StreamResponse]]


@overload
def login_required(handler: Handler[P], /) -> Handler[P]: ...


@overload
def login_required(
    *,
    scopes: str | Collection[str] = (),
    audience: str | None = None,
    login_url: str | None = None,
    client: str | None = None,
) -> Callable[[Handler[P]], Handler[P]]: ...


def login_required(
    handler: Handler[P] | None = None,
    /,
    *,
    scopes: str | Collection[str] = (),
    audience: str | None = None,
    login_url: str | None = None,
    client: str | None = None,
) -> Any:
    """Let only logged-in users reach a handler.

    A decorator, with or without arguments, for functions that take the request and for the
    methods of a ``web.View``.  A browser that opens a page is redirected to the login page,
    with the page's path as ``next``.  Everybody else gets JSON: 401 if nobody is logged in, 403
    if a scope was not granted, or a page of another origin opens a WebSocket.

    Args:
        handler: the handler.
        scopes: the scopes that the user's access token must have been granted, space-separated
            or a collection.  A token that is due is renewed first.
        audience: the API of that token; ``None`` for the login's.
        login_url: the login page; ``None`` for that of :func:`setup`.
        client: the name of one of the *clients* of ``setup``; ``None`` for the default client.

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
                refuse_cross_origin(request, list_trusted_origins(request))
            try:
                auth0 = auth0_of(request, client)
                check_login(await auth0.get_user())
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
            return respond(request, refusal, login_url)

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
    return respond(request, answer, None)


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


def respond(
    request: web.Request, answer: ErrorAnswer, login_url: str | None = None
) -> web.Response:
    """Return the response of an answer: a redirect to the login page, or JSON.

    Args:
        request: the request.
        answer: its answer.
        login_url: the login page; ``None`` for that of ``setup``.
    """

    def find_login_url() -> str | None:
        urls = (login_url, *(found.login_url for found in list_clients(request)))
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
