"""One client's connection: the steps that a reply is made of, and who performs them.

Theory of operation. A connection lives in a thread of its own. It asks the ``Service``
to ``greet`` (steps before the TLS handshake), shakes hands, and then loops: read bytes,
parse a request, perform the steps with which the service answers it. Steps are inert
values, so that a fault is a list of them (``faults.py``) and is tested without a
socket. Whatever ends the conversation (the peer leaves, a step closes, the tenant
stops) raises out of the loop, and ``serve`` closes the socket in one place.

Another thread may end it with ``abort``, which wakes both places where this thread can
wait: a socket call, by shutting the socket down, and a ``Pause``, by an event. Only the
connection's own thread closes the socket: a descriptor closed under a reading thread
may already belong to someone else.

The only module in which the tenant reads or writes a client's socket; it decides
nothing.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol, assert_never

from attrs import field, frozen

from .http1 import MalformedRequest, Message, RequestParser, serialize
from .http_messages import ReceivedRequest, Reply

_CHUNK_BYTES = 64 * 1024
# A client that connects and never says hello must not keep its thread for ever.
_HANDSHAKE_SECONDS = 10.0
# Long enough on loopback for a refused client to read its status.
_LINGER_SECONDS = 1.0


@frozen
class Write:
    """Send these bytes."""

    data: bytes = field(repr=False)


@frozen
class Pause:
    """Wait this many seconds, or until the tenant stops."""

    seconds: float


@frozen
class Close:
    """Close the connection in order."""


@frozen
class Reset:
    """Close the connection with a TCP reset."""


@frozen
class Hold:
    """Keep the connection open and silent until the client leaves."""


Step = Write | Pause | Close | Reset | Hold


class Service(Protocol):
    """Decide which steps a connection performs: when it opens, and for each request."""

    def greet(self) -> Iterable[Step]:
        """Return the steps to take before the TLS handshake."""
        ...

    def deliver(self, request: ReceivedRequest, keep_alive: bool) -> Iterable[Step]:
        """Return the steps that answer ``request``."""
        ...


class _ConversationEnd(Exception):
    """Raised to leave the conversation; the connection is then closed."""


class Connection:
    """Serve one accepted socket until either side leaves.

    Args:
        accepted: The socket as accepted.
        number: Its number, counted from 1.
        address: The peer's address and port.
        service: Decides the steps.
        context: The TLS context, or ``None`` for plain HTTP.
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
            self._open()
            self._converse()
        except (OSError, _ConversationEnd):
            # The peer left, or a step ended the conversation: nobody is left to answer.
            pass
        finally:
            self._socket.close()

    def abort(self) -> None:
        """End the conversation from another thread; its own thread closes."""
        self._stopping.set()
        # The plain socket's method: SSLSocket.shutdown() would take the TLS state away
        # from a thread that is reading.
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def abandon(self) -> None:
        """Close this process's copy of the socket without the peer noticing."""
        self._socket.close()

    def _open(self) -> None:
        self._socket.settimeout(_HANDSHAKE_SECONDS)
        # Head and body may leave in two sends: Nagle's algorithm and a delayed
        # acknowledgement would hold the second back for 40 ms.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._perform(self._service.greet())
        if self._context is not None:
            self._socket = self._context.wrap_socket(
                self._socket, server_side=True, do_handshake_on_connect=False
            )
            # Stopped between the two: abort() shut the socket that was just replaced.
            if self._stopping.is_set():
                raise _ConversationEnd  # pragma: no cover - a race
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
                # Pipelined requests (RFC 9112 9.3.2): one may be in the buffer already.
                continue
            if parser.awaits_continue:
                self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            data = self._socket.recv(_CHUNK_BYTES)
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
        """Send ``status`` to a client whose bytes cannot be parsed, and close."""
        reply = serialize(Reply(status), now=self._clock(), keep_alive=False)
        self._socket.sendall(reply.head)
        self._close()
        # RFC 9112 9.6: a close with unread bytes resets the connection, and the reset
        # can destroy the reply before the client has read it. So read on for a moment.
        self._socket.settimeout(_LINGER_SECONDS)
        # The plain socket's method: TLS has been shut down on it.
        while socket.socket.recv(self._socket, _CHUNK_BYTES):
            pass

    def _perform(self, steps: Iterable[Step]) -> None:
        for step in steps:
            match step:
                case Write(data):
                    self._socket.sendall(data)
                case Pause(seconds):
                    if self._stopping.wait(seconds):
                        raise _ConversationEnd
                case Close():
                    self._close()
                    raise _ConversationEnd
                case Reset():
                    # With a linger of zero seconds, close() sends RST instead of FIN.
                    linger = struct.pack("ii", 1, 0)
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    raise _ConversationEnd
                case Hold():
                    self._hold()
                    raise _ConversationEnd
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
        # Bytes that still come are dropped; the empty read is the client leaving, or
        # abort().
        self._socket.settimeout(None)
        while self._socket.recv(_CHUNK_BYTES):
            pass
