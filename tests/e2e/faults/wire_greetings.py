"""What a server does with a new connection, and ways for it to accept none."""

from __future__ import annotations

import socket
import ssl

from tests.e2e.faults.wire_behaviours import last_document
from tests.e2e.faults.wire_http import WireRequest
from tests.e2e.faults.wire_ports import listen
from tests.e2e.faults.wire_server import Behaviour, Greeting, Wire

_FULL_AFTER = 0.05
"""Seconds without an answer that tell that a listener's queue is full."""


def rightly(wire: Wire) -> None:
    """Shake hands as a proper server does."""
    wire.handshake(wire.server.context)


def shows(context: ssl.SSLContext) -> Greeting:
    """Shake hands with what *context* has to show."""
    return lambda wire: wire.handshake(context)


def resets(wire: Wire) -> None:
    """Reset the connection at the client's hello."""
    wire.sock.recv(1)
    wire.reset()


def closes(wire: Wire) -> None:
    """Close the connection at the client's hello."""
    wire.sock.recv(65_536)
    wire.close()


def hangs(wire: Wire) -> None:
    """Leave the client's hello without an answer."""
    wire.hold()


def drips(wire: Wire) -> None:
    """Answer the client's hello a byte at a time, without end."""
    # A handshake record (RFC 8446 section 5.1) that says it has 16,000 bytes.
    wire.send(b"\x16\x03\x03\x3e\x80\x02")
    while True:
        wire.send(b"\x00")
        wire.pause(0.05)


def speaks_plain_http(wire: Wire) -> None:
    """Answer the client's hello as a server without TLS does."""
    wire.sock.recv(65_536)
    wire.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    wire.close()


def old_tls_only(wire: Wire) -> None:
    """Answer as a server that knows nothing newer than TLS 1.1.

    An OpenSSL of today does not speak it at all, so the alert is written by hand: a
    fatal protocol_version (RFC 5246 section 7.2.2), which is what such a server sends.
    """
    wire.sock.recv(65_536)
    wire.send(b"\x15\x03\x02\x00\x02\x02\x46")
    wire.close()


def no_shared_cipher(context: ssl.SSLContext) -> Greeting:
    """Shake hands over TLS 1.2 with one cipher that no client offers unasked."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("PSK")
    return lambda wire: wire.handshake(context)


def goes_down(wire: Wire, request: WireRequest) -> None:
    """Publish the metadata, and refuse every connection from then on."""
    wire.server.go_down()
    last_document(wire, request)


class FullQueue:
    """A port where connections are neither accepted nor refused: its queue is full."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def then(self) -> Behaviour:
        """Publish the metadata, and from then on leave every connection waiting."""

        def play(wire: Wire, request: WireRequest) -> None:
            wire.server.go_down()
            self.fill(wire.server.port)
            last_document(wire, request)

        return play

    def fill(self, port: int) -> None:
        """Listen at *port*, and let the queue run full."""
        _, listeners = listen(port, 0)
        self._held.extend(listeners)
        for listener in listeners:
            address = listener.getsockname()[:2]
            for _ in range(64):
                visitor = socket.socket(listener.family, socket.SOCK_STREAM)
                self._held.append(visitor)
                visitor.settimeout(_FULL_AFTER)
                try:
                    visitor.connect(address)
                except TimeoutError:
                    break

    def close(self) -> None:
        """Refuse connections, as nobody listens any more."""
        for held in self._held:
            held.close()
