"""The refresh tokens that a tenant has issued, in families, and how they rotate.

Theory of operation. The first refresh token of a grant begins a family. A rotating one
is good for one use: its use issues the next of its family, and its own record stays,
marked as used. A second use means that two parties have the token, the client and a
thief, and nobody can tell which of them came first; so it ends the whole family (RFC
9700 4.14.2). A client that never received its successor would be punished as well: a
leeway lets the token that was used last be used again for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import Factory, evolve, field, frozen

from .registry import Registry


class UnknownRefreshToken(Exception):
    """Raised for a refresh token that was never issued, or whose family has ended."""


class ReusedRefreshToken(Exception):
    """Raised for a refresh token used a second time; its family has now ended."""


@frozen(kw_only=True)
class RefreshToken:
    """The record of a refresh token.

    Args:
        token: The token itself.
        client_id: The client it was issued to.
        user_id: The user it is for.
        audience: The API it was issued for, or ``None``.
        scopes: The scopes granted with it.
        organization: The id of the organization it is for, or ``None``.
        issued_at: When, in seconds of the tenant's clock.
        family: An identifier shared with its predecessors and successors.
        generation: How many rotations it is away from the first of its family.
        rotated_at: When it was used and replaced; ``None`` while it was not.
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
    """The refresh tokens issued; each is rotated or revoked in one step.

    Those already used stay until their family ends, so that a second use is noticed.
    """

    def __init__(self) -> None:
        super().__init__("refresh token", lambda record: record.token)

    def rotate(
        self, token: str, *, now: float, leeway: float, new_id: Callable[[], str]
    ) -> RefreshToken:
        """Use ``token`` up and return its successor.

        Args:
            token: The token sent.
            now: Seconds of the tenant's clock.
            leeway: For how many seconds the token used last may be used again, as by
                a client that never received the answer.
            new_id: Return a token never returned before.

        Raises:
            UnknownRefreshToken: It was never issued, or its family has ended.
            ReusedRefreshToken: It was used before; its family has now ended.
        """
        # One step under the lock: of two threads with one token, the second reuses it.
        with self._lock:
            used = self._records.get(token)
            if used is None:
                raise UnknownRefreshToken
            if used.rotated_at is None:
                self._records[token] = evolve(used, rotated_at=now)
            elif not self._is_excused(used, used.rotated_at, now, leeway):
                self._end_family(used.family)
                raise ReusedRefreshToken
            # Audience, scopes and claims stay as granted first (RFC 6749 6).
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
        """End the family of ``token`` and return whether there was one."""
        with self._lock:
            record = self._records.get(token)
            if record is not None:
                self._end_family(record.family)
        return record is not None

    def _is_excused(
        self, used: RefreshToken, rotated_at: float, now: float, leeway: float
    ) -> bool:
        # Auth0 excuses only the token superseded last: one further back was not lost
        # with an answer.
        latest = max(record.generation for record in self._list_family(used.family))
        return used.generation == latest - 1 and now < rotated_at + leeway

    def _list_family(self, family: str) -> list[RefreshToken]:
        return [record for record in self._records.values() if record.family == family]

    def _end_family(self, family: str) -> None:
        for record in self._list_family(family):
            del self._records[record.token]
