"""Compact JWTs, signed and read. Given keys and times; reads no clock."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, RSAKey

Key = RSAKey | ECKey | OctKey


class _Registry(jws.JWSRegistry):
    # joserfc's own limits are tighter than what a legacy system may put in a token.
    max_header_length = 8 * 1024
    max_payload_length = 256 * 1024


_REGISTRY = _Registry(
    algorithms=[
        *("HS256", "RS256", "RS384", "PS256", "PS384", "ES256", "ES384"),
    ],
    # Tests craft tokens with headers of every kind.
    strict_check_header=False,
)


class InvalidJwt(Exception):
    """Raised for a string that is no JWT, or whose signature does not hold."""


@frozen
class Jwt:
    """The header and the claims of a compact JWT."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any] = field(repr=False)


def sign(
    claims: Mapping[str, Any],
    key: Key,
    algorithm: str,
    header: Mapping[str, Any] | None = None,
) -> str:
    """Return *claims* as a compact JWT.

    Args:
        claims: The payload.
        key: The private or secret key.
        algorithm: A JWS `alg`.
        header: Header members; `typ` is "JWT" unless given.
    """
    full = {"alg": algorithm, "typ": "JWT", **(header or {})}
    payload = json.dumps(claims, separators=(",", ":")).encode()
    return jws.serialize_compact(full, payload, key, registry=_REGISTRY)


def peek(token: str) -> Jwt:
    """Return the parts of *token* without checking its signature.

    Raises:
        InvalidJwt: It is not a compact JWT.
    """
    parts = token.split(".")
    if len(parts) != 3:  # RFC 7515 3.1: header, payload, signature
        raise InvalidJwt("not a compact JWT")
    return Jwt(_part(parts[0]), _part(parts[1]))


def verify(token: str, key: Key, algorithms: frozenset[str]) -> Jwt:
    """Return the parts of *token*, whose signature by *key* holds.

    Raises:
        InvalidJwt: It is not a JWT, not signed by *key*, or not with *algorithms*.
    """
    parts = peek(token)
    if parts.header.get("alg") not in algorithms:
        raise InvalidJwt('"alg" (Algorithm) Header Parameter value not allowed')
    try:
        jws.deserialize_compact(token, key, registry=_REGISTRY)
    except (JoseError, ValueError, TypeError) as error:
        raise InvalidJwt("signature verification failed") from error
    return parts


def _part(segment: str) -> dict[str, Any]:
    try:
        padded = segment.encode("ascii") + b"=" * (-len(segment) % 4)
        members = json.loads(base64.b64decode(padded, b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise InvalidJwt("not a compact JWT") from error
    if not isinstance(members, dict):
        raise InvalidJwt("not a compact JWT")
    return members
