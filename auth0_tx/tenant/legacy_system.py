"""The external system whose tokens the default profiles exchange, and their Action.

It signs HS256 JWTs with a key that only it and the Action know, like a user's own
legacy system; and the Action is written as a user would write one, with ``event`` and
``api`` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from joserfc.jwk import OctKey

from . import jwts
from .action_api import ActionApi
from .action_event import Event
from .profiles import ID_TOKEN_TYPE

ISSUER = "https://legacy.example.com/"
_ALGORITHMS = frozenset({"HS256"})


class LegacySystem:
    """A legacy system that issues tokens, and the Action that verifies them.

    Args:
        secret: The signing key's bytes, 32 or more.
        clock: Return the time in seconds since the epoch.
        new_id: Return an identifier never returned before.
        knows_user: Return whether there is a user with an identifier.
    """

    def __init__(
        self,
        secret: bytes,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        knows_user: Callable[[str], bool],
    ) -> None:
        self._key = OctKey.import_key(secret)
        self._clock = clock
        self._new_id = new_id
        self._knows_user = knows_user

    def issue_token(
        self, sub: str, expires_in: float, claims: Mapping[str, Any]
    ) -> str:
        """Return a token for ``sub`` that expires in ``expires_in`` seconds."""
        now = int(self._clock())
        return jwts.sign(
            {
                "iss": ISSUER,
                "sub": sub,
                "iat": now,
                "exp": now + int(expires_in),
                "jti": self._new_id(),
                **claims,
            },
            self._key,
            "HS256",
        )

    def run_action(self, event: Event, api: ActionApi) -> None:
        """Verify the subject token, and set its user and the actor, if there is one."""
        transaction = event.transaction
        try:
            subject = self._verify(transaction.subject_token)
        except jwts.InvalidJwt as error:
            # Rejected, not denied: a forged token has to count toward the throttle.
            api.access.reject_invalid_subject_token(f"Invalid subject token: {error}")
        if not self._knows_user(subject["sub"]):
            api.access.reject_invalid_subject_token(
                "Invalid subject token: no such user"
            )
        api.authentication.set_user_by_id(subject["sub"])
        if transaction.actor_token is None:
            return
        try:
            if transaction.actor_token_type == ID_TOKEN_TYPE:
                # Auth0 verifies an actor's ID token before it runs the Action.
                actor = jwts.peek(transaction.actor_token).claims
            else:
                actor = self._verify(transaction.actor_token)
        except jwts.InvalidJwt as error:
            # Denied, not rejected: the subject token is genuine.
            api.access.deny("invalid_request", f"Invalid actor token: {error}")
        # RFC 8693 4.1: those who acted before stay, one level further in.
        earlier = {"act": actor["act"]} if "act" in actor else {}
        api.authentication.set_actor({"sub": actor["sub"], **earlier})

    def _verify(self, token: str) -> Mapping[str, Any]:
        # One algorithm alone: RFC 8725 3.1.
        claims = jwts.verify(token, self._key, _ALGORITHMS).claims
        expires = claims.get("exp")
        if not isinstance(expires, (int, float)) or expires <= self._clock():
            raise jwts.InvalidJwt("it has expired")
        if not isinstance(claims.get("sub"), str):
            raise jwts.InvalidJwt("it has no subject")
        return claims
