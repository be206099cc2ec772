"""The latest of what happened, appended to by many threads."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class History(Generic[T]):
    """Keep the latest *size* items, oldest first.

    Args:
        size: How many; older ones are forgotten.
    """

    def __init__(self, size: int) -> None:
        self._items: deque[T] = deque(maxlen=size)
        self._lock = threading.Lock()

    def append(self, item: T) -> None:
        """Add *item* as the latest."""
        with self._lock:
            self._items.append(item)

    def clear(self) -> None:
        """Forget every item."""
        with self._lock:
            self._items.clear()

    @property
    def items(self) -> tuple[T, ...]:
        """Return the items kept, oldest first."""
        with self._lock:
            return tuple(self._items)
