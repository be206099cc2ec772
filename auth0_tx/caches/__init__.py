"""Caches for exchanged tokens: in memory, in Redis, or one of your own.

Give a client a cache as ``token_cache``.  ``TokenCache`` and ``AsyncTokenCache`` are the
protocols for one of your own: four short methods, each of which touches one key.
"""

from __future__ import annotations

from ..core.cache.token_cache import AsyncTokenCache, MemoryTokenCache, TokenCache
from .redis_token_cache import RedisTokenCache

__all__ = [
    "AsyncTokenCache",
    "MemoryTokenCache",
    "RedisTokenCache",
    "TokenCache",
]
