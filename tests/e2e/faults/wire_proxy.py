"""An HTTP proxy on loopback: it opens tunnels (RFC 9110 section 9.3.6), or fails to."""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from tests.e2e.faults.wire_http import WireRequest, read_request
from tests.e2e.faults.wire_ports import listen
from tests.e2e.faults.wire_server import ClientLeft, Script

Behaviour: TypeAlias = Callable[["Proxy", socket.socket, WireRequest], None]


class Proxy:
    """A proxy that does with each CONNECT what its script says.

    Attributes:
        connects: The requests received, oldest first.
    """

    def __init__(self, *script: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.connects: list[WireRequest] = []
        self.script = Script(*script)
        self.stopping = threading.Event()
        self.port, self._listeners = listen(0, 16)
        self._sockets: list[socket.socket] = []
        self._threads = [
            threading.Thread(target=self._accept, args=(listener,), daemon=True)
            for listener in self._listeners
        ]
        for thread in list(self._threads):
            thread.start()

    @property
    def url(self) -> str:
        """Return what a client's `proxy=` takes."""
        return f"http://localhost:{self.port}"

    def stop(self) -> None:
        """End everything, and wait for it."""
        self.stopping.set()
        for sock in list(self._sockets):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5.0)
        for sock in (*self._listeners, *self._sockets):
            sock.close()

    def _accept(self, listener: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            while not self.stopping.is_set():
                if selector.select(0.02):
                    self._accept_one(listener)

    def _accept_one(self, listener: socket.socket) -> None:
        sock, _ = listener.accept()
        sock.setblocking(True)
        self._sockets.append(sock)
        thread = threading.Thread(target=self._converse, args=(sock,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _converse(self, sock: socket.socket) -> None:
        with suppress(OSError, ClientLeft), sock:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._sockets.append(sock)
            request = read_request(sock.recv, len(self._sockets))
            if request is not None:
                self.connects.append(request)
                self.script.next()(self, sock, request)

    def open_to(self, host: str, port: int) -> socket.socket:
        """Connect to where a tunnel leads."""
        far = socket.create_connection((host, port), timeout=5.0)
        far.settimeout(None)
        self._sockets.append(far)
        return far


def tunnels(proxy: Proxy, sock: socket.socket, request: WireRequest) -> None:
    """Open the tunnel, and carry bytes until one end is closed."""
    host, _, port = request.path.rpartition(":")
    with proxy.open_to(host, int(port)) as far:
        sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, sock)
            while True:
                for key, _ in selector.select():
                    assert isinstance(key.fileobj, socket.socket)
                    data = key.fileobj.recv(65_536)
                    if not data:
                        return
                    key.data.sendall(data)


def wants_authentication(
    proxy: Proxy, sock: socket.socket, request: WireRequest
) -> None:
    """Refuse, for want of credentials."""
    sock.sendall(
        b"HTTP/1.1 407 Proxy Authentication Required\r\n"
        b'Proxy-Authenticate: Basic realm="proxy"\r\nContent-Length: 0\r\n\r\n'
    )


def refuses(proxy: Proxy, sock: socket.socket, request: WireRequest) -> None:
    """Refuse, as the way is not open."""
    sock.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


def closes(proxy: Proxy, sock: socket.socket, request: WireRequest) -> None:
    """Close without a word."""


def hangs(proxy: Proxy, sock: socket.socket, request: WireRequest) -> None:
    """Say nothing until the client leaves."""
    while sock.recv(65_536):
        pass


def drips(proxy: Proxy, sock: socket.socket, request: WireRequest) -> None:
    """Answer a byte at a time, without end."""
    sock.sendall(b"HTTP/1.1 200 Connection established\r\nX-Drip: ")
    while not proxy.stopping.wait(0.05):
        sock.sendall(b"x")
