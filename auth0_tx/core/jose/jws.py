"""Compact JWS (RFC 7515), verified with keys that the caller already has.

A token is judged in this order, and the first failure is the answer:

1. **Size and form.**  At most :data:`MAX_TOKEN_LENGTH` characters, three parts.  This
   comes first because a token arrives from outside, and decoding it costs memory.
2. **Header.**  Strict JSON, no extension, an ``alg`` that the *caller* allows.  Nothing
   else in it is believed: a key in ``jwk`` or ``x5c`` and an address in ``jku`` or ``x5u``
   come from the maker of the token, who may be an attacker (CVE-2018-0114).
3. **Base64url** of payload and signature, in its one canonical spelling.
4. **Key.**  Those of the key set with the token's ``kid`` and ``alg``.  If there are none,
   the error is a ``SigningKeyError``: the tenant may have rotated its keys.
5. **Signature.**  joserfc's algorithms, which rest on ``cryptography``, do the arithmetic.
   Its own reader of tokens is not used: of two ``alg`` members it takes the last.

Fetching the JWKS again can only help with the last two: a key may be missing, or replaced
under its ``kid``.  ``may_pass_with_other_keys`` tells them from the rest.

Errors are returned, not raised: a raised error would carry a traceback through frames
whose locals hold the token, and error trackers show locals.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from joserfc.jwa import JWS_ALGORITHMS

from ...errors import IdTokenError, SigningKeyError
from ..wire.reading import read_json
from .keys import ALGORITHMS, KeySet, decode_base64url

MAX_TOKEN_LENGTH = 65_536
"""Characters a token may have; a longer one is refused before any of it is decoded."""

_MODELS = {model.name: model for model in JWS_ALGORITHMS if model.name in ALGORITHMS}

_NOT_COMPACT = "the token is not a compact JWS (RFC 7515 section 7.1)"
_TOO_LONG = f"the token is longer than {MAX_TOKEN_LENGTH} characters"
_NOT_BASE64URL = "a part of the token is not canonical base64url (RFC 7515 section 2)"
_NOT_AN_OBJECT = "the token's header is not an object (RFC 7515 section 4)"
_CRITICAL = "the token's header has an extension (RFC 7515 section 4.1.11, RFC 7797)"
_ALGORITHM = "the token's alg is not an accepted algorithm (RFC 8725 section 3.1)"
_KID = "the token's kid is not a string (RFC 7515 section 4.1.4)"
_NO_KEY = "the tenant's key set has no key for the token's kid and alg"
_SIGNATURE = "the token's signature is invalid"


class VerifiedJws(NamedTuple):
    """The header and payload of a token whose signature is valid."""

    header: dict[str, Any]
    payload: bytes


def check_jws(
    token: str, key_set: KeySet, algorithms: Collection[str]
) -> VerifiedJws | IdTokenError:
    """Verify the signature of *token*; return what it signs, or the error.

    Args:
        token: the compact JWS.
        key_set: the tenant's keys, the only ones that count.
        algorithms: the names that the token's ``alg`` may have, of
            :data:`~auth0_tx.core.jose.keys.ALGORITHMS`.

    Returns:
        The header and payload; a ``SigningKeyError`` if *key_set* has no key for the
        token; an ``IdTokenError`` if the token is malformed or its signature is invalid.
    """
    header = _read_header(token)
    if isinstance(header, str):
        return IdTokenError(header)
    # RFC 7515 4.1.11: an extension that is not understood MUST be refused, and none is.
    # RFC 7797 6: "b64" without "crit" means different things to different readers.
    if "crit" in header or "b64" in header:
        return IdTokenError(_CRITICAL)
    algorithm = header.get("alg")
    # RFC 8725 3.1: the caller says which algorithms, the token never does.  Otherwise
    # "none", or HS256 keyed with the tenant's public key, would pass as a signature.
    if not isinstance(algorithm, str) or not _is_allowed(algorithm, algorithms):
        return IdTokenError(_ALGORITHM)
    # A number or a list could not be looked up, and null is not the same as absent.
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
    # More than one key can share a kid, and a token without a kid fits every key of its
    # alg.  KeySet caps how many, so a token cannot make this loop long.
    if not any(model.verify(message, signature, key) for key in keys):
        return IdTokenError(_SIGNATURE)
    return VerifiedJws(header, payload)


def may_pass_with_other_keys(error: IdTokenError) -> bool:
    """Return whether the token that *error* refuses may be valid under a newer key set."""
    return isinstance(error, SigningKeyError) or error.message == _SIGNATURE


def key_id(token: str) -> str | None:
    """Return the ``kid`` in a token's header, which is not verified yet.

    It serves to decide whether the JWKS must be fetched again, and for nothing else.
    ``None`` stands for a token that names no key, and for anything that is not a token.
    """
    header = _read_header(token)
    kid = None if isinstance(header, str) else header.get("kid")
    return kid if isinstance(kid, str) else None


def _is_allowed(algorithm: str, algorithms: Collection[str]) -> bool:
    # A string is a collection of strings too, and "in" would match a part of it: "" and
    # "RS" are in "RS256".
    allowed = (algorithms,) if isinstance(algorithms, str) else algorithms
    return algorithm in ALGORITHMS and algorithm in allowed


def _read_header(token: object) -> dict[str, Any] | str:
    """Return the header of *token*, or the rule that the token breaks."""
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
    # Strict JSON: a header with two "alg" members would be verified by one reader under
    # the first and by another under the second.
    header, problem = read_json(octets)
    if problem is not None:
        return f"the token's header {problem}"
    return header if isinstance(header, dict) else _NOT_AN_OBJECT
