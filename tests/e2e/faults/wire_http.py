"""HTTP/1.1 as bytes: a request read off a socket, an answer written by hand. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from attrs import field, frozen

JSON = ("Content-Type", "application/json")
Headers = Iterable[tuple[str, str]]


@frozen(kw_only=True)
class WireRequest:
    """One request, as it was received.

    Args:
        method: The method.
        path: The path, with its query.
        headers: Name and value pairs in order, names in lower case.
        body: The body.
        connection: The number of the connection it came on, counted from 1.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    connection: int

    def header(self, name: str) -> str | None:
        """Return the first value of a header, or None."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def form(self) -> dict[str, str]:
        """Return the body's parameters."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


def read_request(recv: Callable[[int], bytes], connection: int) -> WireRequest | None:
    """Read a request; return None where the client leaves before one is whole."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = recv(65_536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = tuple(_pair(line) for line in lines)
    length = int(dict(headers).get("content-length", "0"))
    while len(body) < length:
        piece = recv(65_536)
        if not piece:
            return None
        body += piece
    return WireRequest(
        method=method, path=path, headers=headers, body=body, connection=connection
    )


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()


def head(status: int | str, headers: Headers = (), *, version: str = "1.1") -> bytes:
    """Return a status line and headers, with the empty line that ends them."""
    line = f"HTTP/{version} {status}" if isinstance(status, str) else _line(status)
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{line}\r\n{fields}\r\n".encode("latin-1")


def _line(status: int) -> str:
    return f"HTTP/1.1 {status} Reason"


def answer(status: int, body: bytes, headers: Headers = (JSON,)) -> bytes:
    """Return a whole answer that says how long it is."""
    length = ("Content-Length", str(len(body)))
    return head(status, (*headers, length)) + body


def json_answer(
    status: int, members: Mapping[str, Any], headers: Headers = ()
) -> bytes:
    """Return a whole answer with a JSON object."""
    return answer(status, json.dumps(members).encode(), (JSON, *headers))


def chunk(data: bytes) -> bytes:
    """Return *data* as one chunk (RFC 9112 section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)
