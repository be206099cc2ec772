"""Logout tokens (OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6).

Auth0 posts one to the application when a session ends elsewhere.  Anybody can post to that
address, so the token is the only proof: its signature, its ``typ`` and every claim are
checked as an ID token's are, with the rules in ``_RULES``.  An ID token must not pass for a
logout token, nor the other way round: ``events`` is required here, ``nonce`` is forbidden.

Section 2.6 also wants a token to be taken once.  That needs a memory of ``jti``, which a
pure function does not have; the flow keeps it.

As in ``jws``, the error is returned, not raised, because the frames here hold the token.
"""

from __future__ import annotations

from collections.abc import Collection

import attrs

from ...errors import IdTokenError
from .id_token import (
    Claims,
    Expected,
    Rule,
    check_audience,
    check_dates,
    check_issuer,
    check_subject,
    read_claims,
)
from .jws import check_jws
from .keys import KeySet

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
"""The member of ``events`` that makes a token a logout token."""

MAX_ID_LENGTH = 255
"""Characters of a ``jti`` or a ``sid``; Auth0's have less than a third of that."""

# Auth0 writes "JWT"; the specification recommends "logout+jwt" and demands neither.
_TYPES = ("logout+jwt", "jwt")

_OTHER_KIND = "the logout token's typ is that of another kind of token"


@attrs.frozen(kw_only=True)
class LogoutToken:
    """The checked claims of a logout token.

    Attributes:
        issuer: the tenant's issuer.
        token_id: its ``jti``, by which a replay is recognised.
        expires_at: epoch seconds.
        leeway: seconds after ``expires_at`` during which it is still accepted.
        subject: the user whose sessions end, or ``None``.
        session_id: the ``sid`` of the session that ends, or ``None``.
    """

    issuer: str
    token_id: str
    expires_at: float
    leeway: float
    subject: str | None
    session_id: str | None


def read_logout_token(
    token: str,
    key_set: KeySet,
    *,
    issuer: str,
    client_id: str,
    now: float,
    algorithms: Collection[str],
) -> LogoutToken | IdTokenError:
    """Verify a logout token's signature and claims; return what it says, or the error.

    Whether the token was used before is not checked here: the flow remembers its ``jti``.

    Args:
        token: the logout token, a compact JWS.
        key_set: the tenant's keys.
        issuer: the issuer, exactly as the tenant's metadata has it.
        client_id: the client that the token must be for.
        now: epoch seconds.
        algorithms: the names that its ``alg`` may have.

    Returns:
        The checked claims; a ``SigningKeyError`` if *key_set* has no key for this token;
        an ``IdTokenError`` if it is not a valid logout token.
    """
    verified = check_jws(token, key_set, algorithms)
    if isinstance(verified, IdTokenError):
        return verified
    header, payload = verified
    if not _is_logout_type(header.get("typ", "JWT")):
        return IdTokenError(_OTHER_KIND)
    expected = Expected(issuer=issuer, client_id=client_id, now=now)
    claims = read_claims(payload, expected, _RULES, "logout token")
    if isinstance(claims, IdTokenError):
        return claims
    return LogoutToken(
        issuer=issuer,
        token_id=claims["jti"],
        expires_at=claims["exp"],
        leeway=expected.leeway,
        subject=claims.get("sub"),
        session_id=claims.get("sid"),
    )


def _is_logout_type(kind: object) -> bool:
    # RFC 7515 4.1.9: a media type, so in any case, and with "application/" or without.
    if not isinstance(kind, str):
        return False
    return kind.lower().removeprefix("application/") in _TYPES


def _check_token_id(claims: Claims, _expected: Expected) -> str | None:
    # Back-Channel Logout 2.4: REQUIRED.  Without it a replay could not be recognised.
    return _check_id(claims, "jti")


def _check_events(claims: Claims, _expected: Expected) -> str | None:
    events = claims.get("events")
    # Back-Channel Logout 2.4: an object with this member, whose value is an object.  Other
    # members of either are allowed and ignored.
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        return f"events has no object named {LOGOUT_EVENT!r}"
    return None


def _check_nonce(claims: Claims, _expected: Expected) -> str | None:
    # Back-Channel Logout 2.4: PROHIBITED, so that a logout token never passes for an ID
    # token at a client that looks for its nonce.
    return "nonce must be absent" if "nonce" in claims else None


def _check_sub_or_sid(claims: Claims, expected: Expected) -> str | None:
    # Back-Channel Logout 2.4: a sub, a sid, or both.
    if "sub" not in claims and "sid" not in claims:
        return "sub and sid are both missing"
    problem = check_subject(claims, expected) if "sub" in claims else None
    if problem is None and "sid" in claims:
        problem = _check_id(claims, "sid")
    return problem


def _check_id(claims: Claims, name: str) -> str | None:
    # Ids become keys of the application's store, so they are bounded and never empty.
    value = claims.get(name)
    if isinstance(value, str) and 1 <= len(value) <= MAX_ID_LENGTH:
        return None
    return f"{name} is not a string of 1 to {MAX_ID_LENGTH} characters"


_RULES: tuple[Rule, ...] = (
    check_issuer,
    check_audience,
    check_dates,
    _check_token_id,
    _check_events,
    _check_nonce,
    _check_sub_or_sid,
)
