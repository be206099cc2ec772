"""What goes wrong on request: each fault is the list of steps that plays it. Pure.

    tenant.inject(faults.latency(0.5))            # the next POST /oauth/token
    tenant.inject(faults.status(503), times=None) # every one, until tenant.clear()

A fault says whether the tenant processed the request: `reset`, `html`, `status`,
`silence` and `raw` do not; `latency`, `reset_mid_body`, `truncate`, `drip` and
`lost_answer` do, so an Action has run and a single-use token is spent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from .delivery import Close, Exchange, Hold, Pause, Reset, Step, Write
from .http_messages import Reply

_HTML = b"<!DOCTYPE html><html><head><title>Oops!</title></head><body></body></html>"


@frozen
class Fault:
    """Name one fault and hold what plays it.

    Args:
        name: How it is spelt, for repr.
        deliver: Yield the steps for one request; None for a fault of the connection.
        greet: Yield the steps before the TLS handshake; None for a fault of a request.
    """

    name: str
    deliver: Callable[[Exchange], Iterator[Step]] | None = field(
        default=None, repr=False, eq=False
    )
    greet: Callable[[], Iterator[Step]] | None = field(
        default=None, repr=False, eq=False
    )


def latency(seconds: float) -> Fault:
    """Return a fault that answers rightly, *seconds* late."""

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
        # Lets the half arrive: a reset discards what the peer has not read yet.
        yield Pause(0.05)
        yield Reset()

    return Fault("reset_mid_body()", deliver)


def truncate(size: int) -> Fault:
    """Return a fault that processes, sends *size* bytes of the body, then closes."""

    def deliver(exchange: Exchange) -> Iterator[Step]:
        wire = exchange.serialize(exchange.process())
        yield Write(wire.head + wire.body[:size])
        yield Close()

    return Fault(f"truncate({size})", deliver)


def lost_answer() -> Fault:
    """Return a fault that processes the request, then closes without answering."""

    def deliver(exchange: Exchange) -> Iterator[Step]:
        exchange.process()
        yield Close()

    return Fault("lost_answer()", deliver)


def silence() -> Fault:
    """Return a fault that never answers, and leaves the connection open."""

    def deliver(exchange: Exchange) -> Iterator[Step]:
        yield Hold()

    return Fault("silence()", deliver)


def drip(bytes_per_second: float, *, body_only: bool = False) -> Fault:
    """Return a fault that processes, then sends the reply a byte at a time.

    Args:
        bytes_per_second: How fast.
        body_only: Whether the head is sent at once and only the body drips.
    """
    if bytes_per_second <= 0:
        raise ValueError("bytes_per_second must be positive")

    def deliver(exchange: Exchange) -> Iterator[Step]:
        wire = exchange.serialize(exchange.process())
        dripping = wire.head + wire.body
        if body_only:
            yield Write(wire.head)
            dripping = wire.body
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
        body: A mapping is sent as JSON, text as text/plain, None as nothing.
        headers: More headers; a Content-Type here replaces the one implied.
    """
    named = {name.lower() for name in headers or {}}
    content, media_type = _content(body)
    typed = [("Content-Type", media_type)] if media_type else []
    kept = [pair for pair in typed if pair[0].lower() not in named]
    reply = Reply(code, content, (*kept, *(headers or {}).items()))

    def deliver(exchange: Exchange) -> Iterator[Step]:
        wire = exchange.serialize(reply)
        yield Write(wire.head + wire.body)

    return Fault(f"status({code})", deliver)


def html(status: int = 200) -> Fault:
    """Return a fault that answers with an HTML page, as a proxy in the way would."""
    page = Reply(status, _HTML, (("Content-Type", "text/html; charset=utf-8"),))

    def deliver(exchange: Exchange) -> Iterator[Step]:
        wire = exchange.serialize(page)
        yield Write(wire.head + wire.body)

    return Fault(f"html({status})", deliver)


def raw(data: bytes) -> Fault:
    """Return a fault that sends *data* as it is, HTTP or not, and closes."""

    def deliver(exchange: Exchange) -> Iterator[Step]:
        yield Write(data)
        yield Close()

    return Fault("raw(...)", deliver)


def handshake_reset() -> Fault:
    """Return a fault that resets a new connection before its TLS handshake."""

    def greet() -> Iterator[Step]:
        yield Reset()

    return Fault("handshake_reset()", greet=greet)


def handshake_silence() -> Fault:
    """Return a fault that never answers the client's TLS hello."""

    def greet() -> Iterator[Step]:
        yield Hold()

    return Fault("handshake_silence()", greet=greet)


def _content(body: Mapping[str, Any] | str | bytes | None) -> tuple[bytes, str | None]:
    match body:
        case None:
            return b"", None
        case bytes():
            return body, "application/octet-stream"
        case str():
            return body.encode(), "text/plain; charset=utf-8"
        case _:
            return json.dumps(body).encode(), "application/json"
