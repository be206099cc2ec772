"""A ``requests`` adapter that keeps a deadline, and tells whether anything was sent.

``requests`` bounds each read, not their sum: a server that drips a byte a second holds a
thread for as long as it likes.  Here every read of the socket is given what is left of
the whole call's time.  And an exception of ``requests`` does not tell a connection that
failed from one that was lost with the grant on it, which decides whether the grant may be
sent again: so the connection itself keeps note.
"""

from __future__ import annotations

import io
import ssl
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

LONGEST_IDLE = 30.0
"""Seconds a connection may rest before it is not used again: less than servers wait, as one
that the server closes under a request leaves it unknown whether the grant was taken."""


class _Call(threading.local):
    """The call that this thread is making."""

    deadline: float = 0.0
    sent: bool = False


current = _Call()


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


class _DeadlineSocket:
    """A connected socket whose readers keep the deadline."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def makefile(self, mode: str = "rb", *args: Any, **kwargs: Any) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineReader(self._sock))

    def sendall(self, data: Any) -> None:
        self._sock.settimeout(_remaining())
        self._sock.sendall(data)


class _Watched(HTTPConnection):
    """A connection that keeps the deadline and notes when something leaves on it."""

    _rested_since: float = 0.0

    def connect(self) -> None:
        super().connect()
        self.sock = _DeadlineSocket(self.sock)  # type: ignore[assignment]

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        current.sent = True
        super().send(data)

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        response = super().getresponse(*args, **kwargs)
        self._rested_since = time.monotonic()
        return response

    @property
    def is_connected(self) -> bool:
        rested = time.monotonic() - self._rested_since if self._rested_since else 0.0
        return rested < LONGEST_IDLE and super().is_connected


class _WatchedHTTPS(_Watched, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedHTTPS


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

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give the pool of the URL; the context already says whom to trust."""
        parts = urlsplit(str(request.url))
        host = {"scheme": parts.scheme, "host": parts.hostname, "port": parts.port}
        return host, {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the connection alone: the parent would load the CAs again for each one."""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Wrap the answer, without a look at its cookies: none is ever sent back."""
        response = requests.Response()
        response.status_code = resp.status
        response.raw = resp
        return response


def _watch(manager: Any) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
