"""Login sessions in any ASGI application: their cookies are set when the response begins.

FastAPI drops what was set on its injected ``Response`` if an endpoint returns a response of
its own, such as a redirect, and a response that an error handler makes has no cookies at all.
With this middleware, ``store_options={"request": request}`` is enough for any response.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from ..core.session.cookies import format_set_cookie, parse_cookie_name
from ..frameworks.cookies import RESPONSE_STATE, ResponseState

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class SessionCommitMiddleware:
    """Set the cookies of login sessions on any response to a request.

    Wrap the whole application in it, or add it as a middleware.  Around the whole, it also
    serves the response to an error that nobody handled, which Starlette makes outside of its
    middlewares: a refresh token that was rotated before the error is then kept.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application.

        Args:
            app: the ASGI application.
        """
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request as the application does, with the session's cookies."""
        if scope["type"] != "http":
            # A websocket's cookies could only go out with its handshake, and nobody waits.
            await self._app(scope, receive, send)
            return
        state = scope.setdefault(RESPONSE_STATE, ResponseState())
        if state.has_middleware:
            # An outer one commits, and also sees errors that nobody handles in here.
            await self._app(scope, receive, send)
            return
        state.has_middleware = True

        async def send_with_cookies(message: Message) -> None:
            # Informational messages, such as early hints, may come before.
            if message["type"] == "http.response.start":
                state.has_begun = True
                message = _add_headers(message, state)
            await send(message)

        await self._app(scope, receive, send_with_cookies)


def _add_headers(start: Message, state: ResponseState) -> Message:
    """Return the start of a response with the session's cookies and cache headers."""
    if not (state.cookies or state.was_read):
        return start
    headers: list[tuple[bytes, bytes]] = []
    controls: list[str] = []
    varies: list[str] = []
    for raw, value in start.get("headers", ()):
        # ASGI wants names in lower case, and not every application keeps to it.
        name, text = raw.lower(), value.decode("latin-1")
        if name == b"vary":
            varies.append(text)
        elif name == b"cache-control":
            controls.append(text)
        elif name != b"set-cookie" or parse_cookie_name(text) not in state.cookies:
            headers.append((raw, value))
    cache_headers = state.cache_headers(", ".join(controls) or None, varies)
    added = [
        *(
            ("set-cookie", format_set_cookie(cookie))
            for cookie in state.cookies.values()
        ),
        *((name.lower(), value) for name, value in cache_headers.items()),
    ]
    headers += [(name.encode(), value.encode("latin-1")) for name, value in added]
    return {**start, "headers": headers}
