"""Sessions in the memory of one process: for tests, for development, for one worker."""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from ..errors import ConfigurationError
from ..secret import SecretBytes, Unpicklable

_LABELS_EACH = 2
"""By how many labels a logout token may name a session: its user, and its ``sid``."""

_SLACK = 64
"""Outdated expiries that are not worth a clean-up."""

# One for all stores, as it is held for microseconds, and as a fork must find it free: a
# child then has a whole copy of each store, and not one that a thread was in the middle of.
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire,
        after_in_parent=_lock.release,
        after_in_child=_lock.release,
    )


class MemoryStore(Unpicklable):
    """Keep sessions in this process, for either client; they end with it.

    Threads and tasks may share it.  Another process has sessions of its own, and so has a
    child after a fork, which starts with a copy: behind several workers, users would be
    logged in now and then.

    Args:
        max_entries: the most values that are kept, and twice as many labels for them.  To
            make room, what was least recently written goes, once nothing has expired.
        clock: gives seconds that never go back.

    Raises:
        ConfigurationError: *max_entries* is no whole number above 0.
    """

    def __init__(
        self,
        max_entries: int = 10_000,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if type(max_entries) is not int or max_entries < 1:
            raise ConfigurationError(
                "max_entries must be a whole number above 0", parameter="max_entries"
            )
        self._most = max_entries
        self._clock = clock
        self._values: OrderedDict[str, tuple[SecretBytes, float]] = OrderedDict()
        self._expiries: list[tuple[float, str]] = []
        self._labels: dict[str, set[str]] = {}
        self._labelled: OrderedDict[tuple[str, str], float] = OrderedDict()

    def __repr__(self) -> str:
        return f"MemoryStore(max_entries={self._most})"

    def get(self, key: str) -> bytes | None:
        """Give what is stored under *key* and has not expired."""
        with _lock:
            return self._live(key, self._clock())

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value* for *ttl* seconds, where *expected* is what is stored now."""
        with _lock:
            now = self._clock()
            if self._live(key, now) != expected:
                return False
            self._values[key] = SecretBytes(value), now + ttl
            self._values.move_to_end(key)
            heapq.heappush(self._expiries, (now + ttl, key))
            self._make_room(now)
            return True

    def delete(self, key: str, *, expected: bytes | None = None) -> None:
        """Delete what is stored under *key*; with *expected*, only where it is that."""
        with _lock:
            if expected is None or self._live(key, self._clock()) == expected:
                self._values.pop(key, None)

    def add_to_index(self, label: str, key: str, *, ttl: float) -> None:
        """Remember *key* under *label*, for at least *ttl* seconds."""
        with _lock:
            now = self._clock()
            lasts = max(self._labelled.pop((label, key), now), now + ttl)
            self._labelled[label, key] = lasts
            self._labels.setdefault(label, set()).add(key)
            while len(self._labelled) > _LABELS_EACH * self._most:
                self._forget_a_label(now)

    def take_index(self, label: str) -> list[str]:
        """Give the keys under *label* and forget them, in one step."""
        with _lock:
            now = self._clock()
            keys = self._labels.pop(label, ())
            return [key for key in keys if now < self._labelled.pop((label, key))]

    def _live(self, key: str, now: float) -> SecretBytes | None:
        value, expires_at = self._values.get(key, (None, now))
        return value if now < expires_at else None

    def _make_room(self, now: float) -> None:
        while self._expiries and self._expiries[0][0] <= now:
            expires_at, key = heapq.heappop(self._expiries)
            # It may have been written again, or deleted, since.
            if self._values.get(key, (None, None))[1] == expires_at:
                del self._values[key]
        while len(self._values) > self._most:
            self._values.popitem(last=False)
        if len(self._expiries) > 2 * len(self._values) + _SLACK:
            self._expiries = [(at, key) for key, (_, at) in self._values.items()]
            heapq.heapify(self._expiries)

    def _forget_a_label(self, now: float) -> None:
        """Forget the oldest label of something that has ended; the oldest, if nothing has."""
        for _ in range(len(self._labelled)):
            (label, key), expires_at = self._labelled.popitem(last=False)
            if now >= expires_at or self._live(key, now) is None:
                break
            self._labelled[label, key] = expires_at
        else:
            (label, key), _ = self._labelled.popitem(last=False)
        keys = self._labels[label]
        keys.discard(key)
        if not keys:
            del self._labels[label]
