"""The refresh tokens a tenant has issued, in families, and how one is redeemed.

A rotating refresh token is good for one use. Its successors are of its family, and a
second use ends the whole of it (RFC 9700 4.14.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import Factory, evolve, field, frozen

from .registry import Registry


class UnknownRefreshToken(Exception):
    """Raised for a refresh token that is none, or whose family has ended."""


class ReusedRefreshToken(Exception):
    """Raised for one used a second time; its family has ended with this."""


@frozen(kw_only=True)
class RefreshToken:
    """Hold a refresh token as issued.

    Args:
        token: The token itself.
        client_id: Whose it is.
        user_id: For whom.
        audience: The API it was issued for, or None.
        scopes: The scopes granted with it.
        organization: The id of the organization it is for, or None.
        issued_at: When, in seconds of the tenant's clock.
        family: What it shares with every token it descends from, or that from it.
        generation: How many rotations it is away from the first of its family.
        rotated_at: When it was used and replaced; None while it was not.
        id_token_claims: Custom claims, for ID tokens to come.
        access_token_claims: Custom claims, for access tokens to come.
    """

    token: str = field(repr=False)
    client_id: str
    user_id: str
    audience: str | None
    scopes: tuple[str, ...]
    organization: str | None
    issued_at: float
    family: str = field(
        default=Factory(lambda self: self.token, takes_self=True), repr=False
    )
    generation: int = 0
    rotated_at: float | None = None
    id_token_claims: Mapping[str, Any] = field(factory=dict, repr=False)
    access_token_claims: Mapping[str, Any] = field(factory=dict, repr=False)


class RefreshTokens(Registry[RefreshToken]):
    """Hold refresh tokens; redeem and revoke them, each as one step.

    Those already used stay, so that a second use is seen, until their family ends.
    """

    def __init__(self) -> None:
        super().__init__("refresh token", lambda one: one.token)

    def rotate(
        self, token: str, *, now: float, leeway: float, new_id: Callable[[], str]
    ) -> RefreshToken:
        """Use *token* up and return its successor.

        Args:
            token: The token sent.
            now: Seconds of the tenant's clock.
            leeway: For how many seconds the token used last may be used again, as by
                a client that never got the answer.
            new_id: Return a token never returned before.

        Raises:
            UnknownRefreshToken: There is none such.
            ReusedRefreshToken: It was used before; its family is gone now.
        """
        with self._lock:
            used = self._records.get(token)
            if used is None:
                raise UnknownRefreshToken
            if used.rotated_at is None:
                self._records[token] = evolve(used, rotated_at=now)
            elif not self._excused(used, used.rotated_at, now, leeway):
                self._end(used.family)
                raise ReusedRefreshToken
            successor = evolve(
                used,
                token=new_id(),
                generation=used.generation + 1,
                issued_at=now,
                rotated_at=None,
            )
            self._records[successor.token] = successor
        return successor

    def revoke(self, token: str) -> bool:
        """End the family of *token* and tell whether there was one."""
        with self._lock:
            revoked = self._records.get(token)
            if revoked is not None:
                self._end(revoked.family)
        return revoked is not None

    def _excused(
        self, used: RefreshToken, rotated_at: float, now: float, leeway: float
    ) -> bool:
        # Auth0 excuses no token but the one superseded last.
        latest = max(one.generation for one in self._family(used.family))
        return used.generation == latest - 1 and now < rotated_at + leeway

    def _family(self, family: str) -> list[RefreshToken]:
        return [one for one in self._records.values() if one.family == family]

    def _end(self, family: str) -> None:
        for one in self._family(family):
            del self._records[one.token]
