"""Logout tokens (OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6).

As in ``jws``, the function here *returns* an error: no traceback passes a frame that holds
a token.
"""

from __future__ import annotations

from collections.abc import Collection

import attrs

from ...errors import IdTokenError
from . import jws
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
from .keys import KeySet

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
"""The member of ``events`` that makes a token a logout token."""

MAX_ID_LENGTH = 255
"""Characters of a ``jti`` or a ``sid``; Auth0's have less than a third of that."""

# Auth0 says "JWT", the specification recommends "logout+jwt" and demands neither.
_TYPES = ("logout+jwt", "jwt")

_OTHER_KIND = "the logout token's typ says that it is another kind of token"


@attrs.frozen(kw_only=True)
class LogoutToken:
    """What a logout token says, all of it checked.

    Attributes:
        issuer: the tenant's.
        token_id: its ``jti``, by which it is known again.
        expires_at: epoch seconds.
        leeway: seconds after that until when it is still taken.
        subject: whose sessions end, where it says so.
        session_id: the ``sid`` of the session that ends, where it says so.
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
    """Check a logout token's signature and claims, and say what it says.

    Whether it has been used before is for whoever keeps its ``jti`` to tell.

    Args:
        token: the logout token, a compact JWS.
        key_set: the tenant's keys.
        issuer: the issuer, exactly as the tenant's metadata has it.
        client_id: the client that the token must be for.
        now: epoch seconds.
        algorithms: the names that its ``alg`` may have.

    Returns:
        What it says; the error, where it does not hold.
    """
    verified = jws.check(token, key_set, algorithms)
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
    # Back-Channel Logout 2.4: REQUIRED.
    return _id_problem(claims, "jti")


def _check_events(claims: Claims, _expected: Expected) -> str | None:
    events = claims.get("events")
    # Back-Channel Logout 2.4: an object with this member, whose value is an object; what
    # else is in either says nothing here.
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        return f"events has no object named {LOGOUT_EVENT!r}"
    return None


def _check_nonce(claims: Claims, _expected: Expected) -> str | None:
    # Back-Channel Logout 2.4: PROHIBITED, so that no logout token is taken for an ID token.
    return "nonce must not be there" if "nonce" in claims else None


def _check_who(claims: Claims, expected: Expected) -> str | None:
    # Back-Channel Logout 2.4: a sub, a sid, or both.
    if "sub" not in claims and "sid" not in claims:
        return "sub and sid are both missing"
    problem = check_subject(claims, expected) if "sub" in claims else None
    if problem is None and "sid" in claims:
        problem = _id_problem(claims, "sid")
    return problem


def _id_problem(claims: Claims, name: str) -> str | None:
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
    _check_who,
)
