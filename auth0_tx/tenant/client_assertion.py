"""Checks a ``private_key_jwt`` assertion (RFC 7523 3, with Auth0's limits).

Each check is here because a client could otherwise authenticate with something it
should not have: a signature by a key that is not registered, an assertion made for
another server (``aud``) or for another client (``iss``, ``sub``), one that lives long
enough to be stolen (``exp``), or one seen before (``jti``). The reply is the same for
all; the tenant's log has the reason.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from . import jwts
from .applications import Application

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# Those that Auth0's discovery document lists.
ALGORITHMS = frozenset({"RS256", "RS384", "PS256", "PS384", "ES256", "ES384"})

# Auth0's documented limits: bytes, characters of a claim, seconds to exp, clock skew.
_MAX_LENGTH = 2048
_MAX_CLAIM_LENGTH = 64
_MAX_LIFETIME = 300.0
_MAX_SKEW = 10.0
_SWEEP_SECONDS = 60.0


class InvalidAssertion(Exception):
    """Raised for an assertion that does not authenticate; the log has the reason."""


class UsedAssertions:
    """The ``jti`` of every assertion used, until the assertion has expired."""

    def __init__(self) -> None:
        self._expiries: dict[tuple[str, str], float] = {}
        self._swept_at = 0.0
        self._lock = threading.Lock()

    def use(self, client_id: str, jti: str, expires_at: float, now: float) -> bool:
        """Record the use of ``jti`` and return whether it was the first."""
        # Look and record in one step: of two threads with one assertion, one is first.
        with self._lock:
            # Now and then, not each time: a sweep reads every entry.
            if now >= self._swept_at + _SWEEP_SECONDS:
                self._swept_at = now
                self._expiries = {
                    key: expiry
                    for key, expiry in self._expiries.items()
                    if expiry > now
                }
            # RFC 7519 4.1.7: jti is unique per issuer, and the client is the issuer.
            if (client_id, jti) in self._expiries:
                return False
            self._expiries[client_id, jti] = expires_at
            return True


def peek_client_id(assertion: str) -> str | None:
    """Return the unverified ``sub`` of ``assertion``, or ``None`` if it has none."""
    try:
        sub = jwts.peek(assertion).claims.get("sub")
    except jwts.InvalidJwt:
        return None
    return sub if isinstance(sub, str) else None


def check_assertion(
    assertion: str,
    application: Application,
    *,
    audience: str,
    now: float,
    used: UsedAssertions,
) -> None:
    """Check that ``assertion`` authenticates ``application``, and use it up.

    Args:
        assertion: The compact JWT.
        application: The application with whose credentials it must be signed.
        audience: The issuer, with its trailing slash.
        now: Seconds since the epoch.
        used: The assertions used so far.

    Raises:
        InvalidAssertion: It does not authenticate.
    """
    if len(assertion) > _MAX_LENGTH:
        raise InvalidAssertion(f"longer than {_MAX_LENGTH} bytes")
    claims = _verify_signature(assertion, application)
    for name in ("iss", "sub", "jti"):
        value = claims.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= _MAX_CLAIM_LENGTH:
            raise InvalidAssertion(f"{name} must be a string of 1 to 64 characters")
    # RFC 7523 3: iss and sub are both the client_id.
    if not claims["iss"] == claims["sub"] == application.client_id:
        raise InvalidAssertion("iss and sub must be the client_id")
    # Auth0 takes the issuer alone, not the token endpoint's URL that RFC 7523 suggests.
    if claims.get("aud") not in (audience, [audience]):
        raise InvalidAssertion(f"aud must be {audience}")
    expires_at = _check_times(claims, now)
    # Last: an assertion that fails another check stays unused.
    if not used.use(application.client_id, claims["jti"], expires_at, now):
        raise InvalidAssertion("jti was used before")


def _verify_signature(assertion: str, application: Application) -> Mapping[str, Any]:
    try:
        kid = jwts.peek(assertion).header.get("kid")
    except jwts.InvalidJwt as error:
        raise InvalidAssertion(str(error)) from None
    # RFC 7515 4.1.4: kid is optional; without it every credential is tried.
    candidates = [
        credential
        for credential in application.credentials
        if kid is None or credential.kid == kid
    ]
    if not candidates:
        raise InvalidAssertion("no credential of the application has this kid")
    for credential in candidates:
        try:
            return jwts.verify(assertion, credential.key, ALGORITHMS).claims
        except jwts.InvalidJwt:
            continue
    raise InvalidAssertion("signature verification failed")


def _check_times(claims: Mapping[str, Any], now: float) -> float:
    """Check the times of an assertion and return when it expires."""
    times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
    for name, value in times.items():
        # bool is a subclass of int, and true is not a NumericDate (RFC 7519 2).
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidAssertion(f"{name} must be a number")
    if "exp" not in times:
        raise InvalidAssertion("exp is missing")
    if times["exp"] <= now:
        raise InvalidAssertion("it has expired")
    if times["exp"] > now + _MAX_LIFETIME:
        raise InvalidAssertion("exp is more than five minutes ahead")
    for name in ("iat", "nbf"):
        if times.get(name, now) > now + _MAX_SKEW:
            raise InvalidAssertion(f"{name} is in the future")
    return float(times["exp"])
