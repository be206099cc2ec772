"""A ``requests`` adapter that keeps one deadline for a call, and notes what was sent.

``requests`` and ``http.client`` leave four things to be done for a grant that may be spent:

1. **One deadline.**  ``requests`` bounds each read and not their sum, so a server that sends
   a byte a second holds a thread for ever.  Here each step gets what is left of the call's
   time: each address, the proxy's tunnel, TLS, each write and each read.  Looking up the
   name cannot be cut short, but its time counts.
2. **Whether anything was sent.**  An exception of ``requests`` does not tell a connection that
   failed from one that was lost with the grant on it, and only in the first case may the
   grant be sent again.  The connection itself notes when a request starts to leave.
3. **One response to one request.**  ``http.client`` takes an interim response for the final
   one, and the end of a connection for the end of the headers.  A pooled connection is used
   again only if nothing has arrived on it meanwhile.
4. **Locals that do not print.**  An error tracker shows the locals of each frame that an
   exception out of a signal handler passes, such as Celery's soft time limit.

The deadline and the note belong to the thread that makes the call, because connections are
pooled and ``requests`` has no way to hand them through.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
)

from ..clocks import read_monotonic
from ..secret import SecretBytes
from .failures import TooLateError
from .idle_connections import HostPools, IdleConnections
from .keep_alive import LONGEST_IDLE, SOCKET_OPTIONS
from .proxies import split_credentials
from .response_readers import BufferedReader, RawReader
from .tls import check_connection

LONGEST_LINE = 8_192
"""Bytes of a header line that are read, its end included: about what ``aiohttp`` allows."""

_DEFAULT_OPTIONS: Any = HTTPConnection.default_socket_options
_SOCKET_OPTIONS = (*_DEFAULT_OPTIONS, *SOCKET_OPTIONS)

_MOST_POOLS = 100
"""Hosts whose connections are kept at rest."""

_SHORTEST_WAIT = 0.001
"""Seconds; a timeout of 0 would mean not to wait, which is another error."""


class _Call(threading.local):
    """The call that this thread is making.

    Attributes:
        deadline: on the monotonic clock.
        latest: when the request must have begun to leave, on the same clock.
        sent: whether anything of the request has left.
        is_watched: whether *sent* is noted; our own adapter always does it.
        left_at: when it began to leave; before, when it was handed on.
    """

    deadline: float = 0.0
    latest: float = 0.0
    sent: bool = False
    is_watched: bool = False
    left_at: float = 0.0


current_call: _Call = _Call()


def _require_time_left() -> float:
    """Return the seconds that this thread's call has left.

    Raises:
        TimeoutError: there are none.
    """
    left = current_call.deadline - read_monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _DeadlineReader(RawReader):
    """The reading end of a socket, each of whose waits ends at the call's deadline."""

    def prepare(self) -> None:
        self._sock.settimeout(_require_time_left())


class _WholeLineReader(BufferedReader):
    """A reader whose data do not print, and that refuses a line without an end.

    ``http.client`` takes the end of the connection for the end of the headers, and half a
    header for a whole one.
    """

    def read(self, size: int | None = -1) -> bytes:
        # A piece of a body, which does not print in the frames that it passes.
        return SecretBytes(super().read(size))

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise ConnectionResetError("a header is incomplete, or longer than 8 KiB")
        return line


class _FinalResponse(http.client.HTTPResponse):
    """A response that passes over interim ones before it (RFC 9110 section 15.2).

    The parent passes over 100 alone.  It would take a 103 for the response, and the grant
    that follows would go to whoever uses the connection next.
    """

    # For a response whose making an interrupt cut short, which the parent closes as if it
    # were whole.
    fp: Any = None

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            # RFC 9110 section 15.2.2: after a 101 the connection speaks another protocol.
            is_interim = 100 <= status[1] < 200
            if not is_interim or status[1] == http.client.SWITCHING_PROTOCOLS:
                return status
            http.client.parse_headers(self.fp)

    def _safe_read(self, amt: int) -> SecretBytes:
        """Read a chunk of a body, which the parent keeps in a local until the last."""
        return SecretBytes(super()._safe_read(amt))  # type: ignore[misc]


class _DeadlineSocket:
    """A connected socket whose reads and writes keep the call's deadline.

    Attributes:
        has_surplus: whether a reader was closed with bytes that nobody has read: they came
            behind a response, and may be the beginning of another.
    """

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.has_surplus: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def makefile(
        self, mode: str = "rb", *args: Any, **kwargs: Any
    ) -> io.BufferedReader:
        return _WholeLineReader(_DeadlineReader(self._sock, self))

    def sendall(self, data: Any) -> None:
        self._sock.settimeout(_require_time_left())
        self._sock.sendall(data)


class _WatchedConnection(HTTPConnection):
    """A connection that keeps the deadline, and notes when a request starts to leave."""

    response_class = _FinalResponse
    _buffer: list[bytes]
    rested_since: float = 0.0

    def _new_conn(self) -> socket.socket:
        """Try the host's addresses in turn, with one time limit for all of them.

        The parent gives each address the whole time, so a host with several addresses out
        of reach would take a multiple of the deadline.
        """
        host, patience = self._dns_host, self.timeout or 0.0
        addresses = self._resolve()
        # Finding the name may have taken all the time there was.
        ends = read_monotonic() + min(patience, _require_time_left())
        try:
            while True:
                self._dns_host = addresses.pop(0)
                left = max(ends - read_monotonic(), _SHORTEST_WAIT)
                # An even share, so that an address out of reach leaves time for the next.
                self.timeout = left / (len(addresses) + 1)
                try:
                    sock = super()._new_conn()
                except (NewConnectionError, ConnectTimeoutError):
                    if not addresses:
                        raise
                else:
                    # TLS has the rest of the time to connect.
                    sock.settimeout(max(ends - read_monotonic(), _SHORTEST_WAIT))
                    return sock
        finally:
            self._dns_host, self.timeout = host, patience

    def _resolve(self) -> list[str]:
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, 0, socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        return [str(address[0]) for *_, address in found]

    def _tunnel(self) -> None:
        """Ask a proxy for a tunnel: within the deadline, and before the request."""
        plain = self.sock
        self.sock = _DeadlineSocket(plain)
        try:
            super()._tunnel()
        finally:
            # What was sent to the proxy is not a part of the request.
            current_call.sent = False
            if self.sock is not None:
                self.sock = plain

    def _send_output(
        self, message_body: Any = None, encode_chunked: bool = False
    ) -> None:
        """Send the head, which the parent keeps in a local that prints.

        On a connection without TLS, this is where the parent connects.
        """
        self._buffer.extend((b"", b""))
        head = SecretBytes(b"\r\n".join(self._buffer))
        self._buffer.clear()
        self.send(head)

    def connect(self) -> None:
        super().connect()
        self.sock = _DeadlineSocket(self.sock)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        # A request that is late before it starts to leave has not left.
        _require_time_left()
        if not current_call.sent:
            now = read_monotonic()
            if now > current_call.latest:
                raise TooLateError
            current_call.left_at, current_call.sent = now, True
        super().send(data)

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        response = super().getresponse(*args, **kwargs)
        self.rested_since = read_monotonic()
        return response

    @property
    def is_connected(self) -> bool:
        # urllib3 asks before it uses a connection from the pool again.
        rested = read_monotonic() - self.rested_since if self.rested_since else 0.0
        return (
            rested < LONGEST_IDLE and super().is_connected and not self._has_surplus()
        )

    def _has_surplus(self) -> bool:
        """Return whether bytes came behind a response, where a poll does not see them."""
        if getattr(self.sock, "has_surplus", False):
            return True
        # TLS has read them, and holds them back.
        pending = getattr(self.sock, "pending", None)
        return pending is not None and pending() > 0


class _WatchedTlsConnection(_WatchedConnection, HTTPSConnection):
    """The same over TLS."""

    def connect(self) -> None:
        super().connect()
        if self.ssl_context is None:
            return
        try:
            check_connection(self.sock, self.ssl_context)
        except BaseException:
            self.close()
            raise


class _WatchedPool(HTTPConnectionPool):
    # urllib3 types the class by a protocol that its own connections do not meet.
    ConnectionCls = _WatchedConnection  # pyright: ignore[reportAssignmentType]
    QueueCls: Any = IdleConnections


class _WatchedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTlsConnection  # pyright: ignore[reportAssignmentType]
    QueueCls: Any = IdleConnections


class DeadlineAdapter(HTTPAdapter):
    """An adapter with one TLS context for life, whose connections keep a deadline.

    ``send`` is the parent's own, so that libraries which patch it in tests find it.
    """

    def __init__(self, context: ssl.SSLContext | None, max_connections: int) -> None:
        self._context = context
        super().__init__(pool_connections=_MOST_POOLS, pool_maxsize=max_connections)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **kwargs: Any
    ) -> None:
        """Make the pools, whose connections share the context."""
        super().init_poolmanager(
            connections,
            maxsize,
            block,
            ssl_context=self._context,
            socket_options=_SOCKET_OPTIONS,
            **kwargs,
        )
        _use_watched_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make the pools that go through *proxy*, with the same context."""
        manager = super().proxy_manager_for(
            proxy,
            ssl_context=self._context,
            # Of a proxy that is spoken to over TLS.  urllib3 would make a context of its
            # own, which obeys the environment.
            proxy_ssl_context=self._context,
            socket_options=_SOCKET_OPTIONS,
            **kwargs,
        )
        _use_watched_pools(manager)
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Return the headers for *proxy*, whose credentials do not print."""
        _, headers = split_credentials(proxy)
        return dict(headers)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the pool's key for the URL; the context already says whom to trust."""
        parts = urlsplit(str(request.url))
        host = {"scheme": parts.scheme, "host": parts.hostname, "port": parts.port}
        return host, {}

    def find_pool(self, url: str, proxy: str | None) -> HTTPConnectionPool:
        """Return the pool of connections to the host of *url*, or to it through *proxy*."""
        parts = urlsplit(url)
        manager = self.poolmanager if proxy is None else self.proxy_manager_for(proxy)
        pool: HTTPConnectionPool = manager.connection_from_host(
            parts.hostname, parts.port, parts.scheme
        )
        return pool

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Do nothing: the parent would load the CAs again for each connection."""

    def build_response(
        self, req: requests.PreparedRequest, resp: Any
    ) -> requests.Response:
        """Wrap the response without reading its cookies: none is ever sent back."""
        response = requests.Response()
        response.status_code = resp.status
        response.raw = resp
        # Libraries that patch ``send`` in an application's tests look at both.
        response.request = req
        return response


def _use_watched_pools(manager: Any) -> None:
    if isinstance(manager.pools, HostPools):
        # The proxy's, which serves every request.
        return
    manager.pools = HostPools(_MOST_POOLS)
    manager.pool_classes_by_scheme = {"http": _WatchedPool, "https": _WatchedTlsPool}
    # urllib3's key has all settings of a pool in it, which here are the same for each.
    manager.key_fn_by_scheme = dict.fromkeys(("http", "https"), _get_host)


def _get_host(settings: dict[str, Any]) -> tuple[str, str, int]:
    """Return where the connections of a pool with such settings go."""
    return settings["scheme"], settings["host"], settings["port"]
