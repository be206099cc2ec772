"""Where login sessions are kept: in memory, in Redis, in the browser, or in a store of yours.

A store goes into a client as ``state_store``.  ``StateStore`` and ``AsyncStateStore`` say
what one of your own must have: five short methods, each of which touches one key.
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
