"""The listening sockets, and a thread for each connection.

Theory of operation. ``start`` binds both loopback addresses and starts one thread that
accepts; each accepted connection gets a thread of its own, in which also its TLS
handshake happens, so that a client that hangs keeps nobody else waiting. Threads are
enough here: a tenant serves one test run, and an Action is user code that may block.

``stop`` wakes the accepting thread through a socket pair (closing a socket does not
wake a ``select`` on it), joins it, then aborts every connection and joins its thread.
The port is remembered, so that a tenant that is started again is found where it was.

A process may fork while a tenant runs: gunicorn, Celery and pytest plugins do. A child
has copies of the sockets but none of the threads. It closes its copies at once, or the
port would stay taken after the parent has stopped, and never serves.
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

from ..clocks import read_monotonic
from .connection import Connection, Service

# Tests connect hundreds of clients at once; a full backlog would cost each a retry
# after a second.
_BACKLOG = 1024
_JOIN_SECONDS = 5.0
# How many ports to try when another process has the same one on ::1.
_MAX_PORT_ATTEMPTS = 20


class Server:
    """Serve ``service`` on a loopback port between ``start()`` and ``stop()``.

    Args:
        service: Decides the steps of every connection.
        port: The port; 0 takes a free one, kept over a restart.
        context: The TLS context, or ``None`` for plain HTTP.
        clock: Return the tenant's time in seconds since the epoch.
        idle_seconds: How long an idle connection stays open.
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
        """Return whether the server accepts connections."""
        return self._acceptor is not None

    def start(self) -> None:
        """Listen and accept.

        Raises:
            RuntimeError: The server is running already.
            OSError: The port is taken.
        """
        if self.running:
            raise RuntimeError("the tenant is already started")
        self.port, self._listeners = _listen(self.port)
        woken, self._waker = socket.socketpair()
        self._acceptor = threading.Thread(
            target=self._accept_until_woken,
            args=(tuple(self._listeners), woken),
            name=f"auth0-tx tenant {self.port}",
            # A test that forgets to stop its tenant must still be able to exit.
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
        # One deadline for all: an Action may be running user code, which nothing can
        # interrupt, and two hundred of them must not take 5 seconds each.
        give_up = read_monotonic() + _JOIN_SECONDS
        for thread in conversations.values():
            thread.join(max(0.0, give_up - read_monotonic()))

    def abandon(self) -> None:  # pragma: no cover - runs in forked children
        """Close this process's copies of the parent's sockets; serve nothing."""
        for listener in self._listeners:
            listener.close()
        if self._waker is not None:
            self._waker.close()
        for connection in self._conversations:
            connection.abandon()
        self._listeners.clear()
        self._conversations.clear()
        # Another thread of the parent may have held it at the moment of the fork, and
        # does not exist here to release it.
        self._lock = threading.Lock()
        self._acceptor = self._waker = None

    def _accept_until_woken(
        self, listeners: tuple[socket.socket, ...], woken: socket.socket
    ) -> None:
        with selectors.DefaultSelector() as selector:
            for readable in (*listeners, woken):
                selector.register(readable, selectors.EVENT_READ)
            stopping = False
            while not stopping:
                for selected, _ in selector.select():
                    if selected.fileobj is woken:
                        stopping = True
                    else:
                        self._accept(cast("socket.socket", selected.fileobj))
        # Closed in this thread: nothing can select on a descriptor that is reused.
        for readable in (*listeners, woken):
            readable.close()

    def _accept(self, listener: socket.socket) -> None:
        try:
            accepted, address = listener.accept()
        except OSError as error:
            # Out of descriptors: the listener stays readable, and without a pause this
            # thread would spin. The client waits in the backlog meanwhile.
            if error.errno in (errno.EMFILE, errno.ENFILE):
                time.sleep(0.05)
            # Anything else is a client that left between the select and the accept.
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
        except RuntimeError:
            # The process may have no more threads: drop this client, serve the others.
            self._conversations.pop(connection, None)
            connection.abandon()

    def _converse(self, connection: Connection) -> None:
        try:
            connection.serve()
        finally:
            with self._lock:
                self._conversations.pop(connection, None)


def _listen(port: int) -> tuple[int, list[socket.socket]]:
    """Listen on both loopback addresses and return the port with the sockets.

    Both, because ``localhost`` resolves to 127.0.0.1 for some clients and to ::1 first
    for others.
    """
    for attempt in range(_MAX_PORT_ATTEMPTS):
        listener = _open_listener(socket.AF_INET, "127.0.0.1", port)
        bound_port: int = listener.getsockname()[1]
        try:
            ipv6_listener = _open_listener(socket.AF_INET6, "::1", bound_port)
            return bound_port, [listener, ipv6_listener]
        except OSError as error:
            # Containers often have no IPv6: 127.0.0.1 alone has to do.
            if error.errno != errno.EADDRINUSE:
                return bound_port, [listener]
            # Another process has ::1 at this port, and would get half of our clients.
            listener.close()
            if port != 0 or attempt == _MAX_PORT_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")  # pragma: no cover


def _open_listener(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # On Windows the option would let two processes share the port.
        if os.name == "posix":  # pragma: no branch
            # Restart on a port whose old connections linger in TIME_WAIT.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Or the IPv6 socket would claim the IPv4 port too, which is taken.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        # A client may leave between select and accept; accept must not block then.
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


# Weak: a tenant that is dropped must not live on only to be abandoned after a fork.
_servers: weakref.WeakSet[Server] = weakref.WeakSet()


def _abandon_servers() -> None:  # pragma: no cover - runs in forked children
    for server in tuple(_servers):
        with suppress(OSError):
            server.abandon()


if hasattr(os, "register_at_fork"):  # pragma: no branch
    os.register_at_fork(after_in_child=_abandon_servers)
