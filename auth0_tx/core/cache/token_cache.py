"""What a token cache is, the one in memory, and what a client knows of its own.

A cache holds bytes under a key for a time, and a lock on a key.  Keys, sealing, expiry and
renewal are the library's, so a cache of your own is four short methods, each of which
touches one key.
"""

from __future__ import annotations

from typing import Protocol

import attrs

from ...bounded import BoundedDict
from ...errors import ConfigurationError
from ...secret import Unpicklable
from .tokens import CachedTokens


class TokenCache(Protocol):
    """Where exchanged tokens are cached, for either client; its methods do not await.

    Keys are short ASCII text that tells nothing of a token, and values are sealed: a cache
    never holds anything readable, and has nothing to pickle.
    """

    def get(self, key: str) -> bytes | None:
        """Give what is cached under *key* and has not expired."""
        ...

    def set(self, key: str, value: bytes, *, ttl: float) -> object:
        """Cache *value* in place of what is there, for *ttl* seconds, at least 0.001."""
        ...

    def lock(self, key: str, owner: bytes, *, ttl: float) -> bool:
        """Lock *key* for *owner* where nobody has, in one step; tell whether it was free.

        The lock ends after *ttl* seconds at the latest, as its owner may die.
        """
        ...

    def unlock(self, key: str, owner: bytes) -> object:
        """Free *key* where it is *owner* who has locked it."""
        ...


class AsyncTokenCache(Protocol):
    """The same for ``AsyncServerClient``, with methods to await."""

    async def get(self, key: str) -> bytes | None:
        """Give what is cached under *key* and has not expired."""
        ...

    async def set(self, key: str, value: bytes, *, ttl: float) -> object:
        """Cache *value* in place of what is there, for *ttl* seconds, at least 0.001."""
        ...

    async def lock(self, key: str, owner: bytes, *, ttl: float) -> bool:
        """Lock *key* for *owner* where nobody has, in one step; tell whether it was free."""
        ...

    async def unlock(self, key: str, owner: bytes) -> object:
        """Free *key* where it is *owner* who has locked it."""
        ...


class MemoryTokenCache(Unpicklable):
    """Cache exchanged tokens in this process, for either client; several may share it.

    Args:
        max_entries: the most answers that are kept.  To make room, what was least recently
            used goes.

    Raises:
        ConfigurationError: *max_entries* is no whole number above 0.
    """

    def __init__(self, max_entries: int = 10_000) -> None:
        if type(max_entries) is not int or max_entries < 1:
            raise ConfigurationError(
                "max_entries must be a whole number above 0", parameter="max_entries"
            )
        self._tokens: BoundedDict[bytes, CachedTokens] = BoundedDict(max_entries)
        self._locks: BoundedDict[str, tuple[bytes, float]] = BoundedDict(max_entries)

    def __repr__(self) -> str:
        return f"MemoryTokenCache(max_entries={self._tokens.most})"

    def __len__(self) -> int:
        return len(self._tokens)

    def find(self, key: bytes, now: float) -> CachedTokens | None:
        """Give what is cached under *key* and is still good."""
        tokens = self._tokens.get(key)
        if tokens is None:
            return None
        if not tokens.is_good(now):
            self._tokens.pop(key, None)
            return None
        self._tokens.renew(key)
        return tokens

    def keep(self, key: bytes, tokens: CachedTokens, now: float) -> None:
        """Cache *tokens* in place of what is there, and drop what is of no use any more."""
        self._tokens.add(key, tokens)
        while (oldest := self._tokens.find_oldest()) and not oldest.is_good(now):
            self._tokens.remove_oldest()

    def drop(self, key: bytes) -> None:
        """Drop what is cached under *key*."""
        self._tokens.pop(key, None)

    def lock(self, name: str, owner: bytes, *, until: float, now: float) -> bool:
        """Lock *name* for *owner* where nobody has; tell whether it was free."""
        found = self._locks.get(name)
        if found is not None and now >= found[1]:
            self._locks.pop(name, None)
        holder, _ = self._locks.add_if_absent(name, (owner, until))
        return holder == owner

    def unlock(self, name: str, owner: bytes) -> None:
        """Free *name* where it is *owner* who has locked it."""
        if self._locks.get(name, (b"", 0.0))[0] == owner:
            self._locks.pop(name, None)


_PAUSE = 5.0
"""Seconds for which a cache that has failed is left alone: each call would wait for it."""

_WARNING_EACH = 60.0
"""Seconds between two warnings."""

_MANY_LOCKS = 1_000


@attrs.define(eq=False)
class CacheState:
    """The state of a token cache as one client, in one process, sees it.

    All times are on the context's monotonic clock.

    Attributes:
        has_failed: whether the cache ever has.
    """

    has_failed: bool = attrs.field(init=False, default=False)
    _rests_until: float = attrs.field(init=False, default=float("-inf"))
    _warned_at: float = attrs.field(init=False, default=float("-inf"))
    _abandoned: BoundedDict[str, tuple[bytes, float]] = attrs.field(
        init=False, factory=lambda: BoundedDict[str, tuple[bytes, float]](_MANY_LOCKS)
    )

    def is_resting(self, now: float) -> bool:
        """Tell whether the cache has just failed."""
        return now < self._rests_until

    def record_failure(self, now: float) -> bool:
        """Note that the cache failed; tell whether to warn of it."""
        self.has_failed = True
        self._rests_until = now + _PAUSE
        if now - self._warned_at < _WARNING_EACH:
            return False
        self._warned_at = now
        return True

    def record_abandoned_lock(self, name: str, owner: bytes, until: float) -> None:
        """Note that a call was cancelled that has, or had, locked *name*."""
        self._abandoned.add(name, (owner, until))

    def take_over_lock(self, name: str, now: float) -> bytes | None:
        """Give by what owner a cancelled call of this client locked *name*, once."""
        owner, until = self._abandoned.pop(name, (None, now))
        return owner if now < until else None
