"""Login sessions in any ASGI application: their cookies are set as the response begins.

FastAPI drops what was set on its injected ``Response`` when an endpoint returns a response
of its own, such as a redirect; and a response that an error handler makes has no cookies at
all.  With this around the application, ``store_options={"request": request}`` is enough.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from ..core.session.cookies import named_by, set_cookie_field
from ..frameworks.cookies import RESPONSE_STATE, ResponseState

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class SessionCommitMiddleware:
    """Set the cookies of login sessions on whatever response a request gets.

    Wrap it around the whole application, or add it as a middleware.  Around the whole, it
    also serves the response to an error that nobody handled, which Starlette makes outside
    of its middlewares: a refresh token that was rotated before the error is then kept.
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
            await self._app(scope, receive, send)
            return
        state = scope.setdefault(RESPONSE_STATE, ResponseState())
        if state.has_middleware:
            # Another one around this does it, and sees more: errors that nobody handles.
            await self._app(scope, receive, send)
            return
        state.has_middleware = True

        async def committing(message: Message) -> None:
            if message["type"] == "http.response.start":
                state.has_begun = True
                message = _with_state(message, state)
            await send(message)

        await self._app(scope, receive, committing)


def _with_state(start: Message, state: ResponseState) -> Message:
    """Return the beginning of a response with the session's cookies and cache headers."""
    if not (state.cookies or state.was_read):
        return start
    kept: list[tuple[bytes, bytes]] = []
    controls: list[str] = []
    varies: list[str] = []
    for raw, value in start.get("headers", ()):
        name, text = raw.lower(), value.decode("latin-1")
        if name == b"vary":
            varies.append(text)
        elif name == b"cache-control":
            controls.append(text)
        elif name != b"set-cookie" or named_by(text) not in state.cookies:
            kept.append((raw, value))
    given = ", ".join(controls) or None
    added = [
        *(("set-cookie", set_cookie_field(each)) for each in state.cookies.values()),
        *state.cache_headers(given, varies).items(),
    ]
    kept += [(name.lower().encode(), value.encode("latin-1")) for name, value in added]
    return {**start, "headers": kept}
