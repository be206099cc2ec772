"""Sessions in the memory of one process: for tests, for development, for one worker.

Four structures under one lock:

- ``_values``: what is stored, from the least recently written to the most.
- ``_expiries``: a heap of (end, key), so that expired values are found without a look at all
  others.  It is not updated when a value is written again or deleted: an end that is not the
  value's own any more is skipped, and the heap is rebuilt when most of it is like that.
- ``_labels`` and ``_labelled``: the index, by label and as a whole, each in order of age.

An exception out of a signal handler may end a change between any two steps.  So each step
leaves a store that works: at most, an entry is there that is forgotten by its age.

Memory is bounded whatever visitors do.  A login writes one value and at most two labels, so
there are at most *max_entries* values and twice as many labels.
"""

from __future__ import annotations

import heapq
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable

from ..clocks import read_monotonic
from ..errors import ConfigurationError
from ..locks import OwnedLock
from ..secret import SecretBytes, Unpicklable

_LABELS_EACH = 2
"""The labels by which a logout token may name one session: its user, and its ``sid``."""

_SLACK = 64
"""Outdated expiries that are not worth rebuilding the heap for."""

# One for all stores, as it is held for microseconds.  A fork waits for it, or the child would
# begin with the half-done work of another thread.
_lock = OwnedLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire,
        after_in_parent=_lock.release,
        after_in_child=_lock.renew,
    )


class MemoryStore(Unpicklable):
    """Keep sessions in this process, for either client; they end with it.

    Threads and tasks may share it.  Another process has other sessions, and so has a forked
    child, which starts with a copy: behind several workers, a user would be logged in on
    some requests only.

    Args:
        max_entries: the maximum number of values: sessions, and marks of used logout tokens.
            To make room, expired ones go first, then the least recently written.
        clock: returns seconds that never go back.

    Raises:
        ConfigurationError: *max_entries* isn't a whole number above 0.
    """

    def __init__(
        self,
        max_entries: int = 10_000,
        *,
        clock: Callable[[], float] = read_monotonic,
    ) -> None:
        if type(max_entries) is not int or max_entries < 1:
            raise ConfigurationError(
                "max_entries must be a whole number above 0", parameter="max_entries"
            )
        self._most = max_entries
        self._clock = clock
        self._values: OrderedDict[str, tuple[SecretBytes, float]] = OrderedDict()
        self._expiries: list[tuple[float, str]] = []
        self._labels: dict[str, OrderedDict[str, None]] = {}
        self._labelled: OrderedDict[tuple[str, str], float] = OrderedDict()

    def __repr__(self) -> str:
        return f"MemoryStore(max_entries={self._most})"

    def get(self, key: str) -> bytes | None:
        """Return what is stored under *key* and has not expired, or ``None``."""
        return _lock.run(self._read_live, key, self._clock())

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value* for *ttl* seconds if *expected* is what is stored now."""
        return _lock.run(self._set, key, SecretBytes(value), ttl, expected)

    def delete(self, key: str, *, expected: bytes | None = None) -> None:
        """Delete what is stored under *key*; with *expected*, only if it is that value."""
        _lock.run(self._delete, key, expected)

    def add_to_index(self, label: str, key: str, *, ttl: float) -> None:
        """Remember *key* under *label*, for at least *ttl* seconds."""
        _lock.run(self._add_to_index, label, key, ttl)

    def read_index(self, label: str) -> list[str]:
        """Return the keys under *label*, from the one that was added first to the last."""
        return _lock.run(self._read_index, label)

    def remove_from_index(self, label: str, keys: Iterable[str]) -> None:
        """Forget *keys* under *label*; keys added meanwhile stay."""
        _lock.run(self._remove_from_index, label, tuple(keys))

    def _set(
        self, key: str, value: SecretBytes, ttl: float, expected: bytes | None
    ) -> bool:
        now = self._clock()
        if self._read_live(key, now) != expected:
            return False
        self._values[key] = value, now + ttl
        self._values.move_to_end(key)
        heapq.heappush(self._expiries, (now + ttl, key))
        self._make_room(now)
        return True

    def _delete(self, key: str, expected: bytes | None) -> None:
        if expected is None or self._read_live(key, self._clock()) == expected:
            self._values.pop(key, None)

    def _add_to_index(self, label: str, key: str, ttl: float) -> None:
        now = self._clock()
        # A shorter time does not cut a longer one: the session may be one that another
        # request has just refreshed.
        ends_at = max(self._labelled.get((label, key), now), now + ttl)
        self._labelled[label, key] = ends_at
        self._labelled.move_to_end((label, key))
        keys = self._labels.setdefault(label, OrderedDict())
        keys[key] = None
        keys.move_to_end(key)
        while len(self._labelled) > _LABELS_EACH * self._most:
            self._forget_a_label(now)

    def _read_index(self, label: str) -> list[str]:
        now = self._clock()
        keys = self._labels.get(label, ())
        return [key for key in keys if now < self._labelled.get((label, key), now)]

    def _remove_from_index(self, label: str, keys: Iterable[str]) -> None:
        for key in keys:
            # Last, so that what is left of an interrupted call is found by its age.
            self._forget_key(label, key)
            self._labelled.pop((label, key), None)

    def _read_live(self, key: str, now: float) -> SecretBytes | None:
        value, ends_at = self._values.get(key, (None, now))
        return value if now < ends_at else None

    def _make_room(self, now: float) -> None:
        while self._expiries and self._expiries[0][0] <= now:
            ends_at, key = heapq.heappop(self._expiries)
            # The value may have been written again, or deleted, since.
            if self._values.get(key, (None, None))[1] == ends_at:
                del self._values[key]
        while len(self._values) > self._most:
            self._values.popitem(last=False)
        if len(self._expiries) > 2 * len(self._values) + _SLACK:
            # Sessions that are used a lot leave an entry for each write.
            self._expiries = [(at, key) for key, (_, at) in self._values.items()]
            heapq.heapify(self._expiries)

    def _forget_a_label(self, now: float) -> None:
        """Forget the oldest label of a session that has ended, or else the oldest label."""
        for _ in range(len(self._labelled)):
            label, key = next(iter(self._labelled))
            ends_at = self._labelled[label, key]
            if now >= ends_at or self._read_live(key, now) is None:
                break
            # A live session must stay reachable for back-channel logout: to the other end.
            self._labelled.move_to_end((label, key))
        label, key = next(iter(self._labelled))
        self._forget_key(label, key)
        self._labelled.pop((label, key), None)

    def _forget_key(self, label: str, key: str) -> None:
        keys = self._labels.get(label)
        if keys is None:
            return
        keys.pop(key, None)
        if not keys:
            del self._labels[label]
