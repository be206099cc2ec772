"""Mappings that stay small in a process that runs for months.

The keys of a client's mappings come from outside: domains that a resolver returns, refresh
tokens, subject tokens.  Whoever can make up names could fill the memory, so
each mapping has a bound, and forgets the oldest entry to keep it.

Threads share these mappings without a lock.  Each method is a few single steps of an
``OrderedDict``, which the interpreter does not interrupt, and between two of them another
thread may have removed the key: no method minds that.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedDict(OrderedDict[K, V]):
    """A mapping of at most *most* entries, from the oldest to the newest.

    Reading is a dictionary's own.  Store with :meth:`add`, which keeps the bound.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def add(self, key: K, value: V) -> None:
        """Store *value* as the newest entry, and forget the oldest if there are too many."""
        # Replacing a value would leave it in its old place.
        self.pop(key, None)
        self[key] = value
        self.trim()

    def add_if_absent(self, key: K, value: V) -> V:
        """Store *value* unless *key* has one, and return what *key* has then."""
        present = self.setdefault(key, value)
        self.trim()
        return present

    def renew(self, key: K) -> None:
        """Make the entry of *key*, if there is one, the newest."""
        try:
            self.move_to_end(key)
        except KeyError:
            return

    def find_oldest(self) -> V | None:
        """Return the oldest value, or ``None`` if there is none."""
        try:
            return self[next(iter(self))]
        except (KeyError, RuntimeError, StopIteration):
            # It is empty; or another thread removed the entry or changed the order.
            return None

    def list_values(self) -> list[V]:
        """Return the values, or none of them if another thread stores one meanwhile."""
        try:
            return list(self.values())
        except RuntimeError:
            return []

    def remove_oldest(self) -> None:
        """Forget the oldest entry, if there is one."""
        with suppress(KeyError):
            self.popitem(last=False)

    def trim(self) -> None:
        """Forget the oldest entries until no more than the bound are left."""
        while len(self) > self.most:
            self.remove_oldest()


class ExpiringDict(Generic[K, V]):
    """A bounded mapping whose entries all last equally long.

    Time is an argument, so the mapping reads no clock and tests need not wait.

    Args:
        most: how many entries there may be.
        seconds: how long an entry lasts.
    """

    __slots__ = ("_entries", "_seconds")

    def __init__(self, most: int, seconds: float) -> None:
        self._entries: BoundedDict[K, tuple[float, V]] = BoundedDict(most)
        self._seconds = seconds

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, key: K, value: V, now: float) -> None:
        """Store *value* under *key*; *now* is on a monotonic clock."""
        self._entries.add(key, (now + self._seconds, value))

    def get(self, key: K, now: float) -> V | None:
        """Return what is stored under *key* and has not expired, or ``None``."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        ends_at, value = entry
        if now >= ends_at:
            self._entries.pop(key, None)
            return None
        return value

    def forget(self, key: K) -> None:
        """Forget what is stored under *key*, if anything is."""
        self._entries.pop(key, None)
