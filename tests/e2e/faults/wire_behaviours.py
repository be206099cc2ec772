"""What a server does with one request: rightly, late, in pieces, or not at all."""

from __future__ import annotations

import functools
import gzip
import os
import zlib
from collections.abc import Mapping
from typing import Any

from tests.e2e.faults.wire_http import (
    JSON,
    WireRequest,
    answer,
    chunk,
    head,
    json_answer,
)
from tests.e2e.faults.wire_server import JWKS, TOKEN, Behaviour, Wire

GRANT = {"token_type": "Bearer", "expires_in": 3600}
BOMB = 200 * 1024 * 1024
_PIECE = bytes(65_536)
_SETTLE = 0.03  # lets what was sent arrive before the connection breaks


def grant_of(request: WireRequest) -> dict[str, Any]:
    """Return a token response that only the sender of *request* may see."""
    return {"access_token": f"for-{request.form['subject_token']}", **GRANT}


def grants(wire: Wire, request: WireRequest) -> None:
    """Grant what was asked."""
    wire.send(json_answer(200, grant_of(request)))


def document(wire: Wire, request: WireRequest) -> None:
    """Publish the tenant's metadata."""
    wire.send(json_answer(200, metadata(wire.server.issuer)))


def metadata(issuer: str) -> dict[str, Any]:
    """Return the metadata of the tenant at *issuer*."""
    return {
        "issuer": issuer,
        "token_endpoint": issuer.removesuffix("/") + TOKEN,
        "jwks_uri": issuer.removesuffix("/") + JWKS,
    }


def no_keys(wire: Wire, request: WireRequest) -> None:
    """Publish an empty key set."""
    wire.send(json_answer(200, {"keys": []}))


def not_found(wire: Wire, request: WireRequest) -> None:
    """Know nothing of it."""
    wire.send(answer(404, b"", ()))


def last_document(wire: Wire, request: WireRequest) -> None:
    """Publish the metadata and close: the next request needs a connection of its own."""
    members = metadata(wire.server.issuer)
    wire.send(json_answer(200, members, (("Connection", "close"),)))
    wire.close()


def late(seconds: float, behaviour: Behaviour = grants) -> Behaviour:
    """Do it, *seconds* late."""

    def play(wire: Wire, request: WireRequest) -> None:
        wire.pause(seconds)
        behaviour(wire, request)

    return play


def says(data: bytes) -> Behaviour:
    """Send *data* as it is, and wait for what comes next."""
    return lambda wire, request: wire.send(data)


def answers(
    status: int, members: Mapping[str, Any], *headers: tuple[str, str]
) -> Behaviour:
    """Answer with *status* and a JSON object."""
    return says(json_answer(status, members, headers))


def has_body(status: int, body: bytes, media_type: str | None = JSON[1]) -> Behaviour:
    """Answer with *status* and *body*."""
    return says(
        answer(status, body, [("Content-Type", media_type)] if media_type else ())
    )


def redirects(status: int, location: str) -> Behaviour:
    """Send the client elsewhere."""
    return says(answer(status, b"", (("Location", location),)))


# -- breaking off -------------------------------------------------------------------


def silence(wire: Wire, request: WireRequest) -> None:
    """Say nothing."""
    wire.hold()


def resets(wire: Wire, request: WireRequest) -> None:
    """Reset the connection before any byte of an answer."""
    wire.reset()


def closes(wire: Wire, request: WireRequest) -> None:
    """Close the connection before any byte of an answer."""
    wire.close()


def breaks_tls(wire: Wire, request: WireRequest) -> None:
    """Send, behind TLS's back, an alert that no key protects."""
    os.write(wire.sock.fileno(), b"\x15\x03\x03\x00\x02\x02\x50")
    wire.hold()


def stops_after(size: int, *, reset: bool) -> Behaviour:
    """Send the first *size* bytes of a grant; negative: all but the last so many."""

    def play(wire: Wire, request: WireRequest) -> None:
        wire.send(json_answer(200, grant_of(request))[:size])
        wire.pause(_SETTLE)
        wire.reset() if reset else wire.close()

    return play


def chunks_cut(wire: Wire, request: WireRequest) -> None:
    """Close in the middle of a chunked answer, all of whose JSON has left."""
    body = json_answer(200, grant_of(request)).partition(b"\r\n\r\n")[2]
    wire.send(head(200, (JSON, ("Transfer-Encoding", "chunked"))) + chunk(body))
    wire.close()


def stops_in_error(status: int) -> Behaviour:
    """Answer with an error that asks to wait, and close in the middle of its body."""

    def play(wire: Wire, request: WireRequest) -> None:
        length = ("Content-Length", "90")
        wire.send(head(status, (JSON, ("Retry-After", "0"), length)) + b'{"error": "bu')
        wire.pause(_SETTLE)
        wire.close()

    return play


def body_until_close(wire: Wire, request: WireRequest) -> None:
    """Send a truncated body that only the end of the connection ends."""
    wire.send(head(200, (JSON, ("Connection", "close"))) + b'{"access_token": "half')
    wire.close()


# -- taking time --------------------------------------------------------------------


def drips_head(interval: float) -> Behaviour:
    """Send header lines without end, a byte each *interval*."""

    def play(wire: Wire, request: WireRequest) -> None:
        wire.send(head(200, (JSON,))[:-2] + b"X-Drip: ")
        _drip(wire, b"x", interval)

    return play


def drips_body(interval: float) -> Behaviour:
    """Send a body without end, a byte each *interval*."""

    def play(wire: Wire, request: WireRequest) -> None:
        wire.send(head(200, (JSON, ("Content-Length", "100000"))))
        _drip(wire, b" ", interval)

    return play


def drips_chunks(interval: float) -> Behaviour:
    """Send a chunked body without end, a chunk of one byte each *interval*."""

    def play(wire: Wire, request: WireRequest) -> None:
        wire.send(head(200, (JSON, ("Transfer-Encoding", "chunked"))))
        _drip(wire, chunk(b" "), interval)

    return play


def falls_silent(seconds: float) -> Behaviour:
    """Send the first byte of a body *seconds* late, and then nothing."""

    def play(wire: Wire, request: WireRequest) -> None:
        wire.send(head(200, (JSON, ("Content-Length", "100"))))
        wire.pause(seconds)
        wire.send(b" ")
        wire.hold()

    return play


def informs_forever(wire: Wire, request: WireRequest) -> None:
    """Send 100 (Continue) after 100 (Continue)."""
    _drip(wire, head(100), 0.01)


def _drip(wire: Wire, drop: bytes, interval: float) -> None:
    while True:
        wire.send(drop)
        wire.pause(interval)


def grants_bytewise(interval: float) -> Behaviour:
    """Grant, a byte at a time."""

    def play(wire: Wire, request: WireRequest) -> None:
        for value in json_answer(200, grant_of(request)):
            wire.send(bytes([value]))
            wire.pause(interval)

    return play


def closes_slowly(wire: Wire, request: WireRequest) -> None:
    """Grant, announce the end of the connection, and then keep it open."""
    wire.send(json_answer(200, grant_of(request), (("Connection", "close"),)))
    wire.hold()


# -- being too much -----------------------------------------------------------------


def floods(framing: str) -> Behaviour:
    """Send a body of 200 MiB: with a "length", in "chunks", or until "close"."""
    fields = {
        "length": ("Content-Length", str(BOMB)),
        "chunks": ("Transfer-Encoding", "chunked"),
        "close": ("Connection", "close"),
    }

    def play(wire: Wire, request: WireRequest) -> None:
        wire.send(head(200, (JSON, fields[framing])))
        for _ in range(BOMB // len(_PIECE)):
            wire.send(chunk(_PIECE) if framing == "chunks" else _PIECE)
        wire.close()

    return play


def bombs(encoding: str) -> Behaviour:
    """Answer with 200 KiB that inflate to 200 MiB."""
    body = _bomb(encoding)
    return says(answer(200, body, (JSON, ("Content-Encoding", encoding))))


@functools.cache  # 200 MiB take a second to compress
def _bomb(encoding: str) -> bytes:
    if encoding == "br":
        return b"\x1b\xff\xff\xff" + bytes(200_000)  # only its name is ever looked at
    wbits = {"gzip": 31, "deflate": 15}[encoding]
    pressed = zlib.compressobj(9, zlib.DEFLATED, wbits)
    pieces = [pressed.compress(_PIECE) for _ in range(BOMB // len(_PIECE))]
    return b"".join((*pieces, pressed.flush()))


def grants_in_gzip(wire: Wire, request: WireRequest) -> None:
    """Grant, in gzip that nobody asked for."""
    body = gzip.compress(json_answer(200, grant_of(request)).partition(b"\r\n\r\n")[2])
    wire.send(answer(200, body, (JSON, ("Content-Encoding", "gzip"))))


def with_headers(extra: list[tuple[str, str]]) -> Behaviour:
    """Grant, with more headers."""

    def play(wire: Wire, request: WireRequest) -> None:
        wire.send(json_answer(200, grant_of(request), extra))

    return play


# -- bending HTTP -------------------------------------------------------------------


def after(prelude: bytes, seconds: float = 0.0) -> Behaviour:
    """Send *prelude*, such as an interim answer, and then grant."""

    def play(wire: Wire, request: WireRequest) -> None:
        wire.send(prelude)
        wire.pause(seconds)
        grants(wire, request)

    return play


def grants_with_surplus(wire: Wire, request: WireRequest) -> None:
    """Grant, with a second answer behind the first that nobody asked for."""
    forged = json_answer(200, {"access_token": "for-nobody", **GRANT})
    wire.send(json_answer(200, grant_of(request)) + forged)


def two_lengths(wire: Wire, request: WireRequest) -> None:
    """Grant, and say two lengths (RFC 9112 section 6.3: an unrecoverable error)."""
    body = json_answer(200, grant_of(request)).partition(b"\r\n\r\n")[2]
    lengths = (("Content-Length", str(len(body))), ("Content-Length", "1"))
    wire.send(head(200, (JSON, *lengths)) + body)
    wire.close()
