"""The hand-written half of the asyncio client: what it owns, and how it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

import aiohttp

from ..core.configuration import Settings, get_session_cookie
from ..errors import ConfigurationError
from ..secret import Unpicklable
from .aiohttp_transport import AiohttpTransport
from .aiohttp_trust import check_connector
from .drivers import AsyncWorld, describe_client, make_context
from .failures import client_closed_error
from .tls import Trust, find_url, require_default_trust

if TYPE_CHECKING:
    from ..core.session.cookies import Cookies


class AsyncShell(Unpicklable):
    """A client for tasks: on any event loop, also on one after another."""

    def __init__(
        self,
        settings: Settings,
        session: aiohttp.ClientSession | None,
        cookies: Cookies | None,
    ) -> None:
        trust = Trust(settings.verify, settings.trust_env)
        if session is not None:
            if not isinstance(session, aiohttp.ClientSession):
                raise ConfigurationError(
                    "session must be an aiohttp.ClientSession", parameter="session"
                )
            require_default_trust(settings.verify)
            check_connector(session.connector, find_url(settings))
        check_store(settings.state_store, "state_store")
        check_store(settings.token_cache, "token_cache")
        self._context = make_context(settings, cookies)
        self._transport = AiohttpTransport(
            session,
            trust,
            settings.proxy,
            settings.trust_env,
            settings.max_connections,
        )
        # Nothing here refers to the client, so that it is freed with its last reference.
        self._world = AsyncWorld(
            self._transport.send,
            self._transport.share,
            settings.on_event,
            self._transport.begin,
            settings.timeout,
        )
        if settings.token_cache is None:
            # With a cache, a call may be answered at once, and must not queue.
            self._world.find_call_gate = self._transport.find_call_gate
        self._holders: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = (
            WeakKeyDictionary()
        )

    @property
    def session_cookie(self) -> str | None:
        """The full name of the session's cookie, or ``None`` if the client keeps no sessions.

        A long session has several cookies, whose names add a dot and a number.
        """
        return get_session_cookie(self._context.settings)

    def __repr__(self) -> str:
        return describe_client(self)

    def _check_open(self) -> None:
        if self._world.is_closed:
            raise client_closed_error()

    async def aclose(self) -> None:
        """Close the client's connections; a session of the application's stays open.

        A refresh that is under way is waited for, up to its deadline: closing its connection
        would lose the refresh token that it brings.
        """
        self._world.is_closed = True
        await self._transport.close()

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


@asynccontextmanager
async def hold_open(client: AsyncShell) -> AsyncIterator[None]:
    """Keep a client's connections while an application runs on this event loop.

    A server runs an application's lifespan once, but each ``with TestClient(app)`` and each
    invocation on AWS Lambda runs it again, with a client that was made once, at import.  So
    the end of a lifespan does not close the client: its connections are closed, and the next
    call opens others.  Of several applications with one client, the last to end closes them,
    as the others may still wait for answers.

    Raises:
        ClientClosedError: the client was closed, which is for good.
    """
    client._check_open()
    loop, holders = asyncio.get_running_loop(), client._holders
    holders[loop] = holders.get(loop, 0) + 1
    try:
        yield
    finally:
        holders[loop] -= 1
        if not holders[loop]:
            del holders[loop]
            await client._transport.close()


def check_store(store: object, parameter: str) -> None:
    """Refuse a store that would block the event loop while it waits for a server.

    Only ours say that they do.  One of the application's own may answer at once, as one in
    memory does, and need not be awaited.

    Raises:
        ConfigurationError: *store* is blocking.
    """
    if getattr(store, "_is_async", None) is False:
        raise ConfigurationError(
            f"{parameter} would block the event loop: give it a redis.asyncio.Redis, "
            "or use ServerClient",
            parameter=parameter,
        )
