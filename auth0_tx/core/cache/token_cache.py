"""The protocol of a token cache, and the cache in memory.

A shared cache holds bytes under a key for a time, and a lock on a key.  Keys, sealing, expiry
and renewal are the library's (``tokens``), so a cache of your own is four short methods, each
of which touches one key.

The cache in memory holds the tokens themselves and answers without a step through the
driver: most calls of a busy application are such hits.  Threads use it without a lock.  The
interpreter does not interrupt a step.  A thread that loses a race between two steps misses an
entry, or drops one that another thread has just dropped: neither does harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ...bounded import BoundedDict
from ...errors import ConfigurationError
from ...secret import Unpicklable

if TYPE_CHECKING:
    from .tokens import CachedTokens


class TokenCache(Protocol):
    """A cache for exchanged tokens, for either client; its methods do not await.

    Keys are short ASCII text that reveals nothing of a token, and values are sealed: a cache
    never holds anything readable, and has nothing to pickle.
    """

    def get(self, key: str) -> bytes | None:
        """Return what is cached under *key* and has not expired, or ``None``."""
        ...

    def set(self, key: str, value: bytes, *, ttl: float) -> object:
        """Cache *value* in place of what is there, for *ttl* seconds, at least 0.001."""
        ...

    def lock(self, key: str, owner: bytes, *, ttl: float) -> bool:
        """Lock *key* for *owner* if it is free, in one step; return whether it was.

        The lock ends after *ttl* seconds at the latest, as its owner may die.
        """
        ...

    def unlock(self, key: str, owner: bytes) -> object:
        """Free *key* if it is *owner* that has locked it."""
        ...


class AsyncTokenCache(Protocol):
    """A :class:`TokenCache` for ``AsyncServerClient``, with methods to await."""

    async def get(self, key: str) -> bytes | None:
        """Return what is cached under *key* and has not expired, or ``None``."""
        ...

    async def set(self, key: str, value: bytes, *, ttl: float) -> object:
        """Cache *value* in place of what is there, for *ttl* seconds, at least 0.001."""
        ...

    async def lock(self, key: str, owner: bytes, *, ttl: float) -> bool:
        """Lock *key* for *owner* if it is free, in one step; return whether it was."""
        ...

    async def unlock(self, key: str, owner: bytes) -> object:
        """Free *key* if it is *owner* that has locked it."""
        ...


class MemoryTokenCache(Unpicklable):
    """Cache exchanged tokens in this process, for either client; several may share it.

    Args:
        max_entries: the maximum number of cached exchanges.  To make room, the entry that
            was least recently used goes.

    Raises:
        ConfigurationError: *max_entries* isn't a whole number above 0.
    """

    def __init__(self, max_entries: int = 10_000) -> None:
        if type(max_entries) is not int or max_entries < 1:
            raise ConfigurationError(
                "max_entries must be a whole number above 0", parameter="max_entries"
            )
        self._tokens: BoundedDict[bytes, CachedTokens] = BoundedDict(max_entries)
        # As many: each entry is being exchanged by one leader at most.
        self._locks: BoundedDict[str, tuple[bytes, float]] = BoundedDict(max_entries)

    def __repr__(self) -> str:
        return f"MemoryTokenCache(max_entries={self._tokens.most})"

    def __len__(self) -> int:
        return len(self._tokens)

    def find(self, key: bytes, now: float) -> CachedTokens | None:
        """Return what is cached under *key* and still good, or ``None``."""
        tokens = self._tokens.get(key)
        if tokens is None:
            return None
        if not tokens.is_good(now):
            self._tokens.pop(key, None)
            return None
        self._tokens.renew(key)
        return tokens

    def keep(self, key: bytes, tokens: CachedTokens, now: float) -> None:
        """Cache *tokens* in place of what is there, and drop entries that have ended."""
        self._tokens.add(key, tokens)
        # Only from the old end, so that storing stays cheap: an entry behind one that is
        # still good is dropped when it is looked up, or when it gets old.
        while (oldest := self._tokens.find_oldest()) and not oldest.is_good(now):
            self._tokens.remove_oldest()

    def drop(self, key: bytes) -> None:
        """Drop what is cached under *key*."""
        self._tokens.pop(key, None)

    def lock(self, name: str, owner: bytes, *, until: float, now: float) -> bool:
        """Lock *name* for *owner* if it is free; return whether it was."""
        found = self._locks.get(name)
        if found is not None and now >= found[1]:
            self._locks.pop(name, None)
        # One step: of two threads that find it free, one gets it.
        holder, _ = self._locks.add_if_absent(name, (owner, until))
        return holder == owner

    def unlock(self, name: str, owner: bytes) -> None:
        """Free *name* if it is *owner* that has locked it, and not another since."""
        if self._locks.get(name, (b"", 0.0))[0] == owner:
            self._locks.pop(name, None)
