"""The collections in which a tenant remembers, each safe from any thread.

Theory of operation. Every connection has a thread, and the test that configures the
tenant has another. So records are frozen and are replaced, never mutated: a reader that
holds one sees one state of it. Each collection has one lock, held for a dictionary
operation and never while other code runs. A reader of a single key needs none, as one
dictionary look-up is atomic in CPython; iteration goes over a snapshot.

``Registry`` holds records by key, for as long as they are wanted: users, applications.
``History`` holds the latest events, for a test to look at: requests, log entries.
``OpaqueTokens`` (``opaque_tokens.py``) holds tokens that expire.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar, cast

import attrs

R = TypeVar("R")
T = TypeVar("T")


class Registry(Generic[R]):
    """Frozen records by key, in the order in which they were added.

    Args:
        kind: The word for a record in messages, such as "user".
        key: Return the key of a record.
        check: Raise ``ValueError`` if a record may not be added; ``None`` takes all.
    """

    def __init__(
        self,
        kind: str,
        key: Callable[[R], str],
        check: Callable[[R], None] | None = None,
    ) -> None:
        self._kind = kind
        self._key = key
        self._check = check
        self._records: dict[str, R] = {}
        self._lock = threading.Lock()

    def add(self, record: R) -> R:
        """Add ``record`` and return it.

        Raises:
            ValueError: Its key is taken, or it may not be added.
        """
        key = self._key(record)
        # Before the lock is taken: a check may read this registry, such as its length.
        if self._check is not None:
            self._check(record)
        with self._lock:
            if key in self._records:
                raise ValueError(f"{self._kind} {key!r} already exists")
            self._records[key] = record
        return record

    def change(self, key: str, **changes: Any) -> R:
        """Replace the record under ``key`` by one with ``changes``, and return that.

        Raises:
            KeyError: There is no such record.
            TypeError: The record has no such field.
            ValueError: The changes alter its key.
        """
        with self._lock:
            changed = _evolve(self[key], changes)
            # The record would stand under a key that is not its own.
            if self._key(changed) != key:
                raise ValueError(f"the key of {self._kind} {key!r} cannot be changed")
            self._records[key] = changed
        return changed

    def remove(self, key: str) -> None:
        """Remove the record under ``key``.

        Raises:
            KeyError: There is no such record.
        """
        with self._lock:
            del self._records[key]

    def get(self, key: str | None) -> R | None:
        """Return the record under ``key``, or ``None``."""
        return None if key is None else self._records.get(key)

    def __getitem__(self, key: str) -> R:
        """Return the record under ``key``."""
        return self._records[key]

    def __contains__(self, key: object) -> bool:
        """Return whether there is a record under ``key``."""
        return key in self._records

    def __iter__(self) -> Iterator[R]:
        """Iterate over a snapshot of the records."""
        return iter(tuple(self._records.values()))

    def __len__(self) -> int:
        """Return how many records there are."""
        return len(self._records)


def _evolve(record: R, changes: dict[str, Any]) -> R:
    # Registries hold attrs records alone, which a type variable cannot say.
    evolve = cast("Callable[..., R]", attrs.evolve)
    return evolve(record, **changes)


class History(Generic[T]):
    """The latest ``size`` items, oldest first; older ones are forgotten.

    Args:
        size: How many items to keep: a tenant may run for days.
    """

    def __init__(self, size: int) -> None:
        self._items: deque[T] = deque(maxlen=size)
        self._lock = threading.Lock()

    def append(self, item: T) -> None:
        """Add ``item`` as the latest."""
        with self._lock:
            self._items.append(item)

    def clear(self) -> None:
        """Forget every item."""
        with self._lock:
            self._items.clear()

    @property
    def items(self) -> tuple[T, ...]:
        """Return the items, oldest first."""
        # A deque that changes while it is iterated over raises RuntimeError.
        with self._lock:
            return tuple(self._items)
