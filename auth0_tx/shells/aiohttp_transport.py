"""The asyncio transport: a request value in, a response value out, over ``aiohttp``.

A client may be used on several event loops, one after another or in several threads at once.
Connections, timers and tasks work on one loop only, so each loop gets a ``LoopState`` at its
first use.  It ends with the loop's asynchronous generators, which ``asyncio.run`` shuts down.

One request goes like this:

1. It waits at the gate for one of ``max_connections`` places, up to its deadline.
2. It is built, so that ten thousand waiting tasks hold no bodies, and an assertion is signed
   when it is sent.
3. It goes out on a connection of ours, or on one of the application's session, which is taken
   only while it is quiet (see ``aiohttp_connector``).  It passes the session's own requests by
   (see ``aiohttp_wire``), unless a mock or a tracer wants to see it: then it is one of them.
   Either way an ``Attempt`` notes when it starts to leave.
4. The response is read to its end or its limit.  A response that is not read to its end
   closes its connection.

Failures are returned to ``send`` and raised there, because an exception of ``aiohttp`` refers
to the request.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import Any

import aiohttp
import attrs
from aiohttp.http import HttpProcessingError
from aiohttp.http_writer import StreamWriter
from aiohttp.payload import BytesPayload

from ..bounded import BoundedDict
from ..clocks import read_monotonic
from ..core.effects import Flow, Request, Response, Send, Share
from ..errors import Auth0Error, ConfigurationError
from ..secret import SecretBytes, SecretStr
from . import after_fork
from .after_fork import leave_alone, register_renewable, renew_if_forked
from .aiohttp_connector import BorrowedConnector, Connector
from .aiohttp_trust import check_connector
from .aiohttp_wire import (
    MOST_HEADERS,
    Attempt,
    Target,
    is_observed,
    make_target,
    read_body,
    send_directly,
)
from .failures import client_closed_error, crowded_error, to_transport_error
from .keep_alive import LONGEST_IDLE
from .loop_limits import Deadlines, Gate
from .proxies import environment_proxy, require_proxy, split_credentials
from .task_flights import TaskFlights
from .tls import Trust

LONGEST_CONNECT = 3.0
"""Seconds that connecting may take of a call's time, so that another attempt is possible."""

_MOST_TARGETS = 200
"""URLs whose targets are kept: two of each of a hundred domains."""

# Exceptions of aiohttp, of the loop and of TLS.  RuntimeError: there is no thread to be had, or
# the interpreter ends.
_FAILURES = (
    aiohttp.ClientError,
    aiohttp.EofStream,
    HttpProcessingError,
    OSError,
    RuntimeError,
    ValueError,
)

# Raised before anything of a request has left, the tunnel's own request aside.  RuntimeError:
# the name lookup has no thread to run in.
_NO_CONNECTION = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    RuntimeError,
)


class _ConcealedWriter(StreamWriter):
    """A writer that joins head and body to bytes that do not print.

    A signal may strike while the loop sends, and the frames of aiohttp, asyncio and TLS then
    hold the head with the client's credentials and the body with the token.
    """

    def _writelines(self, chunks: Any) -> None:
        self._write(SecretBytes(b"".join(chunks)))


def _conceal_writer(writer: Any) -> None:
    """Conceal what a writer of aiohttp, which makes its own, has yet to send."""
    # Not a writer that a library for tests put in its place.
    if type(writer) is StreamWriter:
        writer.__class__ = _ConcealedWriter
        if writer._headers_buf:
            writer._headers_buf = SecretBytes(writer._headers_buf)


class _WatchedBody(BytesPayload):
    """A body that notes when it starts to leave."""

    def __init__(self, body: bytes, latest: float, attempt: Attempt) -> None:
        super().__init__(SecretBytes(body))
        self._latest = latest
        self._attempt = attempt

    async def write(self, writer: Any) -> None:
        # Nothing of the request has left: aiohttp sends the headers with the body.
        self._attempt.leave(self._latest)
        _conceal_writer(writer)
        await super().write(writer)

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        # The parent would write a slice up to the length, which prints.
        await self.write(writer)


@attrs.frozen(eq=False)
class LoopState:
    """The parts of a client that work on one event loop only.

    Attributes:
        loop: the event loop.
        session: of aiohttp, ours.
        deadlines: of the requests on the wire.
        calls: limits how many calls have begun.
        gate: limits how many requests are on the wire.
        flights: the runs that several callers share.
        tasks: what nobody waits for.
        targets: what requests have in common, by method and URL.
        guard: closes the session when it is closed, or when the loop ends.
    """

    loop: asyncio.AbstractEventLoop
    session: aiohttp.ClientSession
    deadlines: Deadlines
    calls: Gate
    gate: Gate
    flights: TaskFlights
    tasks: set[asyncio.Task[None]]
    targets: BoundedDict[tuple[str, str], Target]
    guard: AsyncGenerator[None, None]


class AiohttpTransport:
    """Connections of one client, shared by its tasks, each on one event loop."""

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
        # The loop's deadlines limit a request as a whole, more cheaply than aiohttp would.
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=LONGEST_CONNECT)
        self._states: dict[int, LoopState] = {}
        self._latest: LoopState | None = None
        self._inherited: set[object] = set()
        register_renewable(self)

    def renew(self) -> None:
        """Start over in a child, and leave the parent's connections and loops alone.

        Closing a connection here would end it for the parent too, which still uses it.
        """
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

    def _find_state(self) -> LoopState:
        """Return the state of the running loop, made at its first use there.

        Raises:
            ConfigurationError: the loop, or the application's session, is of another process
                or another loop.
            ClientClosedError: the application's session is closed.
        """
        # The comparison is here too, because a call for it would cost as much again.
        if os.getpid() != after_fork.process_id:
            renew_if_forked()
        state = self._latest
        loop = asyncio.get_running_loop()
        # Nearly all calls get the state that was used last, without a look-up.
        if state is not None and state.loop is loop:
            return state
        state = self._states.get(id(loop))
        if state is None or state.loop is not loop:
            self._drop_dead_states()
            state = self._make_state(loop)
            self._states[id(loop)] = state
            # Runs the guard to its yield: only a generator that has begun is shut down.
            with suppress(StopIteration):
                state.guard.__anext__().send(None)
        self._latest = state
        return state

    def _drop_dead_states(self) -> None:
        """Forget the states of loops that were closed before they shut down our guard.

        Their connections are closed when they are freed: a closed loop closes none.
        """
        for key, state in tuple(self._states.items()):
            if state.loop.is_closed():
                self._states.pop(key, None)
                if self._latest is state:
                    self._latest = None
                # Otherwise it would be reported as left open, to a loop that is closed.
                with suppress(RuntimeError):
                    state.session.detach()

    def _make_state(self, loop: asyncio.AbstractEventLoop) -> LoopState:
        if loop in self._inherited:
            # Its selector is the parent's too, and its threads for names do not exist here.
            raise ConfigurationError(
                "this event loop was inherited through a fork; run a new one in the "
                "child, as asyncio.run does"
            )
        deadlines, flights = Deadlines(loop), TaskFlights()
        gate = Gate(self._max_connections, loop)
        # As many again, so that whoever leaves the wire finds a next one that is ready.
        calls = Gate(2 * self._max_connections, loop)
        if self._session is not None:
            if getattr(self._session, "_loop", loop) is not loop:
                raise ConfigurationError(
                    "session belongs to another event loop; make the client where the "
                    "session was made, or leave session out",
                    parameter="session",
                )
            if self._session.closed:
                raise client_closed_error("the client's session")
        session = self._open()
        guard = self._guard(loop, session)
        targets = BoundedDict[tuple[str, str], Target](_MOST_TARGETS)
        return LoopState(
            loop, session, deadlines, calls, gate, flights, set(), targets, guard
        )

    def _open(self) -> aiohttp.ClientSession:
        """Open a session, on the application's connections if it gave a session.

        A session of ours, because the application's cookies, credentials, headers and
        ``raise_for_status`` must not become a part of a grant.
        """
        given = self._session
        session = aiohttp.ClientSession(
            connector=self._make_connector(),
            connector_owner=given is None,
            trace_configs=None if given is None else given.trace_configs,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_headers=MOST_HEADERS,
            # Compression was not asked for, and could inflate without bound.
            auto_decompress=False,
            # We read the environment's proxies ourselves: aiohttp would read ~/.netrc too.
            trust_env=False,
        )
        # aiohttp would send a GET again by itself, beside the retries that the policy counts.
        session._retry_connection = False
        return session

    def _make_connector(self) -> Any:
        if self._session is not None:
            assert self._session.connector is not None
            return BorrowedConnector(self._session.connector)
        return Connector(
            ssl=self._trust.load_context(),
            limit=self._max_connections,
            keepalive_timeout=LONGEST_IDLE,
        )

    async def _guard(
        self, loop: asyncio.AbstractEventLoop, session: aiohttp.ClientSession
    ) -> AsyncGenerator[None, None]:
        """Close the session when the loop shuts down its asynchronous generators.

        That is the one moment at which a loop that ends still runs code of ours.  So a client
        that is used under several ``asyncio.run`` leaves nothing open.
        """
        try:
            yield
        finally:
            self._states.pop(id(loop), None)
            if self._latest is not None and self._latest.loop is loop:
                self._latest = None
            await session.close()

    def find_call_gate(self) -> Gate:
        """Return the gate that a call passes before it begins, on the running loop."""
        return self._find_state().calls

    async def share(
        self, share: Share[Any], run: Callable[[Flow[Any]], Coroutine[Any, Any, Any]]
    ) -> Any:
        """Run a flow once for all tasks of the running loop that ask for it."""
        return await self._find_state().flights.share(share, run)

    def begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run *coroutine* in a task that nobody waits for; closing the client cancels it.

        If the client was closed meanwhile it is not run at all.  The call that it follows has
        its answer, so nothing here may fail, nor open connections that nobody would close.
        """
        renew_if_forked()
        loop = asyncio.get_running_loop()
        state = self._states.get(id(loop))
        if state is None or state.loop is not loop:
            coroutine.close()
            return
        task = loop.create_task(coroutine)
        # Kept here, because a loop refers to its tasks weakly.
        state.tasks.add(task)
        task.add_done_callback(state.tasks.discard)

    async def close(self) -> None:
        """Close the running loop's connections; other loops close theirs as they end.

        Runs that outlive their callers end first, as what they were issued would be lost.
        """
        renew_if_forked()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # A task that outlived its loop is closed when it is freed, and with it the block
            # of the client.  Its connections went with the loop.
            return
        state = self._states.get(id(loop))
        if state is not None:
            await state.flights.finish()
            await _cancel(state.tasks)
            await state.guard.aclose()

    async def send(self, send: Send) -> Response:
        """Put a request on the wire, and return the whole response.

        Raises:
            NotSentError: nothing of it left.
            AmbiguousError: something left, and no complete response came back.
            ClientClosedError: the client was closed while this request waited.
        """
        state = self._find_state()
        gate = state.gate
        if gate.free:
            gate.free -= 1
        elif not await gate.wait(gate.join(send.deadline, send.first)):
            raise crowded_error()
        try:
            if self._session is not None and self._session.closed:
                raise client_closed_error("the client's session")
            if state.session.closed:
                raise client_closed_error()
            outcome = await self._exchange(state, send, send.prepare())
        finally:
            gate.leave()
        if isinstance(outcome, Auth0Error):
            raise outcome
        return outcome

    async def _exchange(
        self, state: LoopState, send: Send, request: Request
    ) -> Response | Auth0Error:
        """Send a request and read its response; return what went wrong as our error."""
        if send.deadline <= read_monotonic():
            return crowded_error()
        attempt = Attempt()
        is_direct = not is_observed(state.session)
        try:
            self._check_trust(request.url)
            with state.deadlines.until(send.deadline):
                if is_direct:
                    return await send_directly(
                        state.session,
                        self._find_target(state, request),
                        request,
                        send.limit,
                        self._timeout,
                        attempt,
                    )
                return await self._send_observed(
                    state.session, request, send.limit, attempt
                )
        except ConfigurationError as error:
            # A copy, as the frames of this one refer to the request.
            return error.evolve()
        except _FAILURES as error:
            if attempt.refusal is not None:
                # The status of an error says what became of the grant.
                return attempt.refusal
            sent = attempt.left_at > 0.0
            if not is_direct and request.body is None:
                # Nothing is spent, and the error's class tells enough.
                sent = not isinstance(error, _NO_CONNECTION)
            return to_transport_error(
                error,
                sent=sent,
                timed_out=isinstance(error, TimeoutError),
                deadline=send.deadline,
            )

    def _find_target(self, state: LoopState, request: Request) -> Target:
        """Return the target of *request*, which is kept where there is no proxy.

        A proxy has credentials, and its name in the environment may change.
        """
        proxy, proxy_headers = self._find_proxy(request)
        ssl = self._find_environment_context()
        if proxy is not None:
            return make_target(state.session, request, ssl, proxy, proxy_headers)
        target = state.targets.get((request.method, request.url))
        if target is None or not target.serves(request, ssl):
            target = make_target(state.session, request, ssl)
            state.targets.add((request.method, request.url), target)
        return target

    async def _send_observed(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        limit: int,
        attempt: Attempt,
    ) -> Response:
        """Send *request* through *session*, where mocks and tracers see it."""
        proxy, proxy_headers = self._find_proxy(request)
        # Only values that do not print: an error tracker shows the locals of every frame
        # below when a task is cancelled or a signal handler raises.
        headers = {name: SecretStr(value) for name, value in request.headers.items()}
        if not request.url.startswith("https:"):
            # There is no tunnel: the request itself goes to the proxy.
            headers |= proxy_headers
        body = None
        if request.body is not None:
            body = _WatchedBody(request.body, request.latest, attempt)
        async with session.request(
            request.method,
            request.url,
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=self._timeout,
            proxy=proxy,
            proxy_headers=proxy_headers,
            ssl=self._find_environment_context(),
        ) as response:
            fields = tuple(response.headers.items())
            attempt.note_status(response.status, fields)
            content, is_oversized = await read_body(response.content, limit)
            if is_oversized:
                response.close()
            return Response(
                response.status,
                fields,
                content,
                is_oversized,
                attempt.count_seconds(),
            )

    def _check_trust(self, url: str) -> None:
        """Check that connections will verify the server, as it may have changed.

        Raises:
            ConfigurationError: they will not.
        """
        if self._session is None:
            self._trust.check()
        else:
            check_connector(self._session.connector, url)

    def _find_environment_context(self) -> Any:
        """Return a context for the environment's bundle, if a session leaves it the choice."""
        given = self._session
        if (
            given is None
            or getattr(given.connector, "_ssl", None) is not True
            or self._trust.find_environment_bundle() is None
        ):
            return True
        return self._trust.load_context()

    def _find_proxy(self, request: Request) -> tuple[str | None, dict[str, SecretStr]]:
        """Return the URL of the proxy for *request*, if there is one, and its headers."""
        given, trusts = self._session, self._trust_env
        proxy = self._proxy
        auth = None
        if proxy is None and given is not None:
            proxy = getattr(given, "_default_proxy", None)
            if proxy is not None:
                proxy = require_proxy(SecretStr(proxy), "the session's proxy")
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


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel *tasks*, and wait for their end; one of them may be closing the client."""
    others = tasks - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others)
