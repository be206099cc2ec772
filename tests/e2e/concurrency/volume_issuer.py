"""A token endpoint for volume: run as a process of its own, so that it costs the client none.

It answers with a token that names the subject token it was asked with, so that each caller
can tell its own answer, and it keeps note of every connection.  A subject token may name
what is to go wrong: ``fault-reset.17``.  It decides nothing else; the local tenant is what
behaves like Auth0.

It is told what to do by lines of JSON on its input, and answers each by one line.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
import sys
import threading
import time
from socket import SO_LINGER, SOL_SOCKET
from typing import Any
from urllib.parse import parse_qsl

from joserfc import jwt
from joserfc.jwk import RSAKey

from auth0_tx.tenant import Certificates

_METADATA, _KEYS = "/.well-known/openid-configuration", "/.well-known/jwks.json"
_TOKEN = "/oauth/token"


def _json(
    members: dict[str, Any], status: str = "200 OK", headers: str = ""
) -> tuple[bytes, bytes]:
    body = json.dumps(members).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode(), body


_BUSY = _json(
    {"error": "too_many_requests"}, "429 Too Many Requests", "Retry-After: 0\r\n"
)
_PAGE = b"<html>an error page</html>"
_FAULTS = {
    "busy": _BUSY,
    "unavailable": _json({"error": "down"}, "503 Service Unavailable"),
    "broken": (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", b""),
    "denied": _json(
        {"error": "access_denied", "error_description": "no"}, "403 Forbidden"
    ),
    "page": (
        f"HTTP/1.1 200 OK\r\nContent-Length: {len(_PAGE)}\r\n\r\n".encode(),
        _PAGE,
    ),
}


class Issuer:
    """What the connections share: the key, the record, and what to do next."""

    def __init__(self) -> None:
        self.port = 0
        self.key = RSAKey.generate_key(2048, {"kid": "volume"}, private=True)
        self.delay: dict[str, float] = {}
        self.failing: dict[str, int] = {}
        self.clear()

    def clear(self) -> None:
        """Forget what came."""
        self.requests: list[tuple[str, int, str, str]] = []
        self.accepted = self.most_open = 0
        self.open = getattr(self, "open", 0)

    def document(self, path: str) -> tuple[bytes, bytes]:
        """Return the metadata or the keys."""
        issuer = f"https://localhost:{self.port}/"
        if self.failing.get(path, 0):
            self.failing[path] -= 1
            return _json({}, "503 Service Unavailable")
        if path == _KEYS:
            return _json({"keys": [{**self.key.as_dict(private=False), "use": "sig"}]})
        return _json(
            {
                "issuer": issuer,
                "token_endpoint": issuer + _TOKEN[1:],
                "jwks_uri": issuer + _KEYS[1:],
            }
        )

    def tokens(self, form: dict[str, str]) -> tuple[bytes, bytes]:
        """Return a token that names its subject token, and an ID token that names an actor."""
        subject, actor = form["subject_token"], form.get("actor_token")
        members: dict[str, Any] = {
            "access_token": f"for.{subject}",
            "token_type": "Bearer",
            "expires_in": 3600,
        }
        if actor is not None:
            now = int(time.time())
            claims = {
                "iss": f"https://localhost:{self.port}/",
                "aud": form["client_id"],
                "sub": "auth0|alice",
                "iat": now,
                "exp": now + 3600,
                "act": {"sub": actor},
            }
            members["id_token"] = jwt.encode(
                {"alg": "RS256", "kid": self.key.kid}, claims, self.key
            )
        return _json(members)

    def follow(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what the test says, and give the record."""
        self.delay = order.get("delay", self.delay)
        self.failing = order.get("failing", self.failing)
        record = {
            "accepted": self.accepted,
            "most_open": self.most_open,
            "open": self.open,
            "requests": self.requests,
        }
        if order.get("clear"):
            self.clear()
        return record


class Connection(asyncio.Protocol):
    """One connection: reads requests whole, and answers each."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._port: int = transport.get_extra_info("peername")[1]
        issuer = self._issuer
        issuer.accepted += 1
        issuer.open += 1
        issuer.most_open = max(issuer.most_open, issuer.open)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self._issuer.open -= 1

    def data_received(self, data: bytes) -> None:
        """Answer what is whole."""
        self._received += data
        while True:
            head, found, rest = self._received.partition(b"\r\n\r\n")
            if not found:
                return
            lines = head.decode().split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:])
            }
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                return
            self._received = rest[length:]
            self._answer(lines[0].split(" ")[1], rest[:length])

    def _answer(self, path: str, body: bytes) -> None:
        issuer = self._issuer
        form = dict(parse_qsl(body.decode()))
        subject = form.get("subject_token", "")
        issuer.requests.append(
            (path, self._port, subject, form.get("client_assertion", ""))
        )
        delay = issuer.delay.get(path, 0.0)
        if delay:
            loop = asyncio.get_running_loop()
            loop.call_later(delay, self._reply, path, subject, form)
        else:
            self._reply(path, subject, form)

    def _reply(self, path: str, subject: str, form: dict[str, str]) -> None:
        if self._transport.is_closing():
            return
        if path != _TOKEN:
            head, body = self._issuer.document(path)
        elif subject.startswith("fault-"):
            self._go_wrong(subject.removeprefix("fault-").partition(".")[0], form)
            return
        else:
            head, body = self._issuer.tokens(form)
        self._transport.write(head + body)

    def _go_wrong(self, fault: str, form: dict[str, str]) -> None:
        if fault == "reset":
            sock = self._transport.get_extra_info("socket")
            # A zero linger turns the close into a reset.
            sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        elif fault == "lost":
            self._transport.close()
        elif fault == "cut":
            head, body = self._issuer.tokens(form)
            self._transport.write(head + body[: len(body) // 2])
            self._transport.close()
        else:
            head, body = _FAULTS[fault]
            self._transport.write(head + body)


def _listen_to_orders(issuer: Issuer, loop: asyncio.AbstractEventLoop) -> None:
    def obey(line: str) -> None:
        print(json.dumps(issuer.follow(json.loads(line))), flush=True)

    for line in sys.stdin:
        loop.call_soon_threadsafe(obey, line)
    loop.call_soon_threadsafe(loop.stop)


async def _serve(issuer: Issuer, context: ssl.SSLContext) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(issuer), "127.0.0.1", 0, ssl=context, backlog=1024
    )
    issuer.port = server.sockets[0].getsockname()[1]


def main() -> None:
    """Serve until the input ends."""
    certificates, issuer = Certificates(), Issuer()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(_serve(issuer, certificates.server_context()))
    threading.Thread(target=_listen_to_orders, args=(issuer, loop), daemon=True).start()
    print(
        json.dumps({"port": issuer.port, "ca_file": certificates.ca_file}), flush=True
    )
    loop.run_forever()


if __name__ == "__main__":
    main()
