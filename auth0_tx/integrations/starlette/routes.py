"""Routes to include: login by a posted token, logout, and Auth0's back-channel logout.

A login or a logout that a page of another site makes the browser send is refused
(see ``cross_origin``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from ...core.wire.redirects import check_return_to
from ...errors import Auth0Error
from ...secret import SecretStr
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
from .guards import refuse_cross_origin
from .refusals import Auth0HTTPException, respond


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
) -> list[Route]:
    """Return routes for the login by a posted token, the logout and the back-channel logout.

    Their names are ``auth0_login``, ``auth0_logout`` and ``auth0_backchannel_logout``; those of
    the client ``orders`` begin with ``auth0_orders_``.  All answer to POST alone, and the first
    two refuse requests that pages of other sites send.  They need
    :class:`SessionCommitMiddleware` and *python-multipart*.

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
        client: the name of one of the lifespan's *clients*; ``None`` for the default client.

    Raises:
        InvalidInputError: *return_to* is not a URL.
    """
    check_return_to(return_to)

    def refuse_others(
        endpoint: Callable[[Request], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer_request(request: Request) -> Response:
            try:
                refuse_cross_origin(request, trusted_origins)
                return await endpoint(request)
            except Auth0HTTPException as refusal:
                answer = refusal.answer
            except Auth0Error as error:
                answer = answer_for(error)
            return respond(answer)

        return answer_request

    async def log_in(request: Request) -> Response:
        assert make_options is not None
        posted = await _read_posted(request)
        token = posted.get(SUBJECT_TOKEN)
        if not token:
            return respond(INVALID_LOGIN)
        await auth0_of(request, client).login(make_options(token))
        if _is_script(request):
            return Response(status_code=204, headers=NO_STORE)
        page = choose_next(posted, request.query_params.get(NEXT), next_url)
        return RedirectResponse(page, 303, NO_STORE)

    async def log_out(request: Request) -> Response:
        url = await auth0_of(request, client).logout(return_to=return_to)
        if _is_script(request):
            return JSONResponse(describe_logout(url), headers=NO_STORE)
        return RedirectResponse(url, 303, NO_STORE)

    async def end_sessions(request: Request) -> Response:
        return await answer_logout_token(request, client)

    endpoints = {
        "login": (login, refuse_others(log_in)),
        "logout": (logout, refuse_others(log_out)),
        "backchannel_logout": (backchannel_logout, end_sessions),
    }
    if make_options is None:
        del endpoints["login"]
    return [
        Route(
            path,
            endpoint,
            methods=["POST"],
            name=get_route_name(name, client),
            include_in_schema=False,
        )
        for name, (path, endpoint) in endpoints.items()
    ]


async def backchannel_logout(request: Request) -> Response:
    """End the sessions that a logout token names: the endpoint of your Back-Channel Logout URI.

    It serves the default client, and needs *python-multipart*, as every form in Starlette does.
    """
    return await answer_logout_token(request, None)


async def answer_logout_token(request: Request, client: str | None) -> Response:
    """Answer a logout token (OpenID Connect Back-Channel Logout 1.0).

    Args:
        request: the request of Auth0.
        client: the name of the client that the token is for; ``None`` for the default client.
    """
    # Section 2.8: 200, or 400 if the token does not hold, and no cache may keep either.
    token = (await _read_form(request)).get("logout_token")
    auth0 = auth0_of(request, client)
    try:
        await auth0.client.handle_backchannel_logout(
            SecretStr(token if isinstance(token, str) else ""), auth0.store_options
        )
    except Auth0Error as error:
        # A store that is down is a 503: Auth0 sends the token again.
        return respond(answer_for(error))
    return Response(status_code=200, headers=NO_STORE)


async def _read_posted(request: Request) -> Mapping[str, str]:
    if is_json(request.headers.get("content-type")):
        return parse_fields(await request.body())
    return read_fields(await _read_form(request))


async def _read_form(request: Request) -> Mapping[str, Any]:
    """Return the fields of a posted form; none if it cannot be read as one."""
    try:
        async with request.form() as form:
            return dict(form)
    except HTTPException:
        # Starlette answers with text, which caches may keep.
        return {}


def _is_script(request: Request) -> bool:
    return is_script(
        content_type=request.headers.get("content-type"),
        accept=request.headers.get("accept"),
        fetch_mode=request.headers.get("sec-fetch-mode"),
    )
