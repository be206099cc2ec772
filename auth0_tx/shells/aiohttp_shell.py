"""The hand-written half of the asyncio client: what it owns, and how it runs a flow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from ..core.configuration import Settings
from ..core.effects import Flow, Response, Send, Share, Turn
from ..core.session.cookies import Cookies
from ..errors import ConfigurationError
from ..events import Event
from ..secret import Unpicklable
from .aiohttp_transport import AiohttpTransport
from .clocks import context_for
from .drivers import run_async
from .failures import closed
from .store_worlds import check_async_store
from .tls import Trust

T = TypeVar("T")


class AsyncShell(Unpicklable):
    """A client for tasks: on any event loop, also on one after another."""

    def __init__(
        self,
        settings: Settings,
        session: aiohttp.ClientSession | None,
        cookies: Cookies,
    ) -> None:
        trust = Trust(settings.verify, settings.trust_env)
        if session is not None and not isinstance(session, aiohttp.ClientSession):
            raise ConfigurationError(
                "session must be an aiohttp.ClientSession", parameter="session"
            )
        check_async_store(settings.state_store, "state_store")
        check_async_store(settings.token_cache, "token_cache")
        self._context = context_for(settings, cookies)
        self.on_event: Callable[[Event], object] | None = settings.on_event
        self._transport = AiohttpTransport(
            session,
            trust,
            settings.proxy,
            settings.trust_env,
            settings.max_connections,
        )
        self._closed = False

    def _run(self, flow: Flow[T]) -> Coroutine[Any, Any, T]:
        self._check_open()
        return run_async(flow, self)

    def send(self, send: Send) -> Coroutine[Any, Any, Response]:
        """Put a request on the wire (for the driver)."""
        self._check_open()
        return self._transport.send(send)

    def turn(self, turn: Turn) -> asyncio.Future[None] | None:
        """Have a call of a crowd wait until it may go on (for the driver)."""
        return self._transport.turn(turn)

    async def share(self, share: Share[Any]) -> Any:
        """Run a flow once for all tasks that ask for it (for the driver)."""
        self._check_open()
        state = await self._transport.state()
        return await state.flights.share(share, self._run)

    def _check_open(self) -> None:
        if self._closed:
            raise closed()

    async def aclose(self) -> None:
        """Close the client's connections; a session of the application's stays open."""
        self._closed = True
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
