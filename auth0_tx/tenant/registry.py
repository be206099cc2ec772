"""Records by key, safe to read and change from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar, cast

import attrs

R = TypeVar("R")


class Registry(Generic[R]):
    """Hold frozen records by key, in the order they were added.

    Args:
        kind: What a record is called in messages, such as "user".
        key: Return the key of a record.
        admit: Raise ValueError if a record may not be added; None admits all.
    """

    def __init__(
        self,
        kind: str,
        key: Callable[[R], str],
        admit: Callable[[R], None] | None = None,
    ) -> None:
        self._kind = kind
        self._key = key
        self._admit = admit
        self._records: dict[str, R] = {}
        self._lock = threading.Lock()

    def add(self, record: R) -> R:
        """Add *record* and return it.

        Raises:
            ValueError: Its key is taken, or it may not be added.
        """
        key = self._key(record)
        if self._admit is not None:
            self._admit(record)
        with self._lock:
            if key in self._records:
                raise ValueError(f"there is a {self._kind} {key!r} already")
            self._records[key] = record
        return record

    def change(self, key: str, **changes: Any) -> R:
        """Replace the record under *key* by one with *changes*, and return that.

        Raises:
            KeyError: There is none.
            TypeError: The record has no such field.
            ValueError: The changes alter its key.
        """
        with self._lock:
            changed = _changed(self[key], changes)
            if self._key(changed) != key:
                raise ValueError(f"the key of a {self._kind} cannot be changed")
            self._records[key] = changed
        return changed

    def remove(self, key: str) -> None:
        """Remove the record under *key*.

        Raises:
            KeyError: There is none.
        """
        with self._lock:
            del self._records[key]

    def get(self, key: str | None) -> R | None:
        """Return the record under *key*, or None."""
        return None if key is None else self._records.get(key)

    def __getitem__(self, key: str) -> R:
        """Return the record under *key*."""
        return self._records[key]

    def __contains__(self, key: object) -> bool:
        """Tell whether there is a record under *key*."""
        return key in self._records

    def __iter__(self) -> Iterator[R]:
        """Iterate over a snapshot of the records."""
        return iter(tuple(self._records.values()))

    def __len__(self) -> int:
        """Return how many records there are."""
        return len(self._records)


def _changed(record: R, changes: dict[str, Any]) -> R:
    # Registries hold attrs records alone, which a type variable cannot say.
    evolve = cast("Callable[..., R]", attrs.evolve)
    return evolve(record, **changes)
