"""A ``requests`` adapter that keeps a deadline, and tells whether anything was sent.

``requests`` bounds each read, not their sum: a server that drips a byte a second holds a
thread for as long as it likes.  Here every read of the socket is given what is left of
the whole call's time.  And an exception of ``requests`` does not tell a connection that
failed from one that was lost with the grant on it, which decides whether the grant may be
sent again: so the connection itself keeps note.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
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

from ..secret import SecretBytes, SecretStr
from .proxies import split_credentials

LONGEST_IDLE = 30.0
"""Seconds a connection may rest before it is not used again: less than servers wait, as one
that the server closes under a request leaves it unknown whether the grant was taken."""

LONGEST_LINE = 8_192
"""Bytes of a header line, its end included, that are read: about what ``aiohttp`` allows."""


class HeaderValue(SecretStr):
    """A header's value that does not print, even when ``http.client`` has encoded it."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> SecretBytes:
        """Return the bytes, which do not print either."""
        return SecretBytes(super().encode(encoding, errors))


class _Call(threading.local):
    """The call that this thread is making."""

    deadline: float = 0.0
    sent: bool = False


current: _Call = _Call()


def _remaining() -> float:
    left = current.deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _DeadlineReader(io.RawIOBase):
    """A socket's reading end that waits no longer than the call may."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        # The socket's own raw reader counts as a user of it, so that it outlives a close.
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_remaining())
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _WholeLines(io.BufferedReader):
    """A reader for which a line that ends with the connection is no line.

    ``http.client`` takes the end of the connection for the end of the headers, and half a
    header for a whole one.
    """

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise ConnectionResetError("a header is cut short, or too long")
        return line


class _FinalResponse(http.client.HTTPResponse):
    """An answer, the interim ones before it passed over (RFC 9110 section 15.2).

    The parent passes over 100 alone.  It would take a 103 for the answer, and the grant
    that follows would be given to whoever uses the connection next.
    """

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            read: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            # RFC 9110 15.2.2: after a 101 the connection speaks another protocol.
            if not 100 <= read[1] < 200 or read[1] == http.client.SWITCHING_PROTOCOLS:
                return read
            http.client.parse_headers(self.fp)

    def _safe_read(self, amt: int) -> SecretBytes:
        """Read a chunk of a body, which the parent keeps in a local until the last."""
        return SecretBytes(super()._safe_read(amt))  # type: ignore[misc]


class _DeadlineSocket:
    """A connected socket whose readers keep the deadline."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def makefile(
        self, mode: str = "rb", *args: Any, **kwargs: Any
    ) -> io.BufferedReader:
        return _WholeLines(_DeadlineReader(self._sock))

    def sendall(self, data: Any) -> None:
        self._sock.settimeout(_remaining())
        self._sock.sendall(data)


class _Watched(HTTPConnection):
    """A connection that keeps the deadline and notes when something leaves on it."""

    response_class = _FinalResponse
    _buffer: list[bytes]
    _rested_since: float = 0.0

    def _new_conn(self) -> socket.socket:
        """Try the host's addresses in turn, with one time for all of them.

        The parent gives each of them the whole time, which a host of several that are out
        of reach makes a multiple of the deadline.
        """
        host, patience = self._dns_host, self.timeout or 0.0
        addresses = self._addresses()
        # To find the name may have taken more than all the time there was.
        ends = time.monotonic() + min(patience, _remaining())
        try:
            while True:
                self._dns_host = addresses.pop(0)
                left = ends - time.monotonic()
                self.timeout = max(left, 0.001) / (len(addresses) + 1)
                try:
                    sock = super()._new_conn()
                except (NewConnectionError, ConnectTimeoutError):
                    if not addresses:
                        raise
                else:
                    # What TLS has: the rest of the time to connect.
                    sock.settimeout(max(ends - time.monotonic(), 0.001))
                    return sock
        finally:
            self._dns_host, self.timeout = host, patience

    def _addresses(self) -> list[str]:
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, 0, socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        return [str(address[0]) for *_, address in found]

    def _tunnel(self) -> None:
        """Ask a proxy for the way: no part of the request, but within its deadline."""
        plain = self.sock
        self.sock = _DeadlineSocket(plain)
        try:
            super()._tunnel()
        finally:
            current.sent = False
            if self.sock is not None:
                self.sock = plain

    def _send_output(
        self, message_body: Any = None, encode_chunked: bool = False
    ) -> None:
        """Send the head, which the parent keeps in a local that prints.

        On a connection without TLS, the parent connects at this point.
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
        # What is late before it starts to leave has not left.
        _remaining()
        current.sent = True
        super().send(data)

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        response = super().getresponse(*args, **kwargs)
        self._rested_since = time.monotonic()
        return response

    @property
    def is_connected(self) -> bool:
        rested = time.monotonic() - self._rested_since if self._rested_since else 0.0
        return rested < LONGEST_IDLE and super().is_connected and not self._surplus()

    def _surplus(self) -> int:
        """Tell whether TLS holds bytes that no request asked for, which no poll sees."""
        pending = getattr(self.sock, "pending", None)
        return 0 if pending is None else pending()


class _WatchedHTTPS(_Watched, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    # urllib3 types the class by a protocol that its own connections do not meet.
    ConnectionCls = _Watched  # pyright: ignore[reportAssignmentType]


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedHTTPS  # pyright: ignore[reportAssignmentType]


class DeadlineAdapter(HTTPAdapter):
    """An adapter with one TLS context for life and connections that keep a deadline.

    ``send`` is the parent's own, so that what patches it in tests finds it.
    """

    def __init__(self, context: ssl.SSLContext | None, max_connections: int) -> None:
        self._context = context
        super().__init__(pool_connections=100, pool_maxsize=max_connections)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **kwargs: Any
    ) -> None:
        """Make the pools, whose connections share the context."""
        super().init_poolmanager(
            connections, maxsize, block, ssl_context=self._context, **kwargs
        )
        _watch(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make the pools that go through *proxy*, alike."""
        manager = super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)
        _watch(manager)
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Return the headers for *proxy*, whose credentials do not print."""
        _, headers = split_credentials(proxy)
        return {name: HeaderValue(value) for name, value in headers.items()}

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give the pool of the URL; the context already says whom to trust."""
        parts = urlsplit(str(request.url))
        host = {"scheme": parts.scheme, "host": parts.hostname, "port": parts.port}
        return host, {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the connection alone: the parent would load the CAs again for each one."""

    def build_response(
        self, req: requests.PreparedRequest, resp: Any
    ) -> requests.Response:
        """Wrap the answer, without a look at its cookies: none is ever sent back."""
        response = requests.Response()
        response.status_code = resp.status
        response.raw = resp
        # For what patches ``send`` in an application's tests, and looks at both.
        response.request = req
        return response


def _watch(manager: Any) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
