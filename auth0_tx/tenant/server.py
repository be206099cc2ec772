"""Sockets: accepts on loopback, and gives each connection a thread of its own.

The TLS handshake happens in that thread, so a client that hangs never keeps the
next one waiting. A child process made by fork never serves.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from .connection import Connection, Service

_BACKLOG = 1024
_JOIN_SECONDS = 5.0
_PORT_ATTEMPTS = 20


class Server:
    """Serve *service* on a loopback port between `start()` and `stop()`.

    Args:
        service: Who answers.
        port: The port; 0 takes a free one, kept over a restart.
        context: The TLS context, or None for plain HTTP.
        clock: Return the tenant's time in seconds since the epoch.
        idle_seconds: How long an idle connection is kept.
    """

    def __init__(
        self,
        service: Service,
        *,
        port: int,
        context: ssl.SSLContext | None,
        clock: Callable[[], float],
        idle_seconds: float,
    ) -> None:
        self.port: int = port
        self.accepted: int = 0
        self._service = service
        self._context = context
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._conversations: dict[Connection, threading.Thread] = {}
        self._listeners: list[socket.socket] = []
        self._waker: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        _servers.add(self)

    @property
    def running(self) -> bool:
        """Tell whether the server accepts connections."""
        return self._acceptor is not None

    def start(self) -> None:
        """Listen and accept.

        Raises:
            RuntimeError: It is running already.
            OSError: The port is taken.
        """
        if self.running:
            raise RuntimeError("the tenant is already started")
        self.port, self._listeners = _listen(self.port)
        woken, self._waker = socket.socketpair()
        self._acceptor = threading.Thread(
            target=self._accept,
            args=(tuple(self._listeners), woken),
            name=f"auth0-tx tenant {self.port}",
            daemon=True,
        )
        self._acceptor.start()

    def stop(self) -> None:
        """Stop accepting, end every connection and wait for its thread. Idempotent."""
        acceptor, waker = self._acceptor, self._waker
        if acceptor is None or waker is None:
            return
        self._acceptor = self._waker = None
        waker.send(b"\0")
        waker.close()
        acceptor.join(_JOIN_SECONDS)
        self._listeners.clear()
        self.drop_connections()

    def drop_connections(self) -> None:
        """End every open connection and wait for its thread."""
        with self._lock:
            conversations = dict(self._conversations)
        for connection in conversations:
            connection.abort()
        give_up = time.monotonic() + _JOIN_SECONDS
        for thread in conversations.values():
            # An Action may be running user code that nothing can interrupt.
            thread.join(max(0.0, give_up - time.monotonic()))

    def abandon(self) -> None:  # pragma: no cover - runs in forked children
        """Let go of all that a forked child inherited from its parent."""
        held = [*self._listeners, *([self._waker] if self._waker else [])]
        for one in held:
            one.close()
        for connection in self._conversations:
            connection.abandon()
        self._listeners.clear()
        self._conversations.clear()
        # Another thread of the parent may have held it at the moment of the fork.
        self._lock = threading.Lock()
        self._acceptor = self._waker = None

    def _accept(
        self, listeners: tuple[socket.socket, ...], woken: socket.socket
    ) -> None:
        with selectors.DefaultSelector() as selector:
            for one in (*listeners, woken):
                selector.register(one, selectors.EVENT_READ)
            stopping = False
            while not stopping:
                for selected, _ in selector.select():
                    if selected.fileobj is woken:
                        stopping = True
                    else:
                        self._accept_one(cast("socket.socket", selected.fileobj))
        for one in (*listeners, woken):
            one.close()

    def _accept_one(self, listener: socket.socket) -> None:
        try:
            accepted, address = listener.accept()
        except OSError as error:
            # Out of descriptors: the client waits in the backlog, and we do not spin.
            if error.errno in (errno.EMFILE, errno.ENFILE):
                time.sleep(0.05)
            return
        self.accepted += 1
        connection = Connection(
            accepted,
            self.accepted,
            (address[0], address[1]),
            service=self._service,
            context=self._context,
            clock=self._clock,
            idle_seconds=self._idle_seconds,
        )
        thread = threading.Thread(
            target=self._converse,
            args=(connection,),
            name=f"auth0-tx tenant {self.port} connection {self.accepted}",
            daemon=True,
        )
        with self._lock:
            self._conversations[connection] = thread
        try:
            thread.start()
        except RuntimeError:  # the process may have no more threads
            self._conversations.pop(connection, None)
            connection.abandon()

    def _converse(self, connection: Connection) -> None:
        try:
            connection.serve()
        finally:
            with self._lock:
                self._conversations.pop(connection, None)


def _listen(port: int) -> tuple[int, list[socket.socket]]:
    """Listen on both loopback addresses, for clients disagree on what localhost is."""
    for attempt in range(_PORT_ATTEMPTS):
        listener = _listener(socket.AF_INET, "127.0.0.1", port)
        taken: int = listener.getsockname()[1]
        try:
            return taken, [listener, _listener(socket.AF_INET6, "::1", taken)]
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return taken, [listener]  # no IPv6 here
            # Another process has ::1 at this port: its clients would meet ours.
            listener.close()
            if port != 0 or attempt == _PORT_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")  # pragma: no cover


def _listener(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # pragma: no branch
            # Restart on a port whose old connections linger in TIME_WAIT.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


_servers: weakref.WeakSet[Server] = weakref.WeakSet()


def _abandon_all() -> None:  # pragma: no cover - runs in forked children
    for server in tuple(_servers):
        with suppress(OSError):
            server.abandon()


if hasattr(os, "register_at_fork"):  # pragma: no branch
    os.register_at_fork(after_in_child=_abandon_all)
