"""Routes to include: login by a posted token, logout, and Auth0's back-channel logout.

A login or a logout that a page of another site makes the browser send is refused
(see ``cross_origin``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from ...errors import Auth0Error, ConfigurationError
from ...secret import SecretStr
from ...values import LoginWithCustomTokenExchangeOptions
from ..cross_origin import is_cross_origin
from ..error_answers import CROSS_ORIGIN, ErrorAnswer, answer_for, log
from ..login_redirects import NEXT, read_next
from .clients import auth0_of

_NO_STORE = {"Cache-Control": "no-store"}
_INVALID = ErrorAnswer(status=400, error="invalid_request")

OptionsMaker: TypeAlias = Callable[[str], LoginWithCustomTokenExchangeOptions]
"""A function that makes the options of a login from the token that was posted."""


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

    All answer to POST alone.  They need :class:`SessionCommitMiddleware` and
    *python-multipart*.

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
    """

    def refuse_others(
        endpoint: Callable[[Request], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if is_cross_origin(
                host=request.headers.get("host"),
                origin=request.headers.get("origin"),
                fetch_site=request.headers.get("sec-fetch-site"),
                trusted_origins=trusted_origins,
            ):
                log.warning("refused a request that a page of another origin made")
                return _make_response(CROSS_ORIGIN)
            try:
                return await endpoint(request)
            except Auth0Error as error:
                refusal = answer_for(error)
            return _make_response(refusal)

        return answer

    async def log_in(request: Request) -> Response:
        assert make_options is not None
        posted = await _read_posted(request)
        token = posted.pop("subject_token", None)
        if not token:
            return _make_response(_INVALID)
        await auth0_of(request, client).login(make_options(token))
        if _is_script(request):
            return Response(status_code=204, headers=_NO_STORE)
        page = posted.get(NEXT) or request.query_params.get(NEXT)
        return RedirectResponse(read_next(page, next_url), 303, _NO_STORE)

    async def log_out(request: Request) -> Response:
        url = await auth0_of(request, client).logout(return_to=return_to)
        if _is_script(request):
            return JSONResponse({"logout_url": url}, headers=_NO_STORE)
        return RedirectResponse(url, 303, _NO_STORE)

    async def end_sessions(request: Request) -> Response:
        return await answer_logout_token(request, client)

    endpoints = {
        "login": (login, refuse_others(log_in)),
        "logout": (logout, refuse_others(log_out)),
        "backchannel_logout": (backchannel_logout, end_sessions),
    }
    if make_options is None:
        del endpoints["login"]
    prefix = "_".join(filter(None, ("auth0", client)))
    return [
        Route(
            path,
            endpoint,
            methods=["POST"],
            name=f"{prefix}_{name}",
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
    async with request.form() as form:
        token = form.get("logout_token")
    auth0 = auth0_of(request, client)
    try:
        await auth0.client.handle_backchannel_logout(
            SecretStr(token if isinstance(token, str) else ""), auth0.store_options
        )
    except ConfigurationError:
        raise
    except Auth0Error as error:
        # A store that is down is a 503: Auth0 sends the token again.
        return _make_response(answer_for(error))
    return Response(status_code=200, headers=_NO_STORE)


async def _read_posted(request: Request) -> dict[str, str]:
    """Return the texts of a form or of a JSON object; nothing of anything else."""
    posted: Any
    if _is_json(request):
        try:
            posted = await request.json()
        except (ValueError, RecursionError):
            posted = None
    else:
        async with request.form() as form:
            posted = dict(form)
    fields = posted if isinstance(posted, dict) else {}
    return {
        name: SecretStr(text) for name, text in fields.items() if isinstance(text, str)
    }


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0]
    return media_type.strip().lower() == "application/json"


def _is_script(request: Request) -> bool:
    """Return whether a script asks, which would follow a redirect and show nobody the page."""
    mode = request.headers.get("sec-fetch-mode", "navigate")
    return _is_json(request) or mode != "navigate"


def _make_response(answer: ErrorAnswer) -> Response:
    return JSONResponse(answer.body, answer.status, answer.headers)
