"""ID tokens: the checks of OpenID Connect Core section 3.1.3.7, and Auth0's own.

The signature comes first (``jws``): until it is valid, no claim means anything.  Then the
``typ`` of the header, so that another kind of token signed with the same key is not taken
for an ID token.  Then the payload is parsed strictly, and the claims are checked against the rules
in ``_RULES``, one after another; the first broken one is the error.  ``at_hash`` is last,
because it also needs the algorithm that the token was signed with.

Logout tokens use the same machinery with rules of their own, so ``read_claims`` takes the
rules as an argument.

As in ``jws``, errors are returned, not raised, because the frames here hold tokens and
personal data.  No error quotes a claim: it names the claim, and the value that was expected.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias

import attrs

from ...errors import IdTokenError
from ..wire.reading import read_json
from .claims import check_actors, is_date
from .jws import MAX_TOKEN_LENGTH, check_jws
from .keys import KeySet

MAX_PAYLOAD_LENGTH = MAX_TOKEN_LENGTH
"""Bytes of a payload; one that came in a token is shorter already."""

MAX_SUBJECT_LENGTH = 255
"""Characters of ``sub`` (OpenID Connect Core section 2)."""

MAX_LIFETIME = 366 * 86_400
"""Seconds an ID token may be valid; Auth0 sets ten hours, and allows a month."""

_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}

_TOO_LONG = f"payload is longer than {MAX_PAYLOAD_LENGTH} bytes"
_NOT_AN_OBJECT = "payload is not an object (RFC 7519 section 7.2)"
_NOT_A_DATE = "is not a date in seconds since 1970 (RFC 7519 section 2)"
_OTHER_KIND = "the ID token's typ is that of another kind of token"


@attrs.frozen(kw_only=True)
class Expected:
    """The values that an ID token must have.

    Attributes:
        issuer: the issuer, exactly as the tenant's metadata has it.
        client_id: the client that the token must be for.
        now: epoch seconds.
        leeway: seconds that this machine's clock and the tenant's may be apart.
        organization: the organization asked for, by its id (``org_...``) or its name.
        nonce: the nonce that was sent, if one was.
        access_token: the access token of the same response, for ``at_hash``.
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
"""Returns how the claims break it, beginning with the claim's name, or ``None``."""


def check_id_token(
    token: str, key_set: KeySet, expected: Expected, *, algorithms: Collection[str]
) -> Claims | IdTokenError:
    """Verify an ID token's signature and claims; return the claims, or the error.

    Args:
        token: the ID token, a compact JWS.
        key_set: the tenant's keys.
        expected: what the token must say.
        algorithms: the names that its ``alg`` may have.

    Returns:
        The claims; a ``SigningKeyError`` if *key_set* has no key for this token; an
        ``IdTokenError`` if the token is malformed, its signature is invalid, or a claim
        is not what it must be.
    """
    verified = check_jws(token, key_set, algorithms)
    if isinstance(verified, IdTokenError):
        return verified
    header, payload = verified
    if not _is_plain_type(header.get("typ", "JWT")):
        return IdTokenError(_OTHER_KIND)
    return check_claims(payload, expected, algorithm=header["alg"])


def check_claims(
    payload: bytes, expected: Expected, *, algorithm: str
) -> Claims | IdTokenError:
    """Check the claims of an ID token whose signature is valid; return them, or the error.

    Args:
        payload: the payload of the JWS.
        expected: what the token must say.
        algorithm: the ``alg`` that it was signed with, which decides the hash in ``at_hash``.
    """
    claims = read_claims(payload, expected, _RULES, "ID token")
    if isinstance(claims, IdTokenError):
        return claims
    if _is_of_other_access_token(claims, expected.access_token, algorithm):
        return IdTokenError("the ID token's at_hash does not match the access token")
    return claims


def read_claims(
    payload: bytes, expected: Expected, rules: Iterable[Rule], kind: str
) -> Claims | IdTokenError:
    """Read the claims of any kind of token, and check them against *rules*.

    Args:
        payload: the payload of a JWS whose signature is valid.
        expected: what the token must say.
        rules: the rules, in the order in which they are applied.
        kind: the name of the kind of token, for the error.

    Returns:
        The claims that are not null, or the error for the first rule that they break.
    """
    # The length is compared first: parsing a large payload costs memory.
    if len(payload) > MAX_PAYLOAD_LENGTH:
        return IdTokenError(f"the {kind}'s {_TOO_LONG}")
    claims, problem = read_json(payload)
    if problem is not None:
        return IdTokenError(f"the {kind}'s payload {problem}")
    if not isinstance(claims, dict):
        return IdTokenError(f"the {kind}'s {_NOT_AN_OBJECT}")
    # OIDC Core 5.3.2: a claim without a value SHOULD be left out, and some Actions set null.
    # A required claim that is null is then missing.
    claims = {name: value for name, value in claims.items() if value is not None}
    for rule in rules:
        problem = rule(claims, expected)
        if problem is not None:
            return IdTokenError(f"the {kind}'s {problem}")
    return claims


def _is_plain_type(kind: object) -> bool:
    # RFC 8725 3.11: other kinds of token have a type of their own, such as "at+jwt" (RFC
    # 9068 2.1) and "logout+jwt" (Back-Channel Logout 2.4); an ID token has none.
    # RFC 7515 4.1.9: a media type, so in any case, and with "application/" or without.
    return isinstance(kind, str) and "+jwt" not in kind.lower()


def check_issuer(claims: Claims, expected: Expected) -> str | None:
    """Check that a token is from the tenant."""
    # OIDC Core 3.1.3.7, 2: MUST exactly match, so neither case nor a slash is forgiven.
    if claims.get("iss") != expected.issuer:
        return f"iss is not {expected.issuer!r}"
    return None


def check_audience(claims: Claims, expected: Expected) -> str | None:
    """Check that a token is for this client alone."""
    audience = claims.get("aud")
    # RFC 7519 4.1.3: an array of strings, or in the special case of one, the string.
    members = audience if isinstance(audience, list) else [audience]
    # OIDC Core 3.1.3.7, 3: MUST be refused if this client is not among them, or if there
    # are others that the client does not trust; it trusts only itself.
    if not members or any(member != expected.client_id for member in members):
        return "aud is not this client's id alone"
    # OIDC Core 3.1.3.7, 4 and 5: the authorized party, if there is one, is this client.
    if claims.get("azp", expected.client_id) != expected.client_id:
        return "azp is not this client's id"
    return None


def check_subject(claims: Claims, _expected: Expected) -> str | None:
    """Check that a token names a user."""
    subject = claims.get("sub")
    # OIDC Core 2: REQUIRED, and no longer than 255 characters.
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT_LENGTH:
        return f"sub is not a string of 1 to {MAX_SUBJECT_LENGTH} characters"
    return None


def check_dates(claims: Claims, expected: Expected) -> str | None:
    """Check that a token is valid now, and for a limited time."""
    issued, expires = _to_date(claims.get("iat")), _to_date(claims.get("exp"))
    starts = _to_date(claims.get("nbf", 0))
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
    # RFC 7519 4.1.5 and OIDC Core 3.1.3.7, 10.  The usual cause is this machine's clock.
    latest = expected.now + expected.leeway
    if issued > latest or starts > latest:
        return "iat or nbf is in the future (check this machine's clock)"
    # Nobody means an ID token to be valid for decades, and one that leaked would be.
    if not 0 < expires - issued <= MAX_LIFETIME:
        return f"exp is not after iat, or by more than {MAX_LIFETIME} seconds"
    return None


def _to_date(value: object) -> float | None:
    return value if is_date(value) else None


def _check_events(claims: Claims, _expected: Expected) -> str | None:
    # RFC 8725 3.12: the rules for each kind of token exclude the others.  Auth0's logout
    # tokens have the typ of an ID token, and every claim that one needs; events, which a
    # security event token must have (RFC 8417 2.2), tells them apart.
    if isinstance(claims.get("events"), dict):
        return "events make it another kind of token"
    return None


def _check_nonce(claims: Claims, expected: Expected) -> str | None:
    # OIDC Core 3.1.3.7, 11: MUST match if one was sent.  An exchange sends none, and then
    # whatever the token has is let pass.
    if expected.nonce is not None and claims.get("nonce") != expected.nonce:
        return "nonce is not the one that was sent"
    return None


def _check_organization(claims: Claims, expected: Expected) -> str | None:
    organization = expected.organization
    # Auth0: a client that asks for an organization MUST check that the token is for it.
    # Otherwise a user of one customer could enter the application of another.
    if organization is None:
        return None
    if organization.startswith("org_"):
        name = "org_id"
    else:
        # Auth0: names are case-insensitive, and lower-case in a token.
        name, organization = "org_name", organization.lower()
    return (
        None if claims.get(name) == organization else f"{name} is not {organization!r}"
    )


def _check_actors(claims: Claims, _expected: Expected) -> str | None:
    return check_actors(claims["act"]) if "act" in claims else None


# In the order of OIDC Core 3.1.3.7: issuer and audience come before the contents.
_RULES: tuple[Rule, ...] = (
    check_issuer,
    check_audience,
    check_subject,
    check_dates,
    _check_events,
    _check_nonce,
    _check_organization,
    _check_actors,
)


def _is_of_other_access_token(
    claims: Claims, access_token: str | None, algorithm: str
) -> bool:
    if access_token is None or "at_hash" not in claims:
        return False
    # OIDC Core 3.1.3.6: the left half of the hash that alg is named after.  EdDSA names
    # none; Ed25519 uses SHA-512.
    sha = _HASHES.get(algorithm[-3:], hashlib.sha512)
    digest = sha(access_token.encode("utf-8", "surrogatepass")).digest()
    half = urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    return bool(claims["at_hash"] != half)
