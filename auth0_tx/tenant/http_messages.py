"""The two values that cross the wire: a request as received, a reply as decided.

Both are frozen. Nothing here reads a socket, a clock or the tenant's state. The body of
a request is kept as the bytes that came, and read into name and value pairs on demand:
a test may want to see exactly what a client sent, malformed or not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from attrs import evolve, field, frozen

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

# Bounds the work that one hostile body can cause; a client sends about 15 pairs.
_MAX_PAIRS = 1000


class MalformedBody(ValueError):
    """Raised for a body that does not follow its Content-Type."""


def parse_pairs(content_type: str, body: bytes) -> tuple[tuple[str, str], ...]:
    """Return the name and value pairs of a form or JSON body, in order.

    Args:
        content_type: The Content-Type header; its parameters are ignored.
        body: The bytes as received.

    Raises:
        MalformedBody: The type is neither form nor JSON, or the bytes do not follow it.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        if media_type == FORM:
            return tuple(
                parse_qsl(
                    body.decode("ascii"),
                    # RFC 6749 3.1 treats an empty value as an omitted one, but Auth0
                    # refuses some parameters even when they are empty: keep them.
                    keep_blank_values=True,
                    errors="strict",
                    max_num_fields=_MAX_PAIRS,
                )
            )
        if media_type == JSON:
            # Auth0 accepts JSON at its token endpoint, although RFC 6749 4.1.3 does
            # not.
            return tuple(_iterate_json_pairs(json.loads(body)))
    except (ValueError, RecursionError) as error:
        raise MalformedBody("the body does not follow its Content-Type") from error
    raise MalformedBody("the body is neither a form nor JSON")


def _iterate_json_pairs(members: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(members, dict):
        raise ValueError("the JSON body is not an object")
    for name, value in members.items():
        # A list is the JSON spelling of a repeated form parameter.
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str):
                raise ValueError("the value of a JSON member is not a string")
            # JSON may escape a lone surrogate, which no form can carry: raises.
            text.encode()
            yield name, text


def _freeze_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    # RFC 9110 5.1: field names are case-insensitive; look-ups here use lower case.
    return MappingProxyType({name.lower(): value for name, value in headers.items()})


@frozen(kw_only=True)
class ReceivedRequest:
    """One request as the tenant received it; secrets stay out of its repr.

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
    headers: Mapping[str, str] = field(
        factory=dict, converter=_freeze_headers, repr=False
    )
    body: bytes = field(default=b"", repr=False)
    client_address: tuple[str, int] = ("127.0.0.1", 0)
    connection: int = 0
    received_at: float = 0.0
    http_version: str = "HTTP/1.1"

    @property
    def form(self) -> tuple[tuple[str, str], ...]:
        """Return the body's name and value pairs in order; empty if it has none."""
        try:
            return parse_pairs(self.headers.get("content-type", ""), self.body)
        except MalformedBody:
            return ()


@frozen
class Reply:
    """One reply; its body stays out of its repr, as it may carry tokens.

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
        """Return a reply whose body is ``members`` as a JSON object."""
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
        """Return this reply with ``members`` added to its JSON object, or replaced."""
        return evolve(self, body=json.dumps({**self.members, **members}).encode())

    def without(self, *names: str) -> Reply:
        """Return this reply without the members called ``names``."""
        remaining = {
            name: value for name, value in self.members.items() if name not in names
        }
        return evolve(self, body=json.dumps(remaining).encode())

    def with_headers(self, headers: Iterable[tuple[str, str]]) -> Reply:
        """Return this reply with ``headers`` added after its own."""
        return evolve(self, headers=(*self.headers, *headers))
