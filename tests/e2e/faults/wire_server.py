"""A server on loopback that a test scripts byte by byte: a thread for each connection.

    server.token = Script(reset, grants)      # the first POST, then every later one

A behaviour plays on one request; a greeting plays on a new connection, before its first.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Generic, TypeAlias, TypeVar

from attrs import define, field

from tests.e2e.faults.wire_http import WireRequest, read_request
from tests.e2e.faults.wire_ports import listen

TOKEN = "/oauth/token"
DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/.well-known/jwks.json"

T = TypeVar("T")


class ClientLeft(Exception):
    """Raised in a behaviour when there is nobody left to play for."""


@define(eq=False)
class Wire:
    """One connection, as what plays on it sees it.

    Attributes:
        server: Whose it is.
        number: Counted from 1, in the order of arrival.
        sent: Bytes given to the socket, before TLS.
        is_open: Whether the server's end is open.
    """

    server: WireServer = field(repr=False)
    sock: socket.socket
    number: int
    sent: int = 0
    is_open: bool = True

    def handshake(self, context: ssl.SSLContext | None) -> None:
        """Speak TLS from now on, with what *context* has to show."""
        if context is None:
            return
        self.sock = context.wrap_socket(
            self.sock, server_side=True, do_handshake_on_connect=False
        )
        self._guard(lambda: self._tls().do_handshake())

    def _tls(self) -> ssl.SSLSocket:
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.sock

    def send(self, data: bytes) -> None:
        """Write all of *data*."""
        self._guard(lambda: self.sock.sendall(data))
        self.sent += len(data)

    def read_request(self) -> WireRequest | None:
        """Read the next request."""
        return self._guard(lambda: read_request(self.sock.recv, self.number))

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        if self.server.stopping.wait(seconds):
            raise ClientLeft

    def hold(self) -> None:
        """Say nothing until the client leaves."""
        while self._guard(lambda: self.sock.recv(65_536)):
            pass
        self.close()

    def reset(self) -> None:
        """Close with a TCP reset, discarding what was not delivered."""
        self.is_open = False
        self.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.sock.close()

    def close(self) -> None:
        """Close in order."""
        self.is_open = False
        self.sock.close()

    def abort(self) -> None:
        """Wake whoever reads or writes here, from another thread."""
        with suppress(OSError):
            # The plain socket's own: that of a TLS socket would drop its state as well.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def _guard(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except OSError as error:
            raise ClientLeft from error


Behaviour: TypeAlias = Callable[[Wire, WireRequest], None]
Greeting: TypeAlias = Callable[[Wire], None]


class Script(Generic[T]):
    """What happens each time: one act after another, the last of them for ever."""

    def __init__(self, *acts: T) -> None:
        self._acts = acts
        self._next = 0
        self._lock = threading.Lock()

    def next(self) -> T:
        """Return the act whose turn it is."""
        with self._lock:
            act = self._acts[min(self._next, len(self._acts) - 1)]
            self._next += 1
        return act


class WireServer:
    """Serve what the scripts say on both loopback addresses.

    Attributes:
        context: What a proper handshake shows; None for plain HTTP.
        greeting: What happens on each new connection.
        token: What happens on each request to the token endpoint.
        discovery: The same, of the metadata.
        jwks: The same, of the signing keys.
        elsewhere: The same, of any other path.
        requests: What was received, oldest first.
        wires: The connections accepted, oldest first.
        afterwards: What else ends when the server stops.
    """

    wire_class = Wire

    def __init__(
        self,
        context: ssl.SSLContext | None,
        *,
        token: Behaviour,
        discovery: Behaviour,
        jwks: Behaviour,
        elsewhere: Behaviour,
    ) -> None:
        self.context = context
        self.greeting: Script[Greeting] = Script(lambda wire: wire.handshake(context))
        self.token, self.discovery = Script(token), Script(discovery)
        self.jwks, self.elsewhere = Script(jwks), Script(elsewhere)
        self.requests: list[WireRequest] = []
        self.wires: list[Wire] = []
        self.stopping = threading.Event()
        self.afterwards = ExitStack()
        self._threads: list[threading.Thread] = []
        self._acceptor: threading.Thread | None = None
        self._waker: socket.socket | None = None
        self.port = 0
        self.come_up()

    @property
    def domain(self) -> str:
        """Return what a client's `domain=` takes."""
        return (
            f"localhost:{self.port}"
            if self.context
            else f"http://localhost:{self.port}"
        )

    @property
    def issuer(self) -> str:
        """Return the issuer, with its slash."""
        return f"{'https' if self.context else 'http'}://localhost:{self.port}/"

    @property
    def posts(self) -> list[WireRequest]:
        """Return the requests to the token endpoint."""
        return self.at(TOKEN)

    def at(self, path: str) -> list[WireRequest]:
        """Return the requests of *path*."""
        return [request for request in self.requests if request.path == path]

    def come_up(self) -> None:
        """Accept connections, on the same port as before."""
        self.port, listeners = listen(self.port, 128)
        woken, self._waker = socket.socketpair()
        self._acceptor = threading.Thread(
            target=self._accept, args=([*listeners, woken], woken), daemon=True
        )
        self._acceptor.start()

    def go_down(self) -> None:
        """Refuse connections; those that are open stay."""
        if self._waker is None or self._acceptor is None:
            return
        self._waker.close()
        self._acceptor.join(5.0)
        self._waker = self._acceptor = None

    def stop(self) -> None:
        """End everything, and wait for it."""
        self.afterwards.close()
        self.go_down()
        self.stopping.set()
        self.drop_connections()
        for thread in self._threads:
            thread.join(5.0)
        assert not [thread for thread in self._threads if thread.is_alive()]

    def wait_for_end(self, wire: Wire, *, within: float) -> bool:
        """Return whether the connection comes to its end within so many seconds."""
        self._threads[wire.number - 1].join(within)
        return not wire.is_open

    def drop_connections(self) -> None:
        """End every open connection, as a server does with idle ones, and wait."""
        for wire in self.wires:
            wire.abort()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(5.0)

    def _accept(self, listeners: list[socket.socket], woken: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            for one in listeners:
                selector.register(one, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if woken in ready:
                    break
                for listener in ready:
                    assert isinstance(listener, socket.socket)
                    self._accept_one(listener)
        for one in listeners:
            one.close()

    def _accept_one(self, listener: socket.socket) -> None:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return  # the client was gone before its turn came
        accepted.setblocking(True)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = self.wire_class(self, accepted, len(self.wires) + 1)
        self.wires.append(wire)
        thread = threading.Thread(target=self._converse, args=(wire,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _converse(self, wire: Wire) -> None:
        with suppress(ClientLeft):
            self.greeting.next()(wire)
            while wire.is_open:
                request = wire.read_request()
                if request is None:
                    break
                self.requests.append(request)
                self._script(request.path).next()(wire, request)
        wire.close()

    def _script(self, path: str) -> Script[Behaviour]:
        scripts = {TOKEN: self.token, DISCOVERY: self.discovery, JWKS: self.jwks}
        return scripts.get(path, self.elsewhere)
