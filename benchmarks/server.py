"""The server that both sides talk to: TLS on loopback, fixed answers, a process of its own.

It does little for a request, and its CPU time is not counted to the client.  For a line on
its standard input it prints its counts since the line before.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import cast

from auth0_tx.tenant.certificates import Certificates

from .delay import delay
from .tokens import build_jwks, generate_key, sign_id_token

_ACCESS_TOKEN = "eyJhbGciOiJSUzI1NiJ9." + "a" * 700 + "." + "b" * 342


class Counts:
    """Counts of the requests and connections."""

    def __init__(self) -> None:
        self.paths: Counter[str] = Counter()
        self.open = 0
        self.most_open = 0

    def take(self) -> dict[str, object]:
        """Return the counts, and start them anew."""
        told = {"paths": dict(self.paths), "most_open": self.most_open}
        self.paths.clear()
        self.most_open = self.open
        return told


class Answers:
    """The answers, as the bytes that go on the wire."""

    def __init__(self, issuer: str) -> None:
        key = generate_key()
        tokens = {
            "access_token": _ACCESS_TOKEN,
            "scope": "openid read:data",
            "expires_in": 86_400,
            "token_type": "Bearer",
        }
        self.token = _encode_response(tokens)
        self.token_with_actor = _encode_response(
            tokens | {"id_token": sign_id_token(key, issuer)}
        )
        self.documents = {
            b"/.well-known/openid-configuration": _encode_response(
                {
                    "issuer": issuer,
                    "token_endpoint": f"{issuer}oauth/token",
                    "jwks_uri": f"{issuer}.well-known/jwks.json",
                    "authorization_endpoint": f"{issuer}authorize",
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            ),
            b"/.well-known/jwks.json": _encode_response(build_jwks(key)),
        }

    def find_answer(self, path: bytes, body: bytes) -> bytes:
        """Return the answer to a request."""
        document = self.documents.get(path)
        if document is not None:
            return document
        return self.token_with_actor if b"&actor_token=" in body else self.token


def _encode_response(document: object) -> bytes:
    body = json.dumps(document).encode()
    return (
        b"HTTP/1.1 200 OK\r\n"
        b"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
        b"Content-Type: application/json\r\n"
        b"Cache-Control: no-store\r\n"
        b"Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
        b"X-Content-Type-Options: nosniff\r\n"
        b"X-RateLimit-Limit: 300\r\n"
        b"X-RateLimit-Remaining: 299\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    ) + body


class Connection(asyncio.Protocol):
    """One connection: as much of HTTP/1.1 as the clients here speak."""

    def __init__(self, answers: Answers, counts: Counts) -> None:
        self._answers = answers
        self._counts = counts
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._counts.open += 1
        self._counts.most_open = max(self._counts.most_open, self._counts.open)

    def connection_lost(self, exc: Exception | None) -> None:
        self._counts.open -= 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (head_end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:head_end]
            end = head_end + 4 + _read_content_length(head)
            if len(self._received) < end:
                return
            body = self._received[head_end + 4 : end]
            self._received = self._received[end:]
            path = head.split(b" ", 2)[1]
            self._counts.paths[path.decode()] += 1
            self._transport.write(self._answers.find_answer(path, body))


def _read_content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def serve(round_trip: float = 0.0) -> None:
    """Serve until standard input ends, *round_trip* seconds away."""
    loop = asyncio.get_running_loop()
    certificates, counts = Certificates(), Counts()
    answers: Answers | None = None

    def create_connection() -> Connection:
        assert answers is not None
        return Connection(answers, counts)

    server = await loop.create_server(
        create_connection, "127.0.0.1", ssl=certificates.server_context(), backlog=1024
    )
    port = server.sockets[0].getsockname()[1]
    if round_trip:
        port = await delay(port, round_trip)
    answers = Answers(f"https://localhost:{port}/")
    _write_line({"port": port, "ca_file": certificates.ca_file})
    ended = loop.create_future()

    def report_counts() -> None:
        if sys.stdin.readline():
            _write_line(counts.take())
        else:
            loop.remove_reader(sys.stdin)
            ended.set_result(None)

    loop.add_reader(sys.stdin, report_counts)
    await ended


def _write_line(told: object) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(*map(float, sys.argv[1:])))
