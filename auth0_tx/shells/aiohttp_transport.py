"""The asyncio transport: a request value in, a response value out, over ``aiohttp``."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import aiohttp
import attrs
from aiohttp.payload import BytesPayload

from ..core.effects import Flow, Request, Response, Send, Share
from ..errors import ConfigurationError, TransportError
from ..secret import SecretBytes, SecretStr
from .after_fork import leave_alone, register_renewable, renew_if_forked
from .aiohttp_connector import BorrowedConnector, Connector
from .failures import TOO_LATE, closed, out_of_time, transport_failure
from .loop_limits import Deadlines, Gate
from .proxies import environment_proxy, split_credentials
from .task_flights import TaskFlights
from .tls import Trust

LONGEST_CONNECT = 3.0
"""Seconds, the most that a connection may take of a call's own time."""

LONGEST_IDLE = 30.0
"""Seconds a connection may rest before it is not used again: less than servers wait."""

_NO_CONNECTION = (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError)


class _WatchedBody(BytesPayload):
    """A body that notes when it starts to leave: from then on a failure is ambiguous."""

    sent = False

    def __init__(self, value: bytes) -> None:
        super().__init__(SecretBytes(value))

    async def write(self, writer: Any) -> None:
        self.sent = True
        await super().write(writer)

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        # All of it, and not a slice up to its length, which would print.
        await self.write(writer)


@attrs.frozen(eq=False)
class LoopState:
    """What a client has on one event loop, none of which works on another."""

    loop: asyncio.AbstractEventLoop
    session: aiohttp.ClientSession
    deadlines: Deadlines
    gate: Gate
    flights: TaskFlights
    guard: AsyncGenerator[None, None]


class AiohttpTransport:
    """Connections that one client's tasks share, and that belong to one event loop each."""

    def __init__(
        self,
        session: aiohttp.ClientSession | None,
        trust: Trust,
        proxy: str | None,
        trust_env: bool,
        max_connections: int,
    ) -> None:
        self._session = session
        self._trust = trust
        self._proxy = proxy
        self._trust_env = trust_env
        self._max_connections = max_connections
        # The time for the whole of a request is kept by the deadlines of its loop.
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=LONGEST_CONNECT)
        self._states: dict[int, LoopState] = {}
        self._latest: LoopState | None = None
        self._inherited: set[object] = set()
        register_renewable(self)

    def renew(self) -> None:
        """Start over in a child, and leave to its parent what is on the parent's loops."""
        for state in self._states.values():
            connector = state.session.connector
            state.session.detach()
            if isinstance(connector, Connector):
                connector.abandon()
            self._inherited.add(state.loop)
        if self._session is not None:
            self._inherited.add(getattr(self._session, "_loop", None))
        leave_alone(self._states)
        self._states, self._latest = {}, None

    async def state(self) -> LoopState:
        """Give what belongs to the running loop, made at its first use there."""
        latest = self._latest_here()
        if latest is not None:
            return latest
        loop = asyncio.get_running_loop()
        state = self._states.get(id(loop))
        if state is None or state.loop is not loop:
            state = self._made(loop)
            self._states[id(loop)] = state
            await anext(state.guard)
        self._latest = state
        return state

    def _latest_here(self) -> LoopState | None:
        """Return what was used last, if it belongs to this process and the running loop."""
        renew_if_forked()
        state = self._latest
        if state is not None and state.loop is asyncio.get_running_loop():
            return state
        return None

    def _made(self, loop: asyncio.AbstractEventLoop) -> LoopState:
        if loop in self._inherited:
            # Its selector is the parent's too, and the threads that look up names are gone.
            raise ConfigurationError(
                "this event loop was inherited through a fork; run a new one in the "
                "child, as asyncio.run does"
            )
        deadlines, flights = Deadlines(loop), TaskFlights()
        gate = Gate(self._max_connections, loop)
        if self._session is not None:
            if getattr(self._session, "_loop", loop) is not loop:
                raise ConfigurationError(
                    "session belongs to another event loop; make the client where the "
                    "session was made, or leave session out",
                    parameter="session",
                )
            if self._session.closed:
                raise closed("its session")
        session = self._open()
        guard = self._guard(loop, session)
        return LoopState(loop, session, deadlines, gate, flights, guard)

    def _open(self) -> aiohttp.ClientSession:
        """Open a session, on the connections of the application's own where it gave one.

        Its cookies, credentials, headers and ``raise_for_status`` have no place in a grant.
        """
        given = self._session
        session = aiohttp.ClientSession(
            connector=self._connector(),
            connector_owner=given is None,
            trace_configs=None if given is None else given.trace_configs,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_headers=99,  # as many as http.client reads
            auto_decompress=False,  # what was not asked for, the core refuses
            # The environment's proxies are read by us: aiohttp would read ~/.netrc too.
            trust_env=False,
        )
        # It would send a GET again on its own, beside the retries that the policy counts.
        session._retry_connection = False
        return session

    def _connector(self) -> Any:
        if self._session is not None:
            assert self._session.connector is not None
            return BorrowedConnector(self._session.connector)
        return Connector(
            ssl=self._trust.context(),
            limit=self._max_connections,
            keepalive_timeout=LONGEST_IDLE,
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

    def join_crowd(self, timeout: float) -> asyncio.Future[bool] | None:
        """Return the turn that a call must wait for before it begins, if there is a crowd.

        Args:
            timeout: seconds that the call may take.
        """
        state = self._latest_here()
        if state is None:
            return None
        return state.gate.join_crowd(time.monotonic() + timeout)

    async def share(
        self, share: Share[Any], run: Callable[[Flow[Any]], Coroutine[Any, Any, Any]]
    ) -> Any:
        """Run a flow once for all tasks of the running loop that ask for it."""
        state = await self.state()
        return await state.flights.share(share, run)

    async def close(self) -> None:
        """Close the running loop's connections; other loops close theirs as they end."""
        renew_if_forked()
        state = self._states.get(id(asyncio.get_running_loop()))
        if state is not None:
            await state.guard.aclose()

    async def send(self, send: Send) -> Response:
        """Put a request on the wire, and read the whole answer.

        Raises:
            NotSentError: nothing of it left.
            AmbiguousError: something left, and no whole answer came back.
            ClientClosedError: it was closed while this request waited for its turn.
        """
        state = self._latest_here() or await self.state()
        gate = state.gate
        if not (
            gate.enter_at_once() or await gate.enter_in_turn(send.deadline, send.first)
        ):
            raise out_of_time(TOO_LATE)
        try:
            if self._session is not None and self._session.closed:
                raise closed("its session")
            if state.session.closed:
                raise closed()
            outcome = await self._exchange(state, send)
        finally:
            gate.leave()
        if isinstance(outcome, TransportError):
            raise outcome
        return outcome

    async def _exchange(
        self, state: LoopState, send: Send
    ) -> Response | TransportError:
        """Do it, with the failure returned: what ``aiohttp`` raises holds the request."""
        request = send.prepare()
        if send.deadline <= time.monotonic():
            return out_of_time("the deadline passed before the request could be sent")
        body = None if request.body is None else _WatchedBody(request.body)
        # Only values that do not print: an error tracker shows the locals of every frame
        # below when a task is cancelled or a signal handler raises.
        headers = {name: SecretStr(value) for name, value in request.headers.items()}
        try:
            proxy, for_proxy = self._proxy_for(request)
            if not request.url.startswith("https:"):
                # There is no tunnel: the request itself goes to the proxy.
                headers |= for_proxy
            with state.deadlines.until(send.deadline):
                async with state.session.request(
                    request.method,
                    request.url,
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    timeout=self._timeout,
                    proxy=proxy,
                    proxy_headers=for_proxy,
                ) as answer:
                    return await _read(answer, send.limit)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return transport_failure(
                error,
                sent=not isinstance(error, _NO_CONNECTION)
                if body is None
                else body.sent,
                timed_out=isinstance(error, TimeoutError),
                deadline=send.deadline,
            )

    def _proxy_for(self, request: Request) -> tuple[str | None, dict[str, SecretStr]]:
        """Return the URL of the proxy for *request*, if there is one, and its headers."""
        given, trusts = self._session, self._trust_env
        proxy = self._proxy
        auth = None
        if proxy is None and given is not None:
            proxy = getattr(given, "_default_proxy", None)
            auth = getattr(given, "_default_proxy_auth", None)
            trusts = trusts or given.trust_env
        if proxy is None and trusts:
            proxy = environment_proxy(request.url)
        if proxy is None:
            return None, {}
        url, headers = split_credentials(str(proxy))
        if auth is not None:
            headers = {"Proxy-Authorization": SecretStr(auth.encode())}
        return url, headers


async def _read(answer: aiohttp.ClientResponse, limit: int) -> Response:
    """Read the body to its end or its limit; a connection cut short is not used again."""
    headers = tuple(answer.headers.items())
    if answer.status < 200:
        answer.close()
        raise ConnectionError("an interim answer came in place of the answer")
    # A buffer, as it does not print while the next piece is awaited.
    body = io.BytesIO()
    while body.tell() <= limit:
        if not body.write(await answer.content.readany()):
            return Response(answer.status, headers, SecretBytes(body.getvalue()))
    answer.close()
    whole = SecretBytes(body.getvalue()[:limit])
    return Response(answer.status, headers, whole, oversized=True)
