"""A browser as far as cookies go: it keeps the cookies that are set, and sends them back.

``Secure`` cookies go to loopback over plain http as well, as browsers have it.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import attrs

from tests.frameworks.set_cookies import SentCookie, parse_set_cookie

NOTES = (".current", ".used")
"""The ends of the names of the cookies beside a session's."""


@attrs.frozen
class Answer:
    """The answer of a server."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def list_fields(self, name: str) -> list[str]:
        """Return every field of a name."""
        return [value for field, value in self.headers if field.lower() == name.lower()]

    @property
    def cookies_set(self) -> list[SentCookie]:
        """The cookies that the server set or deleted."""
        return [parse_set_cookie(field) for field in self.list_fields("Set-Cookie")]

    @property
    def deleted(self) -> set[str]:
        """The names of the cookies that the server deleted."""
        return {cookie.name for cookie in self.cookies_set if cookie.is_deletion}

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@attrs.define
class Browser:
    """One visitor of a site.

    Attributes:
        port: the site's.
        store: where the site is to keep the session: the first part of every path.
        cookies: what the browser has, by name.
    """

    port: int
    store: str
    cookies: dict[str, str] = attrs.field(factory=dict)

    def get(self, action: str, **query: str) -> Answer:
        """Ask for something."""
        return self._send("GET", action, b"", query)

    def post(self, action: str, body: str = "", **query: str) -> Answer:
        """Have something done."""
        return self._send("POST", action, body.encode(), query)

    @property
    def session(self) -> dict[str, str]:
        """The cookies of its session, without the notes beside it."""
        return {
            name: value
            for name, value in self.cookies.items()
            if not name.endswith(NOTES)
        }

    def copy(self) -> Browser:
        """Return another browser with the same cookies."""
        return Browser(self.port, self.store, dict(self.cookies))

    def _send(
        self, method: str, action: str, body: bytes, query: dict[str, str]
    ) -> Answer:
        target = f"/{self.store}/{action}?{urlencode(query)}"
        sent = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, target)
            connection.putheader("Content-Length", str(len(body)))
            connection.putheader("Connection", "close")
            if sent:
                connection.putheader("Cookie", sent)
            connection.endheaders(body)
            response = connection.getresponse()
            answer = Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()
        for cookie in answer.cookies_set:
            if cookie.is_deletion:
                self.cookies.pop(cookie.name, None)
            else:
                self.cookies[cookie.name] = cookie.value
        return answer


def read_payload(token: str) -> dict[str, Any]:
    """Read the claims of a token."""
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims
