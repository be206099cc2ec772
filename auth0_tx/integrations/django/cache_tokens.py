"""Exchanged tokens in Django's cache, sealed."""

from __future__ import annotations

from typing import Any

from django.core.cache import caches

from ...secret import Unpicklable


class DjangoTokenCache(Unpicklable):
    """Cache exchanged tokens in one of ``CACHES``; workers that share that share them.

    Args:
        alias: the cache's.
    """

    _is_async = False

    def __init__(self, alias: str = "default") -> None:
        self._alias = alias

    def __repr__(self) -> str:
        return f"DjangoTokenCache({self._alias!r})"

    def get(self, key: str) -> bytes | None:
        """Give what is cached under *key* and has not expired."""
        value = self._cache.get(_name(key))
        return value if isinstance(value, bytes) else None

    def set(self, key: str, value: bytes, *, ttl: float) -> None:
        """Cache *value* in place of what is there, for *ttl* seconds."""
        self._cache.set(_name(key), value, ttl)

    def lock(self, key: str, owner: bytes, *, ttl: float) -> bool:
        """Lock *key* for *owner* where nobody has, in one step; tell whether it was free."""
        return bool(self._cache.add(_name(key), owner, ttl))

    def unlock(self, key: str, owner: bytes) -> None:
        """Free *key* where it is *owner* who has locked it."""
        if self._cache.get(_name(key)) == owner:
            self._cache.delete(_name(key))

    @property
    def _cache(self) -> Any:
        return caches[self._alias]


def _name(key: str) -> str:
    return f"auth0_tx:tokens:{key}"
