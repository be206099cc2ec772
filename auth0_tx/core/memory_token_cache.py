"""Exchanged tokens in the memory of one process: no step of it can wait or fail.

Each operation is one step of the interpreter's, so that threads need no lock.
"""

from __future__ import annotations

from collections import OrderedDict

from ..errors import ConfigurationError
from ..secret import Unpicklable
from .cached_tokens import CachedTokens


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
        self._most = max_entries
        self._tokens: OrderedDict[bytes, CachedTokens] = OrderedDict()
        self._locks: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    def __repr__(self) -> str:
        return f"MemoryTokenCache(max_entries={self._most})"

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
        try:
            self._tokens.move_to_end(key)
        except KeyError:  # pragma: no cover - another thread made room of it
            return tokens
        return tokens

    def keep(self, key: bytes, tokens: CachedTokens, now: float) -> None:
        """Cache *tokens* in place of what is there, and drop what is of no use any more."""
        self._tokens.pop(key, None)
        self._tokens[key] = tokens
        while len(self._tokens) > self._most or self._oldest_has_ended(now):
            try:
                self._tokens.popitem(last=False)
            except KeyError:  # pragma: no cover - another thread emptied it
                return

    def drop(self, key: bytes) -> None:
        """Drop what is cached under *key*."""
        self._tokens.pop(key, None)

    def lock(self, name: str, owner: bytes, *, until: float, now: float) -> bool:
        """Lock *name* for *owner* where nobody has; tell whether it was free."""
        found = self._locks.get(name)
        if found is not None and now >= found[1]:
            self._locks.pop(name, None)
        held = self._locks.setdefault(name, (owner, until))
        while len(self._locks) > self._most:
            try:
                self._locks.popitem(last=False)
            except KeyError:  # pragma: no cover - another thread emptied it
                break
        return held[0] == owner

    def unlock(self, name: str, owner: bytes) -> None:
        """Free *name* where it is *owner* who has locked it."""
        if self._locks.get(name, (b"", 0.0))[0] == owner:
            self._locks.pop(name, None)

    def _oldest_has_ended(self, now: float) -> bool:
        try:
            oldest = self._tokens[next(iter(self._tokens))]
        except (KeyError, RuntimeError, StopIteration):
            # Other threads are at it as well.
            return False
        return not oldest.is_good(now)
