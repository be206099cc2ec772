"""Login sessions in any ASGI application: their cookies are set when the response begins.

FastAPI drops what was set on its injected ``Response`` if an endpoint returns a response of
its own, such as a redirect, and a response that an error handler makes has no cookies at all.
With this middleware, ``store_options={"request": request}`` is enough for any response.

A WebSocket has one response, that of its handshake (RFC 6455 section 4.2.2), so its cookies go
out when it is accepted, or refused: a token that is renewed before then is kept.  Afterwards no
cookie can be set, and a session in cookies can only be read.
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


# The messages with the head of a response.
_STARTS = (
    "http.response.start",
    "websocket.accept",
    "websocket.http.response.start",
)


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
        if scope["type"] not in ("http", "websocket"):
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
            if message["type"] in _STARTS:
                state.has_begun = True
                # It is too late to keep caches from a stream when it reads the session.
                state.was_read |= state.is_bound and _is_stream(message)
                message = _add_headers(message, state)
            elif message["type"] == "websocket.close" and not state.has_begun:
                state.has_begun = True
                if _must_deny(scope, state):
                    await _deny(send, state, 403)
                    return
            await send(message)

        try:
            await self._app(scope, receive, send_with_cookies)
        except Exception:
            if not state.has_begun and _must_deny(scope, state):
                state.has_begun = True
                await _deny(send, state, 500)
            raise


def _is_stream(start: Message) -> bool:
    """Return whether a response has begun whose length the application does not know yet."""
    return not any(
        name.lower() == b"content-length" for name, _ in start.get("headers", ())
    )


def _must_deny(scope: Scope, state: ResponseState) -> bool:
    """Return whether a WebSocket's refusal has cookies to set.

    A close before the handshake is over makes the server answer 403 by itself, without them.
    Servers with this extension let the application answer.
    """
    return (
        bool(state.cookies)
        and scope["type"] == "websocket"
        and "websocket.http.response" in (scope.get("extensions") or {})
    )


async def _deny(send: Send, state: ResponseState, status: int) -> None:
    start = {
        "type": "websocket.http.response.start",
        "status": status,
        "headers": [(b"content-length", b"0")],
    }
    await send(_add_headers(start, state))
    await send({"type": "websocket.http.response.body", "body": b""})


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
