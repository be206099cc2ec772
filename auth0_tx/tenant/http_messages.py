"""The two values that cross the wire: a request as received, a reply as decided.

Both are frozen. Nothing here reads a socket, a clock or the tenant's state.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from attrs import evolve, field, frozen

from .form_pairs import MalformedBody, read_pairs

JSON = "application/json"


def _read_only(headers: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({name.lower(): value for name, value in headers.items()})


@frozen(kw_only=True)
class ReceivedRequest:
    """Hold one request as the tenant received it; secrets stay out of its repr.

    Args:
        method: The HTTP method, in upper case.
        path: The path without its query.
        query: The query as sent, without the question mark.
        headers: The headers, by lower-case name; repeated ones joined with ", ".
        body: The body as sent.
        client_address: The peer's address and port.
        connection: The number of the connection it came on, counted from 1.
        received_at: When it came, in seconds of the tenant's clock.
        http_version: "HTTP/1.1" or "HTTP/1.0".
    """

    method: str
    path: str
    query: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(factory=dict, converter=_read_only, repr=False)
    body: bytes = field(default=b"", repr=False)
    client_address: tuple[str, int] = ("127.0.0.1", 0)
    connection: int = 0
    received_at: float = 0.0
    http_version: str = "HTTP/1.1"

    @property
    def form(self) -> tuple[tuple[str, str], ...]:
        """Return the body's name and value pairs in order; empty if it has none."""
        try:
            return read_pairs(self.headers.get("content-type", ""), self.body)
        except MalformedBody:
            return ()


@frozen
class Reply:
    """Hold one reply; its body stays out of its repr, as it may carry tokens.

    Args:
        status: The HTTP status.
        body: The body's bytes.
        headers: Name and value pairs; Content-Length and Date are added when sent.
    """

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(
        cls,
        members: Mapping[str, Any],
        *,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Reply:
        """Return a reply whose body is *members* as a JSON object."""
        body = json.dumps(members, separators=(",", ":")).encode()
        return cls(status, body, (("Content-Type", JSON), *headers))

    @property
    def members(self) -> dict[str, Any]:
        """Return the members of the JSON object in the body.

        Raises:
            ValueError: The body is not a JSON object.
        """
        members = json.loads(self.body)
        if not isinstance(members, dict):
            raise ValueError("the reply's body is not a JSON object")
        return members

    def including(self, **members: Any) -> Reply:
        """Return this reply with *members* added to, or put over, its JSON object."""
        return evolve(self, body=json.dumps({**self.members, **members}).encode())

    def without(self, *names: str) -> Reply:
        """Return this reply with the members called *names* left out."""
        kept = {k: v for k, v in self.members.items() if k not in names}
        return evolve(self, body=json.dumps(kept).encode())

    def with_headers(self, headers: Iterable[tuple[str, str]]) -> Reply:
        """Return this reply with *headers* added after its own."""
        return evolve(self, headers=(*self.headers, *headers))
