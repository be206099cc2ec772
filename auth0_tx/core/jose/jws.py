"""Signed tokens in the compact form (RFC 7515), checked against keys that are held.

A function here *returns* an error, and a thin one around it raises: no traceback passes
a frame that holds a token.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from joserfc.jwa import JWS_ALGORITHMS

from ...errors import IdTokenError, SigningKeyError
from ..wire.reading import read_json
from .keys import ALGORITHMS, KeySet, decode_base64url, load_jwks

MAX_TOKEN_LENGTH = 65_536
"""Characters a token may have; a longer one is refused before any of it is decoded."""

_MODELS = {model.name: model for model in JWS_ALGORITHMS if model.name in ALGORITHMS}

_NOT_COMPACT = "the token is not a compact JWS (RFC 7515 section 7.1)"
_TOO_LONG = f"the token is longer than {MAX_TOKEN_LENGTH} characters"
_NOT_BASE64URL = "a part of the token is not canonical base64url (RFC 7515 section 2)"
_NOT_AN_OBJECT = "the token's header is not an object (RFC 7515 section 4)"
_CRITICAL = "the token's header has an extension (RFC 7515 section 4.1.11, RFC 7797)"
_ALGORITHM = "the token's alg is not one that is accepted here (RFC 8725 section 3.1)"
_KID = "the token's kid is not a string (RFC 7515 section 4.1.4)"
_NO_KEY = "no key of the key set is for this token's kid and alg"
_SIGNATURE = "the token's signature does not hold"


class Verified(NamedTuple):
    """What a token says, its signature having held."""

    header: dict[str, Any]
    payload: bytes


def verify_jws(
    token: str, jwks: Mapping[str, Any], *, algorithms: Collection[str]
) -> bytes:
    """Check a compact JWS against a JWKS document; return its payload.

    Keys, and where to find keys, are never taken from the token itself.

    Args:
        token: the JWS.
        jwks: a JWK Set (RFC 7517 section 5); keys that may not be used are passed over.
        algorithms: the names that the token's ``alg`` may have, of :data:`ALGORITHMS`.

    Raises:
        SigningKeyError: *jwks* is no key set, or has no key for this token.
        IdTokenError: the token is malformed, or its signature does not hold.
    """
    key_set = load_jwks(jwks)
    checked = (
        check(token, key_set, algorithms) if isinstance(key_set, KeySet) else key_set
    )
    del token, jwks
    if isinstance(checked, IdTokenError):
        raise checked
    return checked.payload


def verify(token: str, key_set: KeySet, algorithms: Collection[str]) -> bytes:
    """Do as :func:`verify_jws` does, with keys that are held."""
    checked = check(token, key_set, algorithms)
    del token
    if isinstance(checked, IdTokenError):
        raise checked
    return checked.payload


def check(
    token: str, key_set: KeySet, algorithms: Collection[str]
) -> Verified | IdTokenError:
    """Do as :func:`verify` does; give the header too, and return the error."""
    header = _read_header(token)
    if isinstance(header, str):
        return IdTokenError(header)
    # RFC 7515 4.1.11: an extension that is not understood MUST be refused, and none is.
    # RFC 7797 6: of "b64" without "crit", different readers make different things.
    if "crit" in header or "b64" in header:
        return IdTokenError(_CRITICAL)
    algorithm = header.get("alg")
    # RFC 8725 3.1: the caller says which algorithms, the token never does.
    if not isinstance(algorithm, str) or not _is_allowed(algorithm, algorithms):
        return IdTokenError(_ALGORITHM)
    if not isinstance(header.get("kid", ""), str):
        return IdTokenError(_KID)
    signed, _, signature_part = token.rpartition(".")
    signature = decode_base64url(signature_part)
    payload = decode_base64url(signed.partition(".")[2])
    if signature is None or payload is None:
        return IdTokenError(_NOT_BASE64URL)
    keys = key_set.find(header.get("kid"), algorithm)
    if not keys:
        return SigningKeyError(_NO_KEY)
    model, message = _MODELS[algorithm], signed.encode()
    if not any(model.verify(message, signature, key) for key in keys):
        return IdTokenError(_SIGNATURE)
    return Verified(header, payload)


def key_id(token: str) -> str | None:
    """Give the ``kid`` that a token names, before anything of it is verified.

    Nothing is raised: None stands for a token that names no key, or is none.
    """
    header = _read_header(token)
    kid = None if isinstance(header, str) else header.get("kid")
    return kid if isinstance(kid, str) else None


def _is_allowed(algorithm: str, algorithms: Collection[str]) -> bool:
    # A string is a collection of strings too, and "in" would look for a part of it.
    allowed = (algorithms,) if isinstance(algorithms, str) else algorithms
    return algorithm in ALGORITHMS and algorithm in allowed


def _read_header(token: object) -> dict[str, Any] | str:
    """Give the header of *token*, or the rule that it breaks."""
    if not isinstance(token, str):
        return _NOT_COMPACT
    if len(token) > MAX_TOKEN_LENGTH:
        return _TOO_LONG
    # RFC 7515 7.1: header, payload and signature; a JWE (RFC 7516) has five parts.
    if token.count(".") != 2:
        return _NOT_COMPACT
    octets = decode_base64url(token[: token.index(".")])
    if octets is None:
        return _NOT_BASE64URL
    header, problem = read_json(octets)
    if problem is not None:
        return f"the token's header {problem}"
    return header if isinstance(header, dict) else _NOT_AN_OBJECT
