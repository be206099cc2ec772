"""ID tokens: the checks of OpenID Connect Core section 3.1.3.7, and Auth0's own.

As in ``jws``, a function here *returns* an error, and a thin one around it raises.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias

import attrs

from ...errors import IdTokenError
from ..wire.reading import read_json
from . import jws
from .claims import actor_problem, is_date
from .keys import KeySet

MAX_PAYLOAD_LENGTH = jws.MAX_TOKEN_LENGTH

MAX_SUBJECT_LENGTH = 255
"""OpenID Connect Core section 2."""

MAX_LIFETIME = 366 * 86_400
"""Seconds an ID token may be valid; Auth0 sets ten hours, and allows a month."""

_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}

_TOO_LONG = f"payload is longer than {MAX_PAYLOAD_LENGTH} bytes"
_NOT_AN_OBJECT = "payload is not an object (RFC 7519 section 7.2)"
_NOT_A_DATE = "is not a date in seconds since 1970 (RFC 7519 section 2)"
_OTHER_KIND = "the ID token's typ says that it is another kind of token"


@attrs.frozen(kw_only=True)
class Expected:
    """What an ID token must say.

    Attributes:
        issuer: the issuer, exactly as the tenant's metadata has it.
        client_id: the client that the token must be for.
        now: epoch seconds.
        leeway: seconds that this machine's clock and the tenant's may be apart.
        organization: the one that was asked for, by its id (``org_...``) or its name.
        nonce: the nonce that was sent, if one was.
        access_token: the access token that came along, for ``at_hash``.
    """

    issuer: str
    client_id: str
    now: float
    leeway: float = 60.0
    organization: str | None = None
    nonce: str | None = attrs.field(default=None, repr=False)
    access_token: str | None = attrs.field(default=None, repr=False)


Claims: TypeAlias = dict[str, Any]

Rule: TypeAlias = Callable[[Claims, Expected], str | None]
"""Gives what claims break it, or None; what it gives begins with the claim's name."""


def verify_id_token(
    token: str, key_set: KeySet, expected: Expected, *, algorithms: Collection[str]
) -> Claims:
    """Check an ID token's signature and claims; return the claims.

    Args:
        token: the ID token, a compact JWS.
        key_set: the tenant's keys.
        expected: what the token must say.
        algorithms: the names that its ``alg`` may have.

    Raises:
        SigningKeyError: *key_set* has no key for this token.
        IdTokenError: the token is malformed, its signature does not hold, or it says
            something that it must not.
    """
    checked = check_id_token(token, key_set, expected, algorithms=algorithms)
    # A traceback that shows locals must show nothing of the tokens.
    del token, expected
    if isinstance(checked, IdTokenError):
        raise checked
    return checked


def verify_claims(payload: bytes, expected: Expected, *, algorithm: str) -> Claims:
    """Check the claims of an ID token whose signature has held; return them.

    Args:
        payload: the payload of the JWS.
        expected: what the token must say.
        algorithm: the ``alg`` that it was signed with, which ``at_hash`` depends upon.

    Raises:
        IdTokenError: a claim is missing, malformed, or not what it must be.
    """
    checked = check_claims(payload, expected, algorithm=algorithm)
    del payload, expected
    if isinstance(checked, IdTokenError):
        raise checked
    return checked


def check_id_token(
    token: str, key_set: KeySet, expected: Expected, *, algorithms: Collection[str]
) -> Claims | IdTokenError:
    """Do as :func:`verify_id_token` does, and return the error."""
    verified = jws.check(token, key_set, algorithms)
    if isinstance(verified, IdTokenError):
        return verified
    header, payload = verified
    if not _is_plain_type(header.get("typ", "JWT")):
        return IdTokenError(_OTHER_KIND)
    return check_claims(payload, expected, algorithm=header["alg"])


def check_claims(
    payload: bytes, expected: Expected, *, algorithm: str
) -> Claims | IdTokenError:
    """Do as :func:`verify_claims` does, and return the error."""
    claims = read_claims(payload, expected, _RULES, "ID token")
    if isinstance(claims, IdTokenError):
        return claims
    if _is_other_access_token(claims, expected.access_token, algorithm):
        return IdTokenError("the ID token's at_hash is not that of the access token")
    return claims


def read_claims(
    payload: bytes, expected: Expected, rules: Iterable[Rule], kind: str
) -> Claims | IdTokenError:
    """Read the claims of any kind of token, and hold them to *rules*.

    Args:
        payload: the payload of a JWS whose signature has held.
        expected: what the token must say.
        rules: each gives what is wrong, or None.
        kind: what the token is called in an error.
    """
    if len(payload) > MAX_PAYLOAD_LENGTH:
        return IdTokenError(f"the {kind}'s {_TOO_LONG}")
    claims, problem = read_json(payload)
    if problem is not None:
        return IdTokenError(f"the {kind}'s payload {problem}")
    if not isinstance(claims, dict):
        return IdTokenError(f"the {kind}'s {_NOT_AN_OBJECT}")
    for rule in rules:
        problem = rule(claims, expected)
        if problem is not None:
            return IdTokenError(f"the {kind}'s {problem}")
    return claims


def _is_plain_type(kind: object) -> bool:
    # RFC 8725 3.11: tokens of other kinds say so, as "at+jwt" (RFC 9068 2.1) and
    # "logout+jwt" (Back-Channel Logout 2.4) do; an ID token has no such name.
    # RFC 7515 4.1.9: a media type, so in any case, and with "application/" or without.
    return isinstance(kind, str) and "+jwt" not in kind.lower()


def check_issuer(claims: Claims, expected: Expected) -> str | None:
    """Check that a token is the tenant's."""
    # OIDC Core 3.1.3.7, 2: MUST exactly match, so neither case nor a slash is forgiven.
    if claims.get("iss") != expected.issuer:
        return f"iss is not {expected.issuer!r}"
    return None


def check_audience(claims: Claims, expected: Expected) -> str | None:
    """Check that a token is for this client alone."""
    audience = claims.get("aud")
    # RFC 7519 4.1.3: an array of strings, or in the special case of one, the string.
    members = audience if isinstance(audience, list) else [audience]
    # OIDC Core 3.1.3.7, 3: MUST be refused if this client is not among them, or one is
    # that the client does not trust; it trusts none but itself.
    if not members or any(member != expected.client_id for member in members):
        return "aud is not this client alone"
    # OIDC Core 3.1.3.7, 4 and 5.
    if claims.get("azp", expected.client_id) != expected.client_id:
        return "azp is not this client"
    return None


def check_subject(claims: Claims, _expected: Expected) -> str | None:
    """Check that a token says whose it is."""
    subject = claims.get("sub")
    # OIDC Core 2: REQUIRED, and no longer than 255 characters.
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT_LENGTH:
        return f"sub is not a string of 1 to {MAX_SUBJECT_LENGTH} characters"
    return None


def check_dates(claims: Claims, expected: Expected) -> str | None:
    """Check that a token holds now, and not for ever."""
    issued, expires = _date(claims.get("iat")), _date(claims.get("exp"))
    starts = _date(claims.get("nbf", 0))
    # OIDC Core 2: iat and exp are REQUIRED; RFC 7519 4.1.5: nbf is not.
    if issued is None:
        return f"iat {_NOT_A_DATE}"
    if expires is None:
        return f"exp {_NOT_A_DATE}"
    if starts is None:
        return f"nbf {_NOT_A_DATE}"
    # RFC 7519 4.1.4: on or after exp it MUST NOT be accepted.
    if expected.now - expected.leeway >= expires:
        return "exp has passed"
    # RFC 7519 4.1.5 and OIDC Core 3.1.3.7, 10.
    latest = expected.now + expected.leeway
    if issued > latest or starts > latest:
        return "iat or nbf is in the future (is the clock of this machine right?)"
    if not 0 < expires - issued <= MAX_LIFETIME:
        return f"exp is not after iat by at most {MAX_LIFETIME} seconds"
    return None


def _date(value: object) -> float | None:
    return value if is_date(value) else None


def _check_nonce(claims: Claims, expected: Expected) -> str | None:
    # OIDC Core 3.1.3.7, 11.  An exchange sends no nonce; then any is let pass.
    if expected.nonce is not None and claims.get("nonce") != expected.nonce:
        return "nonce is not the one that was sent"
    return None


def _check_organization(claims: Claims, expected: Expected) -> str | None:
    wanted = expected.organization
    # Auth0: whoever asks for an organization MUST check that the token is for it.
    if wanted is None:
        return None
    if wanted.startswith("org_"):
        return None if claims.get("org_id") == wanted else f"org_id is not {wanted!r}"
    # Auth0: names are case-insensitive, and lower-case in a token.
    wanted = wanted.lower()
    return None if claims.get("org_name") == wanted else f"org_name is not {wanted!r}"


def _check_actors(claims: Claims, _expected: Expected) -> str | None:
    return actor_problem(claims["act"]) if "act" in claims else None


_RULES: tuple[Rule, ...] = (
    check_issuer,
    check_audience,
    check_subject,
    check_dates,
    _check_nonce,
    _check_organization,
    _check_actors,
)


def _is_other_access_token(
    claims: Claims, access_token: str | None, algorithm: str
) -> bool:
    if access_token is None or "at_hash" not in claims:
        return False
    # OIDC Core 3.1.3.6: half of the hash that alg is named after; Ed25519 has SHA-512.
    sha = _HASHES.get(algorithm[-3:], hashlib.sha512)
    digest = sha(access_token.encode("utf-8", "surrogatepass")).digest()
    half = urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    return bool(claims["at_hash"] != half)
