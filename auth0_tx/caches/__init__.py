"""Where exchanged tokens are cached: in memory, in Redis, or in a cache of yours.

A cache goes into a client as ``token_cache``.  ``TokenCache`` and ``AsyncTokenCache`` say
what one of your own must have: four short methods, each of which touches one key.
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
