"""A lock that an exception out of a signal handler cannot leave locked.

The exception may strike between the instruction that takes a lock and those that will release
it.  ``with lock:`` does not protect it from Python 3.14 on, nor where a lock has methods in Python,
as ``Condition`` has.  This one is released by whoever holds it, in a ``finally`` that surrounds
the step that takes it.  There are two of them, as the exception may cut off the first.

The lock is safe then, and not what it protects: a change may be half done.  So the steps of each
change are in an order in which each of them may be the last.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class OwnedLock:
    """A lock that knows which thread holds it."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Start over in a child: a thread of the parent may have held the lock."""
        self._lock: Any = threading.RLock()

    def acquire(self) -> None:
        """Take the lock: for whoever cannot use :meth:`run`."""
        self._lock.acquire()

    def release(self) -> None:
        """Release the lock if this thread holds it."""
        if self._lock._is_owned():
            self._lock.release()

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what *function* returns; no other thread runs one under this lock meanwhile."""
        lock = self._lock
        if lock._is_owned():
            # A signal handler, or a finalizer, that struck within another run of this thread.
            return function(*args, **kwargs)
        try:
            try:
                lock.acquire()
                return function(*args, **kwargs)
            finally:
                if lock._is_owned():
                    lock.release()
        finally:
            if lock._is_owned():
                lock.release()
