"""Login sessions in any ASGI application: their cookies are set as the response begins.

FastAPI drops what was set on its injected ``Response`` when an endpoint returns a response
of its own, such as a redirect; and a response that an error handler makes has no cookies at
all.  With this around the application, ``store_options={"request": request}`` is enough.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from ..core.session.cookies import named_by, set_cookie_field, vary_on_cookies
from ..shells.http_cookies import CACHE_CONTROL, COMMITTED, Commit

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
        if scope["type"] != "http" or COMMITTED in scope:
            await self._app(scope, receive, send)
            return
        commit = scope[COMMITTED] = Commit()

        async def committing(message: Message) -> None:
            if message["type"] == "http.response.start":
                commit.has_begun = True
                if commit.cookies:
                    message = {**message, "headers": _with_cookies(message, commit)}
            await send(message)

        await self._app(scope, receive, committing)


def _with_cookies(start: Message, commit: Commit) -> list[tuple[bytes, bytes]]:
    kept: list[tuple[bytes, bytes]] = []
    varies: list[str] = []
    for raw, value in start.get("headers", ()):
        name = raw.lower()
        if name == b"vary":
            varies.append(value.decode("latin-1"))
        elif name != b"cache-control" and not (
            name == b"set-cookie"
            and named_by(value.decode("latin-1")) in commit.cookies
        ):
            kept.append((raw, value))
    added = [
        *(("set-cookie", set_cookie_field(each)) for each in commit.cookies.values()),
        ("cache-control", CACHE_CONTROL),
        ("vary", vary_on_cookies(varies)),
    ]
    return [*kept, *((name.encode(), value.encode("latin-1")) for name, value in added)]
