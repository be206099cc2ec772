"""Containers for urllib3 without a lock that a signal's exception could leave locked.

A ``PoolManager`` has a pool for each host, in a container with a lock.  A pool has a queue of
the connections that are at rest, and ``queue.LifoQueue`` holds a lock while it runs Python
code.  An exception out of a signal handler that strikes there leaves it locked: the next call
would wait for ever, past any deadline.

The classes below offer what urllib3 uses of both.  Each change is one step of the interpreter.
A connection that is taken when an interrupt strikes belongs to nobody, and is closed when it is
freed.
"""

from __future__ import annotations

import queue
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from urllib3 import HTTPConnectionPool

from ..bounded import BoundedDict


class IdleConnections:
    """The connections of one pool that are at rest; the last one that came is taken first.

    It stands in for ``queue.LifoQueue`` in a pool that does not block: the gate of the
    transport bounds how many connections there are.
    """

    def __init__(self, maxsize: int = 0) -> None:
        self._most = maxsize
        self._connections: deque[Any] = deque()

    def qsize(self) -> int:
        """Return how many there are."""
        return len(self._connections)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Add a connection, or ``None`` for room for one; never wait.

        Raises:
            queue.Full: there are as many as there may be.
        """
        # Threads that look at the same moment may add one more each.
        if 0 < self._most <= len(self._connections):
            raise queue.Full
        self._connections.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the connection that was added last; never wait.

        Raises:
            queue.Empty: there is none.
        """
        try:
            return self._connections.pop()
        except IndexError:
            raise queue.Empty from None


class HostPools(BoundedDict[Any, HTTPConnectionPool]):
    """The pools of a ``PoolManager``, each under what is special about its connections.

    It stands in for ``RecentlyUsedContainer``.  Two threads that come first for a host at the
    same moment may each make a pool.  One of them is kept, and the other serves one request.

    Attributes:
        lock: what urllib3 enters while it looks for a pool and makes one.  It locks nothing.
    """

    lock: AbstractContextManager[None] = nullcontext()

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the pool under *key*, and keep it longer than those used less recently."""
        pool = super().get(key, default)
        self.renew(key)
        return pool

    def __setitem__(self, key: Any, pool: HTTPConnectionPool) -> None:
        super().__setitem__(key, pool)
        self.trim()
