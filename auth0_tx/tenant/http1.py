"""HTTP/1.1 as bytes in, values out and back. No socket, no clock.

Theory of operation. A connection feeds ``RequestParser`` whatever pieces its socket
brings and asks ``take`` for the next whole request until there is none. The
parser reads in two steps: the head, up to the empty line, and then a body whose length
the head announces (RFC 9112 6). Between the two it remembers the head, so that a client
that waits for ``100 Continue`` can be answered. Bytes that follow a request stay in the
buffer: they are the next, pipelined request. The other way, ``serialize`` turns a reply
into a head and a body, kept apart so that a fault can send the one and cut the other.

The parser refuses anything ambiguous instead of guessing: two lengths, a length beside
chunks, whitespace before a colon. These are the request-smuggling cases of RFC 9112
11.2, and a client that sends one has a bug that its tests should show. Sizes are
limited, since one client must not use up the memory of a test run.

Written out instead of taken from ``http.server``: that parser's headers alone cost
more than the rest of a request, and it answers in several small sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

from attrs import field, frozen

from .http_messages import Reply

# Apache and nginx take 8 KiB for one header line by default; tests send longer tokens.
_MAX_HEAD_BYTES = 64 * 1024
_MAX_BODY_BYTES = 16 * 1024 * 1024
_HEAD_END = b"\r\n\r\n"


class MalformedRequest(Exception):
    """Raised for bytes that are not a request this server reads; holds the status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@frozen
class Message:
    """One request as parsed: its request line, headers by lower-case name, body."""

    method: str
    target: str
    http_version: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def keeps_alive(self) -> bool:
        """Return whether the connection outlives this request (RFC 9112 9.3)."""
        options = {
            option.strip().lower()
            for option in self.headers.get("connection", "").split(",")
        }
        # HTTP/1.1 connections persist unless closed; HTTP/1.0 ones only on request.
        if self.http_version == "HTTP/1.0":
            return "keep-alive" in options
        return "close" not in options


@frozen
class WireReply:
    """A reply as bytes, its head apart from its body so that faults can cut it."""

    head: bytes = field(repr=False)
    body: bytes = field(repr=False)


class RequestParser:
    """Turn the bytes of one connection into messages, in whatever pieces they come."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        # The head of a request whose body is still incomplete.
        self._head: Message | None = None

    def feed(self, data: bytes) -> None:
        """Add ``data`` as received."""
        self._buffer += data

    def take(self) -> Message | None:
        """Return the next whole message, or ``None`` until more bytes are fed.

        Raises:
            MalformedRequest: The bytes are not a request, or exceed the limits.
        """
        head = self._head or self._take_head()
        if head is None:
            return None
        self._head = head
        body = self._take_body(head)
        if body is None:
            return None
        self._head = None
        return Message(head.method, head.target, head.http_version, head.headers, body)

    @property
    def awaits_continue(self) -> bool:
        """Return whether the peer holds its body back for a 100 (RFC 9110 10.1.1)."""
        return (
            self._head is not None
            and not self._buffer
            and self._head.headers.get("expect", "").lower() == "100-continue"
        )

    def _take_head(self) -> Message | None:
        # RFC 9112 2.2: ignore empty lines received before the request line.
        while self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
        end = self._buffer.find(_HEAD_END)
        # Also without an end in sight, or an endless head would fill the memory.
        if end > _MAX_HEAD_BYTES or (end < 0 and len(self._buffer) > _MAX_HEAD_BYTES):
            raise MalformedRequest(431)
        if end < 0:
            return None
        # Latin-1 cannot fail, and RFC 9110 5.5 leaves bytes beyond ASCII opaque.
        lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + len(_HEAD_END)]
        method, target, version = _parse_request_line(lines[0])
        return Message(method, target, version, _parse_headers(lines[1:]))

    def _take_body(self, head: Message) -> bytes | None:
        length = head.headers.get("content-length")
        encoding = head.headers.get("transfer-encoding")
        if encoding is not None:
            # RFC 9112 6.3: both together may be an attempt at request smuggling.
            if length is not None or encoding.lower() != "chunked":
                raise MalformedRequest(400)
            return self._take_chunks()
        if length is None:
            # RFC 9112 6.3: a request with neither header has no body.
            return b""
        # int() would also take "+5", " 5", "5_0" and digits of other scripts.
        if not (length.isascii() and length.isdigit()):
            raise MalformedRequest(400)
        return self._take_bytes(int(length))

    def _take_bytes(self, length: int) -> bytes | None:
        if length > _MAX_BODY_BYTES:
            raise MalformedRequest(413)
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _take_chunks(self) -> bytes | None:
        # Starts from the first chunk on every call: requests here are small, and so
        # the parser needs no state within a body (RFC 9112 7.1).
        body, position = bytearray(), 0
        while True:
            line_end = self._buffer.find(b"\r\n", position)
            if line_end < 0:
                break
            size = _parse_chunk_size(bytes(self._buffer[position:line_end]))
            position = line_end + 2
            if size == 0:
                return self._take_trailers(position, bytes(body))
            body += self._buffer[position : position + size]
            position += size + 2
        if len(self._buffer) > _MAX_BODY_BYTES:
            raise MalformedRequest(413)
        return None

    def _take_trailers(self, position: int, body: bytes) -> bytes | None:
        # The empty line that ends the trailers may follow the last chunk at once.
        end = self._buffer.find(_HEAD_END, position - 2)
        if end < 0:
            return None
        del self._buffer[: end + len(_HEAD_END)]
        return body


def _parse_request_line(line: str) -> tuple[str, str, str]:
    parts = line.split(" ")
    if len(parts) != 3 or not parts[0].isalpha() or not parts[1]:
        raise MalformedRequest(400)
    if parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise MalformedRequest(505)
    return parts[0].upper(), parts[1], parts[2]


def _parse_headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        # RFC 9112 5.1: no whitespace between the name and the colon. This refuses
        # folded lines as well (5.2), which begin with whitespace.
        if not colon or not name or name != name.strip():
            raise MalformedRequest(400)
        name, value = name.lower(), value.strip(" \t")
        # RFC 9112 6.3: lengths that differ are an error; equal ones count once.
        if name == "content-length" and headers.get(name, value) != value:
            raise MalformedRequest(400)
        # RFC 9110 5.3: other repeated fields are one list, in order.
        if name in headers and name != "content-length":
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


def _parse_chunk_size(line: bytes) -> int:
    # RFC 9112 7.1.1: ignore chunk extensions that are not understood.
    digits = line.partition(b";")[0].strip()
    try:
        size = int(digits, 16)
    except ValueError:
        raise MalformedRequest(400) from None
    if not 0 <= size <= _MAX_BODY_BYTES:
        raise MalformedRequest(413)
    return size


def serialize(
    reply: Reply, *, now: float, keep_alive: bool = True, head_only: bool = False
) -> WireReply:
    """Return ``reply`` as bytes.

    Args:
        reply: The reply to send.
        now: The time for the Date header, in seconds since the epoch.
        keep_alive: Whether the connection stays open after it.
        head_only: Whether it answers a HEAD, which has no body.
    """
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        # A fault may send any status; the phrase has no meaning (RFC 9112 4).
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {reply.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    lines.append(f"Date: {formatdate(now, usegmt=True)}")
    # RFC 9110 8.6: no Content-Length with 1xx and 204.
    if reply.status != HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Length: {len(reply.body)}")
    lines.append(f"Connection: {'keep-alive' if keep_alive else 'close'}")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return WireReply(head, b"" if head_only else reply.body)
