"""Opaque tokens and the records they stand for, until they expire or are forgotten.

The tenant issues two kinds of token that mean something to it alone: an access token
without an audience, which is good for ``/userinfo`` only, and a session transfer token.
Everything that such a token says is in its record here; the token itself is random.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Generic, Protocol, TypeVar

from attrs import field, frozen


@frozen(kw_only=True)
class AccessToken:
    """The rights of an access token's bearer at /userinfo, opaque token or JWT.

    Args:
        user_id: The user it is for.
        scopes: The scopes granted.
        actor: The ``act`` claim, or ``None``.
        expires_at: When it expires, in seconds of the tenant's clock.
    """

    user_id: str
    scopes: tuple[str, ...]
    actor: Mapping[str, Any] | None = field(repr=False)
    expires_at: float


@frozen(kw_only=True)
class SessionTransfer:
    """The record of a session transfer token.

    Args:
        client_id: The application it was issued to.
        user_id: The user whose session it opens.
        actor: Who acts in that session: its ``act`` claim.
        organization: The id of the session's organization, or ``None``.
        ip: The address it was issued to, to which Auth0 may bind it.
        expires_at: When it expires, in seconds of the tenant's clock.
    """

    client_id: str
    user_id: str
    actor: Mapping[str, Any] = field(repr=False)
    organization: str | None
    ip: str
    expires_at: float


class Expiring(Protocol):
    """The record of an opaque token."""

    @property
    def expires_at(self) -> float:
        """Return when it expires, in seconds of the tenant's clock."""
        ...


E = TypeVar("E", bound=Expiring)


class OpaqueTokens(Generic[E]):
    """The latest ``size`` tokens and their records; older ones are forgotten.

    Args:
        size: How many tokens to keep.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._records: OrderedDict[str, E] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, token: str, record: E) -> None:
        """Remember ``record`` under ``token``."""
        with self._lock:
            self._records[token] = record
            # The oldest goes, even if it has not expired: a tenant may run for days.
            while len(self._records) > self._size:
                self._records.popitem(last=False)

    def get(self, token: str, now: float) -> E | None:
        """Return the record of ``token``; ``None`` if unknown or expired at ``now``."""
        with self._lock:
            record = self._records.get(token)
        return record if record is not None and now < record.expires_at else None

    def take(self, token: str, now: float) -> E | None:
        """Return the record of ``token`` as ``get`` does, and forget it."""
        # One step under the lock: of two threads with the same token, one gets it.
        with self._lock:
            record = self._records.pop(token, None)
        return record if record is not None and now < record.expires_at else None
