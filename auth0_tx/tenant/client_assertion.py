"""Checks a `private_key_jwt` assertion (RFC 7523 3, with Auth0's limits)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from . import jwts
from .applications import Application

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = frozenset({"RS256", "RS384", "PS256", "PS384", "ES256", "ES384"})

_LONGEST = 2048
_LONGEST_CLAIM = 64
_MOST_AHEAD = 300.0
_SKEW = 10.0
_SWEEP_SECONDS = 60.0


class InvalidAssertion(Exception):
    """Raised for an assertion that does not authenticate; the log says why."""


class UsedAssertions:
    """Remember the `jti` of every assertion until it has expired."""

    def __init__(self) -> None:
        self._expiries: dict[tuple[str, str], float] = {}
        self._swept_at = 0.0
        self._lock = threading.Lock()

    def use(self, client_id: str, jti: str, expires: float, now: float) -> bool:
        """Record the use of *jti* and tell whether it was the first."""
        with self._lock:
            if now >= self._swept_at + _SWEEP_SECONDS:
                self._swept_at = now
                self._expiries = {k: at for k, at in self._expiries.items() if at > now}
            if (client_id, jti) in self._expiries:
                return False
            self._expiries[client_id, jti] = expires
            return True


def claimed_client_id(assertion: str) -> str | None:
    """Return the `sub` that *assertion* claims, unverified; None if it has none."""
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
    """Check that *assertion* authenticates *application*, and spend it.

    Args:
        assertion: The compact JWT.
        application: Whose credentials it must be signed with.
        audience: The issuer, with its trailing slash.
        now: Seconds since the epoch.
        used: The assertions spent so far.

    Raises:
        InvalidAssertion: It does not.
    """
    if len(assertion) > _LONGEST:
        raise InvalidAssertion(f"longer than {_LONGEST} bytes")
    claims = _verified(assertion, application)
    for name in ("iss", "sub", "jti"):
        value = claims.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_CLAIM:
            raise InvalidAssertion(f"{name} must be a string of 1 to 64 characters")
    # RFC 7523 3: iss and sub are both the client_id.
    if not claims["iss"] == claims["sub"] == application.client_id:
        raise InvalidAssertion("iss and sub must be the client_id")
    if claims.get("aud") not in (audience, [audience]):
        raise InvalidAssertion(f"aud must be {audience}")
    expires = _check_times(claims, now)
    if not used.use(application.client_id, claims["jti"], expires, now):
        raise InvalidAssertion("jti was used before")


def _verified(assertion: str, application: Application) -> Mapping[str, Any]:
    try:
        kid = jwts.peek(assertion).header.get("kid")
    except jwts.InvalidJwt as error:
        raise InvalidAssertion(str(error)) from None
    fitting = [c for c in application.credentials if kid is None or c.kid == kid]
    if not fitting:
        raise InvalidAssertion("kid names no credential of the application")
    for credential in fitting:
        try:
            return jwts.verify(assertion, credential.key, ALGORITHMS).claims
        except jwts.InvalidJwt:
            continue
    raise InvalidAssertion("signature verification failed")


def _check_times(claims: Mapping[str, Any], now: float) -> float:
    times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
    for name, value in times.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidAssertion(f"{name} must be a number")
    if "exp" not in times:
        raise InvalidAssertion("exp is missing")
    if times["exp"] <= now:
        raise InvalidAssertion("it has expired")
    if times["exp"] > now + _MOST_AHEAD:
        raise InvalidAssertion("exp is more than five minutes ahead")
    for name in ("iat", "nbf"):
        if times.get(name, now) > now + _SKEW:
            raise InvalidAssertion(f"{name} is in the future")
    return float(times["exp"])
