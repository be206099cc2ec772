"""The direct way to the wire: who turns it off, and that nobody else can tell the difference."""

from __future__ import annotations

import http.client
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from types import MethodType
from typing import Any

import pytest
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from auth0_tx import NotSentError
from auth0_tx.core.effects import COMMON_HEADERS, Request, Response, Send
from auth0_tx.secret import SecretBytes, SecretStr
from auth0_tx.shells.requests_transport import RequestsTransport
from auth0_tx.shells.tls import Trust
from auth0_tx.shells.urllib3_wire import is_observed

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("AUTH0_TX_TEST_OBSERVED")), reason="requests are observed"
)

HEADERS = {
    **COMMON_HEADERS,
    "Content-Type": "application/x-www-form-urlencoded",
    "Authorization": SecretStr("Basic Y2xpZW50OnNlY3JldA=="),
}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

REPLACED: list[tuple[type, str]] = [
    (HTTPAdapter, "send"),
    (HTTPConnectionPool, "urlopen"),
    (HTTPSConnectionPool, "urlopen"),
    (HTTPConnection, "request"),
    (HTTPSConnection, "request"),
    (HTTPConnection, "putrequest"),
    (HTTPConnection, "getresponse"),
    (http.client.HTTPConnection, "putrequest"),
    (http.client.HTTPConnection, "putheader"),
    (http.client.HTTPConnection, "endheaders"),
    (http.client.HTTPConnection, "getresponse"),
]


class Wrapper:
    """Wraps a method, and pretends to be it, as those of ``wrapt`` do."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def __eq__(self, other: object) -> bool:
        return bool(self.wrapped == other)

    __hash__ = None  # type: ignore[assignment]

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.wrapped(*args, **kwargs)


def test_nobody_looks() -> None:
    """As the libraries are, requests go the direct way."""
    assert not is_observed()


@pytest.mark.parametrize(
    ("owner", "name"), REPLACED, ids=[f"{o.__module__}.{n}" for o, n in REPLACED]
)
def test_methods_that_somebody_replaced(
    owner: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method that a mock or a tracer replaced turns it off, for as long as it is replaced."""
    monkeypatch.setattr(owner, name, Wrapper(getattr(owner, name)))
    assert is_observed()

    monkeypatch.undo()
    assert not is_observed()


@pytest.mark.parametrize(
    ("target", "replacement"),
    [
        ("requests.adapters.HTTPAdapter.send", "Wrapper(original)"),
        ("http.client.HTTPConnection.putrequest", "lambda *args: None"),
    ],
)
def test_methods_that_were_replaced_first(target: str, replacement: str) -> None:
    """So does one that was replaced before the library was imported, as most tracers do."""
    program = f"""
import http.client, requests.adapters
from functools import update_wrapper
class Wrapper:
    def __init__(self, wrapped):
        update_wrapper(self, wrapped)
    def __getattr__(self, name):
        return getattr(self.__wrapped__, name)
original = {target}
{target} = {replacement}
from auth0_tx.shells.urllib3_wire import is_observed
assert is_observed()
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_debug_output_of_http_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """So does the level with which ``http.client`` prints what it sends."""
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)

    assert is_observed()


class Server:
    """A server on loopback that keeps what it receives, piece by piece."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.pieces: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    def _answer(self, sock: socket.socket) -> None:
        with sock:
            received = b""
            while piece := sock.recv(65_536):
                self.pieces.append(piece)
                received += piece
                head, _, body = received.partition(b"\r\n\r\n")
                _, has_body, length = head.partition(b"Content-Length: ")
                if len(body) == int(length.split(b"\r\n")[0] if has_body else 0):
                    received = b""
                    sock.sendall(ANSWER)

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server."""
    with closing(Server()) as made:
        yield made


@pytest.fixture
def transport() -> Iterator[RequestsTransport]:
    """A transport of a client's own."""
    with closing(RequestsTransport(None, Trust(True, False), None, False, 2)) as made:
        yield made


def send(transport: RequestsTransport, request: Request) -> Response:
    """Send a request that has time."""
    return transport.send(Send(lambda: request, time.monotonic() + 10.0, 100))


@pytest.mark.parametrize("body", [None, b"", b"grant_type=x&client_id=y"])
def test_same_bytes(
    server: Server,
    transport: RequestsTransport,
    body: bytes | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both ways put the same bytes on the wire, the direct one in a single write."""
    request = Request(
        "GET" if body is None else "POST",
        f"{server.origin}/oauth/token?a=b",
        HEADERS,
        None if body is None else SecretBytes(body),
    )
    direct = send(transport, request)
    pieces = server.pieces.copy()
    server.pieces.clear()
    wrapper = Wrapper(HTTPConnectionPool.urlopen)
    monkeypatch.setattr(HTTPConnectionPool, "urlopen", wrapper)
    observed = send(transport, request)

    assert pieces == [b"".join(server.pieces)]
    assert 1 == wrapper.calls
    assert (direct.status, direct.body, direct.headers) == (
        observed.status,
        observed.body,
        observed.headers,
    )


def test_same_connection(
    server: Server, transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways take connections from the same pools."""
    request = Request("GET", f"{server.origin}/", HEADERS)
    for replaced in (False, True, False):
        if replaced:
            monkeypatch.setattr(
                HTTPAdapter, "send", Wrapper(HTTPAdapter.send), raising=True
            )
        send(transport, request)
        monkeypatch.undo()
    assert transport._adapter is not None
    pool = transport._adapter.find_pool(request.url, None)

    assert 3 == len(server.pieces)
    assert 1 == pool.num_connections


def test_log_of_urllib3(
    server: Server,
    transport: RequestsTransport,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Both ways write urllib3's line for a request."""
    request = Request("GET", f"{server.origin}/oauth/token?a=b", HEADERS)
    caplog.set_level(logging.DEBUG, "urllib3.connectionpool")
    send(transport, request)
    monkeypatch.setattr(HTTPAdapter, "send", Wrapper(HTTPAdapter.send))
    send(transport, request)
    *_, direct, observed = (
        record.getMessage()
        for record in caplog.records
        if record.name == "urllib3.connectionpool"
    )

    assert observed == direct


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\rb", "\u2603"])
def test_header_that_cannot_be_sent(
    server: Server, transport: RequestsTransport, value: str
) -> None:
    """A value that would be more than a header leaves the request unsent."""
    request = Request("GET", f"{server.origin}/", {**HEADERS, "X-Own": value})
    with pytest.raises(NotSentError):
        send(transport, request)

    assert [] == server.pieces
