"""Network failures on request: each fault is the list of steps that plays it. Pure.

    tenant.inject(faults.latency(0.5))            # the next POST /oauth/token
    tenant.inject(faults.status(503), times=None) # every one, until tenant.clear()

Theory of operation. A fault is a generator of steps (``connection.py``): it decides
when the tenant processes the request, how much of the reply is sent, and how the
connection ends. ``service.py`` picks the fault for a request, and the connection
performs it.

Whether the tenant processes the request is the difference that matters to a client
that wants to send it again: ``reset``, ``html``, ``status``, ``silence`` and ``raw`` do
not process it; ``latency``, ``reset_mid_body``, ``truncate``, ``drip`` and
``lost_answer`` do, so that an Action has run and a single-use token is spent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from .connection import Close, Hold, Pause, Reset, Step, Write
from .http1 import WireReply
from .http_messages import ReceivedRequest, Reply

# A page where JSON is expected: a captive portal or a gateway sends such.
_HTML = b"<!DOCTYPE html><html><head><title>Oops!</title></head><body></body></html>"


@frozen
class Exchange:
    """One request and the two ways to answer it.

    Args:
        request: The request as received.
        process: Let the tenant decide its reply; this has the side effects.
        serialize: Turn a reply into bytes fit for this connection.
    """

    request: ReceivedRequest
    process: Callable[[], Reply]
    serialize: Callable[[Reply], WireReply]


@frozen
class Fault:
    """One fault: its name, and the steps that play it.

    Args:
        name: How it is spelt, for its repr.
        deliver: Yield the steps for one request; ``None`` for a fault of the
            connection.
        greet: Yield the steps before the TLS handshake; ``None`` for a fault of a
            request.
    """

    name: str
    deliver: Callable[[Exchange], Iterator[Step]] | None = field(
        default=None, repr=False, eq=False
    )
    greet: Callable[[], Iterator[Step]] | None = field(
        default=None, repr=False, eq=False
    )


def latency(seconds: float) -> Fault:
    """Return a fault that answers correctly, but ``seconds`` late."""

    def deliver(exchange: Exchange) -> Iterator[Step]:
        yield Pause(seconds)
        wire = exchange.serialize(exchange.process())
        yield Write(wire.head + wire.body)

    return Fault(f"latency({seconds})", deliver)


def reset() -> Fault:
    """Return a fault that resets the connection once the request has been read."""

    def deliver(exchange: Exchange) -> Iterator[Step]:
        yield Reset()

    return Fault("reset()", deliver)


def reset_mid_body() -> Fault:
    """Return a fault that processes, sends half the body, then resets."""

    def deliver(exchange: Exchange) -> Iterator[Step]:
        wire = exchange.serialize(exchange.process())
        yield Write(wire.head + wire.body[: len(wire.body) // 2])
        # A reset discards the bytes that the peer has not read yet: let them arrive.
        yield Pause(0.05)
        yield Reset()

    return Fault("reset_mid_body()", deliver)


def truncate(size: int) -> Fault:
    """Return a fault that processes, sends ``size`` bytes of the body, then closes."""

    def deliver(exchange: Exchange) -> Iterator[Step]:
        wire = exchange.serialize(exchange.process())
        # The head still announces the whole length: the client can see the cut.
        yield Write(wire.head + wire.body[:size])
        yield Close()

    return Fault(f"truncate({size})", deliver)


def lost_answer() -> Fault:
    """Return a fault that processes the request, then closes without answering."""

    def deliver(exchange: Exchange) -> Iterator[Step]:
        # The Action has run and tokens are issued, and the client cannot know it.
        exchange.process()
        yield Close()

    return Fault("lost_answer()", deliver)


def silence() -> Fault:
    """Return a fault that never answers, and leaves the connection open."""

    def deliver(exchange: Exchange) -> Iterator[Step]:
        yield Hold()

    return Fault("silence()", deliver)


def drip(bytes_per_second: float, *, body_only: bool = False) -> Fault:
    """Return a fault that processes, then sends the reply one byte at a time.

    Args:
        bytes_per_second: The rate.
        body_only: Whether the head is sent at once and only the body drips.

    Raises:
        ValueError: The rate is not positive.
    """
    if bytes_per_second <= 0:
        raise ValueError("bytes_per_second must be positive")

    def deliver(exchange: Exchange) -> Iterator[Step]:
        wire = exchange.serialize(exchange.process())
        dripping = wire.head + wire.body
        if body_only:
            yield Write(wire.head)
            dripping = wire.body
        # Byte by byte: each read of the client succeeds in time. Only a limit on the
        # whole call ends it.
        for index in range(len(dripping)):
            yield Pause(1 / bytes_per_second)
            yield Write(dripping[index : index + 1])

    return Fault(f"drip({bytes_per_second}, body_only={body_only})", deliver)


def status(
    code: int,
    body: Mapping[str, Any] | str | bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Fault:
    """Return a fault that answers with a status of your choice.

    Args:
        code: The HTTP status.
        body: A mapping is sent as JSON, text as text/plain, ``None`` as nothing.
        headers: More headers; a Content-Type here replaces the one implied by ``body``.
    """
    # RFC 9110 5.1: header names are case-insensitive.
    own_names = {name.lower() for name in headers or {}}
    content, media_type = _encode_body(body)
    implied = [("Content-Type", media_type)] if media_type else []
    implied = [pair for pair in implied if pair[0].lower() not in own_names]
    reply = Reply(code, content, (*implied, *(headers or {}).items()))
    return Fault(f"status({code})", _deliver_whole(reply))


def html(status: int = 200) -> Fault:
    """Return a fault that answers with an HTML page, as a proxy in the way would."""
    page = Reply(status, _HTML, (("Content-Type", "text/html; charset=utf-8"),))
    return Fault(f"html({status})", _deliver_whole(page))


def raw(data: bytes) -> Fault:
    """Return a fault that sends ``data`` as it is, HTTP or not, and closes."""

    def deliver(exchange: Exchange) -> Iterator[Step]:
        yield Write(data)
        # Without a length the client would wait for more.
        yield Close()

    return Fault("raw(...)", deliver)


def handshake_reset() -> Fault:
    """Return a fault that resets a new connection before its TLS handshake."""

    # TCP has connected by then: the client fails in its handshake, not in connect().
    def greet() -> Iterator[Step]:
        yield Reset()

    return Fault("handshake_reset()", greet=greet)


def handshake_silence() -> Fault:
    """Return a fault that never answers the client's TLS hello."""

    def greet() -> Iterator[Step]:
        yield Hold()

    return Fault("handshake_silence()", greet=greet)


def _deliver_whole(reply: Reply) -> Callable[[Exchange], Iterator[Step]]:
    def deliver(exchange: Exchange) -> Iterator[Step]:
        wire = exchange.serialize(reply)
        yield Write(wire.head + wire.body)

    return deliver


def _encode_body(
    body: Mapping[str, Any] | str | bytes | None,
) -> tuple[bytes, str | None]:
    match body:
        case None:
            return b"", None
        case bytes():
            return body, "application/octet-stream"
        case str():
            return body.encode(), "text/plain; charset=utf-8"
        case _:
            return json.dumps(body).encode(), "application/json"
