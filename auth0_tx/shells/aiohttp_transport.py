"""The asyncio transport: a request value in, a response value out, over ``aiohttp``."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import attrs
from aiohttp.payload import BytesPayload

from ..core.configuration import Verify
from ..core.effects import Request, Response, Send
from ..errors import ConfigurationError, TransportError
from .environment import environment_proxy
from .failures import out_of_time, transport_failure
from .flights import TaskFlights
from .tls import tls_context

LONGEST_CONNECT = 3.0
"""Seconds, the most that a connection may take of a call's own time."""

LONGEST_IDLE = 30.0
"""Seconds a connection may rest before it is not used again: less than servers wait."""


class _WatchedBody(BytesPayload):
    """A body that notes when it starts to leave: from then on a failure is ambiguous."""

    sent = False

    async def write(self, writer: Any) -> None:
        self.sent = True
        await super().write(writer)

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        self.sent = True
        await super().write_with_length(writer, content_length)


class Gate:
    """At most so many at once: first come, first served, and cheap for those who wait.

    Taken before a request is built: ten thousand callers then wait with no body in hand.
    """

    __slots__ = ("_free", "_waiting")

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[asyncio.Future[bool]] = deque()

    async def enter(self, deadline: float) -> bool:
        """Take a place; give ``False`` where none was free by *deadline*."""
        if self._free:
            self._free -= 1
            return True
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(deadline - time.monotonic(), _settle, turn, False)
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                # The place was handed over in the same instant; hand it on.
                self.leave()
            raise
        finally:
            timer.cancel()

    def leave(self) -> None:
        """Give the place to the first who still waits, or back."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(True)
                return
        self._free += 1


def _settle(turn: asyncio.Future[bool], answer: bool) -> None:
    if not turn.done():
        turn.set_result(answer)


@attrs.frozen(eq=False)
class LoopState:
    """What a client has on one event loop, none of which works on another."""

    loop: asyncio.AbstractEventLoop
    session: aiohttp.ClientSession
    gate: Gate
    flights: TaskFlights
    guard: AsyncGenerator[None, None] | None


class AiohttpTransport:
    """Connections that one client's tasks share, and that belong to one event loop each."""

    def __init__(
        self,
        session: aiohttp.ClientSession | None,
        verify: Verify,
        proxy: str | None,
        trust_env: bool,
        max_connections: int,
    ) -> None:
        self._session = session
        self._verify = verify
        self._proxy = proxy
        self._trust_env = trust_env
        self._max_connections = max_connections
        self._context: ssl.SSLContext | None = None
        self._states: dict[int, LoopState] = {}
        self._latest: LoopState | None = None

    async def state(self) -> LoopState:
        """Give what belongs to the running loop, made at its first use there."""
        loop = asyncio.get_running_loop()
        latest = self._latest
        if latest is not None and latest.loop is loop:
            return latest
        state = self._states.get(id(loop))
        if state is None or state.loop is not loop:
            state = self._made(loop)
            self._states[id(loop)] = state
            if state.guard is not None:
                await anext(state.guard)
        self._latest = state
        return state

    def _made(self, loop: asyncio.AbstractEventLoop) -> LoopState:
        gate, flights = Gate(self._max_connections), TaskFlights()
        if self._session is not None:
            if getattr(self._session, "_loop", loop) is not loop:
                raise ConfigurationError(
                    "session belongs to another event loop; make the client where the "
                    "session was made, or leave session out",
                    parameter="session",
                )
            return LoopState(loop, self._session, gate, flights, None)
        session = self._open()
        return LoopState(loop, session, gate, flights, self._guard(loop, session))

    def _open(self) -> aiohttp.ClientSession:
        if self._context is None:
            self._context = tls_context(self._verify, self._trust_env)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._context,
                limit=self._max_connections,
                keepalive_timeout=LONGEST_IDLE,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            # What is not asked for is not inflated either; the core refuses it.
            auto_decompress=False,
            # The environment's proxies are read by us: aiohttp would read ~/.netrc too.
            trust_env=False,
        )

    async def _guard(
        self, loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession
    ) -> AsyncGenerator[None, None]:
        """Close the session when the loop shuts down its asynchronous generators.

        That is the one moment at which a loop that ends still runs code of ours, so a
        client used under several ``asyncio.run`` leaves nothing open behind each.
        """
        try:
            yield
        finally:
            self._states.pop(id(loop), None)
            if self._latest is not None and self._latest.loop is loop:
                self._latest = None
            await session.close()

    async def close(self) -> None:
        """Close the running loop's connections; other loops close theirs as they end."""
        state = self._states.get(id(asyncio.get_running_loop()))
        if state is not None and state.guard is not None:
            await state.guard.aclose()

    async def send(self, send: Send) -> Response:
        """Put a request on the wire, and read the whole answer.

        Raises:
            NotSentError: nothing of it left.
            AmbiguousError: something left, and no whole answer came back.
        """
        state = await self.state()
        if not await state.gate.enter(send.deadline):
            raise out_of_time("no connection was free before the deadline")
        try:
            outcome = await self._exchange(state.session, send)
        finally:
            state.gate.leave()
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    async def _exchange(
        self, session: aiohttp.ClientSession, send: Send
    ) -> Response | TransportError:
        """Do it, with the failure returned: what ``aiohttp`` raises holds the request."""
        request = send.prepare()
        left = send.deadline - time.monotonic()
        if left <= 0:
            return out_of_time("the deadline passed before the request could be sent")
        body = None if request.body is None else _WatchedBody(request.body)
        timeout = aiohttp.ClientTimeout(
            total=left, connect=None, sock_connect=min(left, LONGEST_CONNECT)
        )
        try:
            async with session.request(
                request.method,
                request.url,
                data=body,
                headers=request.headers,
                allow_redirects=False,
                timeout=timeout,
                proxy=self._proxy_for(request),
            ) as answer:
                return await _read(answer, send.limit)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return transport_failure(
                error,
                sent=body is not None and body.sent,
                timed_out=isinstance(error, TimeoutError),
                deadline=send.deadline,
            )

    def _proxy_for(self, request: Request) -> str | None:
        if self._proxy is None and self._trust_env:
            return environment_proxy(request.url)
        return self._proxy


async def _read(answer: aiohttp.ClientResponse, limit: int) -> Response:
    """Read the body to its end or its limit; a connection cut short is not used again."""
    headers = tuple(answer.headers.items())
    length = answer.content_length
    if length is not None and length <= limit:
        return Response(answer.status, headers, await answer.read())
    body = bytearray()
    while len(body) <= limit:
        piece = await answer.content.readany()
        if not piece:
            return Response(answer.status, headers, bytes(body))
        body += piece
    answer.close()
    return Response(answer.status, headers, bytes(body[:limit]), oversized=True)
