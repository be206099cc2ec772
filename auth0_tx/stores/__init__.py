"""Stores for login sessions: in memory, in Redis, in the browser, or one of your own.

Give a client a store as ``state_store``.  ``StateStore`` and ``AsyncStateStore`` are the
protocols for one of your own: six short methods, each of which touches one key.
"""

from __future__ import annotations

from ..core.session.cookies import CookieStore
from ..core.session.store import AsyncStateStore, StateStore
from .memory_store import MemoryStore
from .redis_store import RedisStore

__all__ = [
    "AsyncStateStore",
    "CookieStore",
    "MemoryStore",
    "RedisStore",
    "StateStore",
]
