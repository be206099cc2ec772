"""One client's connection: reads requests from a socket, performs the steps given.

The only place where the tenant reads or writes a socket; it decides nothing.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol, assert_never

from .delivery import Close, Hold, Pause, Reset, Step, Write
from .http1 import MalformedRequest, Message, RequestParser, serialize
from .http_messages import ReceivedRequest, Reply

_CHUNK = 64 * 1024
_HANDSHAKE_SECONDS = 10.0
_LINGER_SECONDS = 1.0


class Service(Protocol):
    """What a connection asks: what to do when it opens, and for each request."""

    def greet(self) -> Iterable[Step]:
        """Return the steps to take before the TLS handshake."""
        ...

    def deliver(self, request: ReceivedRequest, keep_alive: bool) -> Iterable[Step]:
        """Return the steps that answer *request*."""
        ...


class _Ended(Exception):
    """Raised to leave the conversation; the connection is then closed."""


class Connection:
    """Serve one accepted socket until either side leaves.

    Args:
        accepted: The socket as accepted.
        number: Its number, counted from 1.
        address: The peer's address and port.
        service: Who answers.
        context: The TLS context, or None for plain HTTP.
        clock: Return the tenant's time in seconds since the epoch.
        idle_seconds: How long to wait for a request, or for the peer to read.
    """

    def __init__(
        self,
        accepted: socket.socket,
        number: int,
        address: tuple[str, int],
        *,
        service: Service,
        context: ssl.SSLContext | None,
        clock: Callable[[], float],
        idle_seconds: float,
    ) -> None:
        self._socket = accepted
        self._number = number
        self._address = address
        self._service = service
        self._context = context
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._stopping = threading.Event()

    def serve(self) -> None:
        """Converse until the end, and close. Runs in the connection's own thread."""
        try:
            self._greet()
            self._converse()
        except (OSError, _Ended):
            # The peer left, or a step ended it: nothing to answer any more.
            pass
        finally:
            self._socket.close()

    def abort(self) -> None:
        """End the conversation from another thread; its own thread closes."""
        self._stopping.set()
        # SSLSocket.shutdown() would pull the TLS state from under a reading thread.
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def abandon(self) -> None:
        """Close this process's copy of the socket, the peer seeing nothing of it."""
        self._socket.close()

    def _greet(self) -> None:
        self._socket.settimeout(_HANDSHAKE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._perform(self._service.greet())
        if self._context is not None:
            self._socket = self._context.wrap_socket(
                self._socket, server_side=True, do_handshake_on_connect=False
            )
            # Stopped between the two: abort() shut the socket that was just replaced.
            if self._stopping.is_set():
                raise _Ended  # pragma: no cover - a race
            self._socket.do_handshake()
        self._socket.settimeout(self._idle_seconds)

    def _converse(self) -> None:
        parser = RequestParser()
        while True:
            try:
                message = parser.take()
            except MalformedRequest as error:
                self._refuse(error.status)
                return
            if message is not None:
                self._answer(message)
                continue
            if parser.awaits_continue:
                self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            data = self._socket.recv(_CHUNK)
            if not data:
                return
            parser.feed(data)

    def _answer(self, message: Message) -> None:
        path, _, query = message.target.partition("?")
        request = ReceivedRequest(
            method=message.method,
            path=path,
            query=query,
            headers=message.headers,
            body=message.body,
            client_address=self._address,
            connection=self._number,
            received_at=self._clock(),
            http_version=message.http_version,
        )
        self._perform(self._service.deliver(request, message.keeps_alive))

    def _refuse(self, status: int) -> None:
        reply = serialize(Reply(status), now=self._clock(), keep_alive=False)
        self._socket.sendall(reply.head)
        self._close()
        # Closing on bytes still unread would reset, and take the reply with it.
        self._socket.settimeout(_LINGER_SECONDS)
        # The socket's own method: TLS has been shut down on it.
        while socket.socket.recv(self._socket, _CHUNK):
            pass

    def _perform(self, steps: Iterable[Step]) -> None:
        for step in steps:
            match step:
                case Write(data):
                    self._socket.sendall(data)
                case Pause(seconds):
                    if self._stopping.wait(seconds):
                        raise _Ended
                case Close():
                    self._close()
                    raise _Ended
                case Reset():
                    # A zero linger turns close() into a reset.
                    linger = struct.pack("ii", 1, 0)
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    raise _Ended
                case Hold():
                    self._hold()
                    raise _Ended
                case _:
                    assert_never(step)

    def _close(self) -> None:
        if isinstance(self._socket, ssl.SSLSocket):
            # Sends close_notify (RFC 8446 6.1) without waiting for the peer's.
            self._socket.settimeout(0)
            with suppress(OSError, ValueError):
                self._socket.unwrap()
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def _hold(self) -> None:
        self._socket.settimeout(None)
        while self._socket.recv(_CHUNK):
            pass
