"""Login sessions in Django's cache, sealed: whatever the cache makes of bytes.

The cache framework adds a key in one step, and compares none.  What is compared here is
compared under a lock, which is a key that was added and ends by itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from django.core.cache import caches

from ...errors import StoreError
from ...secret import Unpicklable

_LOCK_SECONDS = 5
_WAIT = 0.01
_TRIES = 200


class DjangoCacheStore(Unpicklable):
    """Keep sessions in one of ``CACHES`` that all workers share.

    Sessions last as long as the cache keeps them: one that drops keys when it is full logs
    users out.  ``LocMemCache`` is for one process, and ``DummyCache`` for none.

    Args:
        alias: the cache's.
    """

    _is_async = False

    def __init__(self, alias: str = "default") -> None:
        self._alias = alias

    def __repr__(self) -> str:
        return f"DjangoCacheStore({self._alias!r})"

    def get(self, key: str) -> bytes | None:
        """Give what is stored under *key* and has not expired."""
        value = self._cache.get(_name(key))
        return value if isinstance(value, bytes) else None

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value* for *ttl* seconds, where *expected* is what is stored now."""
        if expected is None:
            return bool(self._cache.add(_name(key), value, _seconds(ttl)))
        with self._locked(key):
            if self.get(key) != expected:
                return False
            self._cache.set(_name(key), value, _seconds(ttl))
        return True

    def delete(self, key: str, *, expected: bytes | None = None) -> None:
        """Delete what is stored under *key*; with *expected*, only where it is that."""
        if expected is None:
            self._cache.delete(_name(key))
            return
        with self._locked(key):
            if self.get(key) == expected:
                self._cache.delete(_name(key))

    def add_to_index(self, label: str, key: str, *, ttl: float) -> None:
        """Remember *key* under *label*, for at least *ttl* seconds."""
        with self._locked(label):
            now = time.time()
            kept = self._index(label, now)
            kept[key] = max(kept.get(key, 0.0), now + ttl)
            lasts = max(kept.values()) - now
            self._cache.set(_name(label), json.dumps(kept), _seconds(lasts))

    def take_index(self, label: str) -> list[str]:
        """Give the keys under *label* and forget them, in one step."""
        with self._locked(label):
            kept = self._index(label, time.time())
            self._cache.delete(_name(label))
        return list(kept)

    def _index(self, label: str, now: float) -> dict[str, float]:
        text = self._cache.get(_name(label))
        kept: dict[str, float] = json.loads(text) if isinstance(text, str) else {}
        return {key: ends for key, ends in kept.items() if now < ends}

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        name, owner = f"{_name(key)}:lock", token_hex(8)
        for _ in range(_TRIES):
            if self._cache.add(name, owner, _LOCK_SECONDS):
                break
            time.sleep(_WAIT)
        else:
            raise StoreError("the cache's lock is not to be had", retry_safe=True)
        try:
            yield
        finally:
            if self._cache.get(name) == owner:
                self._cache.delete(name)

    @property
    def _cache(self) -> Any:
        return caches[self._alias]


def _name(key: str) -> str:
    return f"auth0_tx:{key}"


def _seconds(ttl: float) -> float:
    # Some backends take whole seconds alone, and 0 is not to keep it at all.
    return max(1, round(ttl + 0.5))
