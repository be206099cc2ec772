"""An API that answers as a test says, and keeps what it was asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs

from auth0_tx.tenant import Certificates


@attrs.frozen
class ApiRequest:
    """A request as the API received it.

    Attributes:
        token: the bearer token; ``None`` if there was none.
        connection: the peer's port, which tells connections apart.
    """

    method: str
    path: str
    token: str | None
    headers: Mapping[str, str]
    body: bytes
    connection: int


@attrs.frozen
class ApiAnswer:
    """An answer of the API."""

    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = b"{}"
    reads_body: bool = True


class ApiServer:
    """A server on a port of this machine; ``answer`` decides what it says."""

    def __init__(self, certificates: Certificates | None) -> None:
        self.requests: list[ApiRequest] = []
        self.answer: Callable[[ApiRequest], ApiAnswer] = lambda request: ApiAnswer()
        self.valid_tokens: set[str] | None = None
        self._server = _Server(("127.0.0.1", 0), _make_handler(self))
        scheme = "http"
        if certificates is not None:
            scheme = "https"
            self._server.socket = certificates.server_context().wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.origin = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    @property
    def tokens(self) -> list[str | None]:
        """The tokens of the requests, in order."""
        return [request.token for request in self.requests]

    @property
    def paths(self) -> list[str]:
        """The paths of the requests, in order."""
        return [request.path for request in self.requests]

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def refuse(times: int = 1, **headers: str) -> Callable[[ApiRequest], ApiAnswer]:
    """Answer the first *times* requests with 401, and all others with their token's path."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    left, lock = [times], threading.Lock()

    def answer(request: ApiRequest) -> ApiAnswer:
        with lock:
            left[0] -= 1
            return ApiAnswer(401, given, b"no") if left[0] >= 0 else ApiAnswer()

    return answer


def refuse_token(token: Callable[[], str | None]) -> Callable[[ApiRequest], ApiAnswer]:
    """Answer a request with *token* with 401."""
    return lambda request: ApiAnswer(401 if request.token == token() else 200)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


def _make_handler(api: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            scheme, _, token = headers.get("authorization", "").partition(" ")
            bare = ApiRequest(
                self.command,
                self.path,
                token if scheme == "Bearer" else None,
                headers,
                b"",
                self.client_address[1],
            )
            answer = api.answer(bare)
            body = self._read_body(headers) if answer.reads_body else b""
            api.requests.append(attrs.evolve(bare, body=body))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            if not answer.reads_body:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_WR)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

        def _read_body(self, headers: Mapping[str, str]) -> bytes:
            if headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(headers.get("content-length", "0")))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    return Handler
