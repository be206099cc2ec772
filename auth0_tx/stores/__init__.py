"""Stores for login sessions: in memory, in Redis, in the browser, or one of your own.

Give a client a store as ``state_store``.  ``StateStore`` and ``AsyncStateStore`` are the
protocols for one of your own: six short methods, each of which touches one key.

``RedisPace`` keeps the pace of bulk exchanges that several processes run.
"""

from __future__ import annotations

from ..core.bulk.shared_pace import SharedPace
from ..core.session.cookies import CookieStore
from ..core.session.store import AsyncStateStore, StateStore
from .memory_store import MemoryStore
from .redis_pace import RedisPace
from .redis_store import RedisStore

__all__ = [
    "AsyncStateStore",
    "CookieStore",
    "MemoryStore",
    "RedisPace",
    "RedisStore",
    "SharedPace",
    "StateStore",
]
