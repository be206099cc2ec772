"""Compact JWTs, signed and read. Given keys and times; reads no clock.

Signatures are joserfc's; the parts are split and decoded here, so that a token can be
looked into before it is known whose key to verify it with (``peek``), and so that every
way in which a string fails to be a JWT is one error.
"""

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
    # "none" is not among them: an unsigned token never verifies.
    algorithms=[
        *("HS256", "RS256", "RS384", "PS256", "PS384", "ES256", "ES384"),
    ],
    # Tests craft tokens with headers of every kind.
    strict_check_header=False,
)


class InvalidJwt(Exception):
    """Raised for a string that is not a JWT, or whose signature does not verify."""


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
    """Return ``claims`` as a compact JWT.

    Args:
        claims: The payload.
        key: The private or secret key.
        algorithm: A JWS ``alg``.
        header: Header members; ``typ`` is "JWT" unless given.
    """
    full_header = {"alg": algorithm, "typ": "JWT", **(header or {})}
    payload = json.dumps(claims, separators=(",", ":")).encode()
    return jws.serialize_compact(full_header, payload, key, registry=_REGISTRY)


def peek(token: str) -> Jwt:
    """Return the parts of ``token`` without checking its signature.

    Raises:
        InvalidJwt: It is not a compact JWT.
    """
    segments = token.split(".")
    # RFC 7515 3.1: header, payload, signature.
    if len(segments) != 3:
        raise InvalidJwt("not a compact JWT")
    return Jwt(_decode_object(segments[0]), _decode_object(segments[1]))


def verify(token: str, key: Key, algorithms: frozenset[str]) -> Jwt:
    """Return the parts of ``token`` after checking its signature.

    Args:
        token: A compact JWT.
        key: The key it must be signed with.
        algorithms: The values of ``alg`` that are accepted.

    Raises:
        InvalidJwt: It is not a JWT, not signed with ``key``, or not with one of
            ``algorithms``.
    """
    parts = peek(token)
    # RFC 8725 3.1: the verifier chooses the algorithms. Or a token could ask to be
    # verified with a public key as if it were an HMAC secret.
    if parts.header.get("alg") not in algorithms:
        # In the words of the JOSE library that Auth0's own messages quote.
        raise InvalidJwt('"alg" (Algorithm) Header Parameter value not allowed')
    try:
        jws.deserialize_compact(token, key, registry=_REGISTRY)
    except (JoseError, ValueError, TypeError) as error:
        raise InvalidJwt("signature verification failed") from error
    return parts


def _decode_object(segment: str) -> dict[str, Any]:
    try:
        # RFC 7515 2: base64url without padding. Strict, as b64decode otherwise skips
        # characters that are not of its alphabet.
        padded = segment.encode("ascii") + b"=" * (-len(segment) % 4)
        members = json.loads(base64.b64decode(padded, b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise InvalidJwt("not a compact JWT") from error
    if not isinstance(members, dict):
        raise InvalidJwt("not a compact JWT")
    return members
