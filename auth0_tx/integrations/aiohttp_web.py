"""Auth0 in aiohttp.web: one client for the application, bound to each request.

Session cookies are set when a response is prepared: a redirect that was raised, a stream and
the answer to an unhandled error all have them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from ..aio import AsyncServerClient
from ..core.session.cookies import format_set_cookie, parse_cookie_name
from ..errors import Auth0Error, BackchannelLogoutError, ConfigurationError
from ..frameworks.cookies import expect_commit, get_state
from .async_request_client import AsyncRequestAuth0
from .error_answers import answer_for

__all__ = ["CLIENT", "auth0_of", "backchannel_logout", "handle_errors", "setup"]

CLIENT: web.AppKey[AsyncServerClient] = web.AppKey("auth0_tx", AsyncServerClient)
"""The application's client: ``app[CLIENT]``."""

_BOUND: web.RequestKey[AsyncRequestAuth0] = web.RequestKey(
    "auth0_tx.bound", AsyncRequestAuth0
)


def setup(app: web.Application, client: AsyncServerClient) -> None:
    """Add a client to an application and its sub-applications; cleanup closes it.

    Args:
        app: the application, before it runs.
        client: its client.
    """
    app[CLIENT] = client
    app.cleanup_ctx.append(_open_client)
    app.on_response_prepare.append(_commit)


def auth0_of(request: web.Request) -> AsyncRequestAuth0:
    """Return the client, bound to *request*; nothing is read until a method asks for it.

    Raises:
        ConfigurationError: the application has no client: call :func:`setup` with it.
    """
    bound = request.get(_BOUND)
    if bound is None:
        client = request.config_dict.get(CLIENT)
        if client is None:
            raise ConfigurationError(
                "the application needs setup(app, client)", parameter="app"
            )
        expect_commit(request)
        authorization = request.headers.get("Authorization")
        bound = AsyncRequestAuth0(client, {"request": request}, authorization)
        request[_BOUND] = bound
    return bound


async def backchannel_logout(request: web.Request) -> web.Response:
    """End the sessions that a logout token names: the handler of your Back-Channel Logout URI."""
    # OpenID Connect Back-Channel Logout 1.0 section 2.8: 200, or 400 if the token does not
    # hold, and no cache may keep either.
    token = (await request.post()).get("logout_token")
    auth0 = auth0_of(request)
    status = 200
    try:
        await auth0.client.handle_backchannel_logout(
            token if isinstance(token, str) else "", auth0.store_options
        )
    except BackchannelLogoutError as error:
        status = answer_for(error).status
    return web.Response(status=status, headers={"Cache-Control": "no-store"})


@web.middleware
async def handle_errors(
    request: web.Request,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    """Answer errors of this library that a handler does not catch, as an API would.

    A middleware: ``web.Application(middlewares=[handle_errors])``.  The status says who can
    do something about it; the body gives no detail.
    """
    try:
        return await handler(request)
    except Auth0Error as error:
        answer = answer_for(error)
    return web.json_response(answer.body, status=answer.status, headers=answer.headers)


async def _open_client(app: web.Application) -> AsyncIterator[None]:
    async with app[CLIENT]:
        yield


async def _commit(request: web.Request, response: web.StreamResponse) -> None:
    # Not ``commit(response, ...)``: when this signal is sent, the response's cookie jar has
    # been written to header fields already, and ``set_cookie`` would come too late.
    state = get_state(request)
    state.has_begun = True
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
