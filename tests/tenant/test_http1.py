"""HTTP/1.1 as the tenant reads and writes it, without a socket."""

from __future__ import annotations

import pytest

from auth0_tx.tenant.http1 import MalformedRequest, Message, RequestParser, serialize
from auth0_tx.tenant.http_messages import Reply

POST = (
    b"POST /oauth/token?x=1 HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\nx-a: 2\r\n"
    b"Content-Length: 5\r\n\r\nhello"
)
CHUNKED = (
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\n"
)


def parse(data: bytes, size: int = 65536) -> list[Message]:
    """Return the messages in ``data``, fed in pieces of ``size``."""
    parser, messages = RequestParser(), []
    for start in range(0, len(data), size):
        parser.feed(data[start : start + size])
        while (message := parser.take()) is not None:
            messages.append(message)
    return messages


@pytest.mark.parametrize("size", [1, 2, 7, 65536])
def test_pieces_make_messages(size: int) -> None:
    """A request is the same however it is cut, and several may follow on."""
    first, second = parse(POST + b"\r\n" + POST, size)

    assert first == second
    assert ("POST", "/oauth/token?x=1", "HTTP/1.1", b"hello") == (
        first.method,
        first.target,
        first.http_version,
        first.body,
    )
    assert {"host": "localhost", "x-a": "1, 2", "content-length": "5"} == dict(
        first.headers
    )


@pytest.mark.parametrize("size", [1, 65536])
@pytest.mark.parametrize("trailers", [b"\r\n", b"X-Trailer: 1\r\n\r\n"])
def test_chunks_make_a_body(size: int, trailers: bytes) -> None:
    """A chunked body is put together, its extensions and trailers dropped."""
    (message,) = parse(CHUNKED + trailers, size)

    assert b"hello" == message.body


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET  HTTP/1.1\r\n\r\n", 400),
        (b"G3T / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nname : spaced\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (
            b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413),
        (
            b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            + (b"100000\r\n" + b"x" * 0x100000 + b"\r\n") * 17,
            413,
        ),
        (b"GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, 431),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    ],
)
def test_malformed_requests(data: bytes, status: int) -> None:
    """A malformed or oversized request is refused with its status."""
    with pytest.raises(MalformedRequest) as caught:
        parse(data, 1 << 22)

    assert status == caught.value.status


def test_same_length_twice_is_one_length() -> None:
    """A Content-Length repeated with the same value is taken once."""
    head = b"POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"

    assert b"ok" == parse(head)[0].body


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: foo, Close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
    ],
)
def test_keep_alive(version: bytes, connection: bytes, kept: bool) -> None:
    """A connection is kept as RFC 9112 9.3 says."""
    (message,) = parse(b"GET / HTTP/" + version + b"\r\n" + connection + b"\r\n")

    assert kept == message.keeps_alive


def test_expect_continue() -> None:
    """A peer that waits for a 100 is noticed, once its head is complete."""
    parser = RequestParser()
    parser.feed(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")

    assert parser.take() is None
    assert parser.awaits_continue
    parser.feed(b"x")
    assert parser.take() is not None
    assert not parser.awaits_continue


def test_serialize() -> None:
    """A reply is its status line, headers, and body."""
    wire = serialize(Reply(200, b"{}", (("X-A", "1"),)), now=0)

    assert (
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        b"Content-Length: 2\r\nConnection: keep-alive\r\n\r\n"
    ) == wire.head
    assert b"{}" == wire.body


def test_serialize_odd_ones() -> None:
    """An unknown status has a phrase, 204 has no length, HEAD has no body."""
    unknown = serialize(Reply(299), now=0, keep_alive=False)
    empty = serialize(Reply(204), now=0)
    head = serialize(Reply(200, b"body"), now=0, head_only=True)

    assert unknown.head.startswith(b"HTTP/1.1 299 Unknown\r\n")
    assert b"Connection: close" in unknown.head
    assert b"Content-Length" not in empty.head
    assert b"Content-Length: 4" in head.head
    assert b"" == head.body
