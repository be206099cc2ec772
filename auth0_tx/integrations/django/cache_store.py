"""Login sessions and exchanged tokens in Django's cache, sealed.

A cache backend takes bytes under a key and can add a key in one step, but it cannot compare
and set.  So values are compared under a lock: a key that is added, and that
expires by itself if its owner dies.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from django.core.cache import caches

from ...errors import StoreError
from ...secret import Unpicklable

# A worker that died holding a lock stalls others for this long; a write takes milliseconds.
_LOCK_SECONDS = 5
_LOCK_WAIT = 0.01
_LOCK_TRIES = 200


class _DjangoCache(Unpicklable):
    """Keep bytes in one of ``CACHES``."""

    _is_async = False
    _prefix: str

    def __init__(self, alias: str = "default") -> None:
        self._alias = alias

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._alias!r})"

    def get(self, key: str) -> bytes | None:
        """Return what is stored under *key* and has not expired."""
        value = self._cache.get(self._name(key))
        return value if isinstance(value, bytes) else None

    @property
    def _cache(self) -> Any:
        # Looked up each time: Django makes a connection for each thread.
        return caches[self._alias]

    def _name(self, key: str) -> str:
        return self._prefix + key


class DjangoCacheStore(_DjangoCache):
    """Keep sessions in one of ``CACHES`` that all workers share.

    A session lasts only as long as the cache keeps it: a cache that drops keys when it is
    full logs users out.  ``LocMemCache`` serves one process, and ``DummyCache`` keeps nothing.

    Args:
        alias: the cache's name in ``CACHES``.
    """

    _prefix = "auth0_tx:"

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value* for *ttl* seconds if *expected* is what is stored now."""
        if expected is None:
            return bool(self._cache.add(self._name(key), value, _to_timeout(ttl)))
        with self._lock(key):
            if self.get(key) != expected:
                return False
            self._cache.set(self._name(key), value, _to_timeout(ttl))
        return True

    def delete(self, key: str, *, expected: bytes | None = None) -> None:
        """Delete what is stored under *key*; with *expected*, only if it is that."""
        if expected is None:
            self._cache.delete(self._name(key))
            return
        with self._lock(key):
            if self.get(key) == expected:
                self._cache.delete(self._name(key))

    def add_to_index(self, label: str, key: str, *, ttl: float) -> None:
        """Remember *key* under *label* for at least *ttl* seconds."""
        with self._lock(label):
            now = time.time()
            index = self._read_index(label, now)
            # Popped, or a key that is added again would stay in its old place.
            index[key] = max(index.pop(key, 0.0), now + ttl)
            timeout = _to_timeout(max(index.values()) - now)
            self._cache.set(self._name(label), json.dumps(index), timeout)

    def read_index(self, label: str) -> list[str]:
        """Return the keys under *label*, from the one that was added first to the last."""
        return list(self._read_index(label, time.time()))

    def remove_from_index(self, label: str, keys: Collection[str]) -> None:
        """Forget *keys* under *label*; keys added meanwhile stay."""
        with self._lock(label):
            now = time.time()
            index = self._read_index(label, now)
            for key in keys:
                index.pop(key, None)
            if index:
                timeout = _to_timeout(max(index.values()) - now)
                self._cache.set(self._name(label), json.dumps(index), timeout)
            else:
                self._cache.delete(self._name(label))

    def _read_index(self, label: str, now: float) -> dict[str, float]:
        text = self._cache.get(self._name(label))
        index: dict[str, float] = json.loads(text) if isinstance(text, str) else {}
        return {key: ends_at for key, ends_at in index.items() if now < ends_at}

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        name, owner = f"{self._name(key)}:lock", token_hex(8)
        for _ in range(_LOCK_TRIES):
            if self._cache.add(name, owner, _LOCK_SECONDS):
                break
            time.sleep(_LOCK_WAIT)
        else:
            raise StoreError(
                "the lock in Django's cache could not be acquired in time",
                retry_safe=True,
            )
        try:
            yield
        finally:
            # Another worker may have it by now, if this one took longer than it lasts.
            if self._cache.get(name) == owner:
                self._cache.delete(name)


class DjangoTokenCache(_DjangoCache):
    """Cache exchanged tokens in one of ``CACHES``; workers that share it share the tokens.

    Args:
        alias: the cache's name in ``CACHES``.
    """

    _prefix = "auth0_tx:tokens:"

    def set(self, key: str, value: bytes, *, ttl: float) -> None:
        """Cache *value* for *ttl* seconds, in place of what is there."""
        self._cache.set(self._name(key), value, ttl)

    def lock(self, key: str, owner: bytes, *, ttl: float) -> bool:
        """Lock *key* for *owner* in one step; return whether it was free."""
        return bool(self._cache.add(self._name(key), owner, ttl))

    def unlock(self, key: str, owner: bytes) -> None:
        """Unlock *key* if *owner* has locked it."""
        if self._cache.get(self._name(key)) == owner:
            self._cache.delete(self._name(key))


def _to_timeout(ttl: float) -> float:
    # Memcached takes whole seconds only, and 0 would mean not to keep it at all.
    return max(1, round(ttl + 0.5))
