"""Login sessions and exchanged tokens in Django's cache, sealed.

A session store must compare and set in one step.  Django's caches can't, but they add a key in
one step: of all who add it, one succeeds.  So ``DjangoCacheStore`` never overwrites.  An entry
is a chain of versions, under its name and a number, and each write adds the next one:

1. Read the newest version, and compare.
2. Add the version with the next number.  Whoever was faster has it, so the write failed.
3. Set the entry's own name to the number, from where the next reader starts.  That is a hint:
   it may be behind, so readers go on while there is a version further up.
4. Empty the version before, which nobody reads any more.

A delete adds a version with nothing in it.  There is no lock, so nobody can hold one for too
long: a worker that stands still between two of these steps, for seconds or minutes, finds that
its number is taken, whatever others did meanwhile.  That needs the numbers to stay taken.  So a
version lasts at least as long as the one before it, an emptied one lasts ten minutes, and who
stood still for five looks again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from django.core.cache import caches

from ...clocks import read_monotonic
from ...errors import StoreError
from ...secret import SecretBytes, Unpicklable

_TAKEN_SECONDS = 600.0
"""How long the number of a version stays taken that was replaced."""

_FURTHEST = 100
"""How many numbers a hint may be behind whose own version is gone."""

_MOST_TRIES = 200
"""Attempts to write while others are faster: each failure means that another write succeeded."""


class _DjangoCache(Unpicklable):
    """Keep bytes in one of ``CACHES``."""

    _is_async = False
    _prefix: str

    def __init__(self, alias: str = "default") -> None:
        self.alias = alias

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.alias!r})"

    @property
    def _cache(self) -> Any:
        # Looked up each time: Django makes a connection for each thread.
        return caches[self.alias]

    def _name(self, key: str) -> str:
        return self._prefix + key


class _Version(NamedTuple):
    """The newest version of an entry, as it was read.

    Attributes:
        number: its number; that of the first version if there is none.
        is_taken: whether there is a version with this number.
        value: what is in it; ``None`` if it has nothing, or has expired.
        lasts_until: when it ends, in epoch seconds.
        read_at: when it was read, on two clocks.
    """

    number: int
    is_taken: bool
    value: bytes | None
    lasts_until: float
    read_at: tuple[float, float]


class DjangoCacheStore(_DjangoCache):
    """Keep sessions in one of ``CACHES`` that all workers share.

    A session lasts only as long as the cache keeps it: a cache that drops keys when it is
    full logs users out.  ``LocMemCache`` serves one process, ``DummyCache`` keeps nothing, and
    ``FileBasedCache`` does not add a key in one step, so it is for development.

    Args:
        alias: the cache's name in ``CACHES``.
    """

    _prefix = "auth0_tx:"

    def get(self, key: str) -> bytes | None:
        """Return what is stored under *key* and has not expired."""
        return self._read(key).value

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value* for *ttl* seconds if *expected* is what is stored now."""
        version = self._read(key)
        return version.value == expected and self._add(key, version, value, ttl)

    def delete(self, key: str, *, expected: bytes | None = None) -> None:
        """Delete what is stored under *key*; with *expected*, only if it is that."""

        def is_gone() -> bool:
            version = self._read(key)
            if version.value is None or expected not in (None, version.value):
                return True
            return self._add(key, version, None, 0.0)

        _repeat(is_gone)

    def add_to_index(self, label: str, key: str, *, ttl: float) -> None:
        """Remember *key* under *label* for at least *ttl* seconds."""

        def is_added() -> bool:
            version, now = self._read(label), time.time()
            index = _parse_index(version.value, now)
            # Popped, or a key that is added again would stay in its old place.
            index[key] = max(index.pop(key, 0.0), now + ttl)
            return self._add_index(label, version, index, now)

        _repeat(is_added)

    def read_index(self, label: str) -> list[str]:
        """Return the keys under *label*, from the one that was added first to the last."""
        return list(_parse_index(self._read(label).value, time.time()))

    def remove_from_index(self, label: str, keys: Collection[str]) -> None:
        """Forget *keys* under *label*; keys added meanwhile stay."""

        def is_removed() -> bool:
            version, now = self._read(label), time.time()
            index = _parse_index(version.value, now)
            if not index.keys() & set(keys):
                return True
            left = {key: ends for key, ends in index.items() if key not in keys}
            return self._add_index(label, version, left, now)

        _repeat(is_removed)

    def _add_index(
        self, label: str, version: _Version, index: dict[str, float], now: float
    ) -> bool:
        if not index:
            return self._add(label, version, None, 0.0)
        text = json.dumps(index).encode()
        return self._add(label, version, text, max(index.values()) - now)

    def _read(self, key: str) -> _Version:
        """Return the newest version of an entry."""
        name, number, read_at = self._name(key), 1, _read_clocks()
        while True:
            here, after = f"{name}:{number}", f"{name}:{number + 1}"
            # In this order: a cache may look them up one by one, and a version is not
            # emptied before there is another after it.
            found = self._cache.get_many([name, here, after])
            hint = found.get(name)
            if _is_late(read_at):
                # The versions on the way to the newest may be gone by now.
                number, read_at = 1, _read_clocks()
            elif isinstance(hint, int) and hint > number:
                number = hint
            elif after in found:
                number += 1
            elif here in found or hint is None:
                value, lasts_until = parse_version(found.get(here), read_at[0])
                return _Version(number, here in found, value, lasts_until, read_at)
            else:
                further = self._find_further(name, number)
                if further is None:
                    return _Version(number, False, None, 0.0, read_at)
                number = further

    def _find_further(self, name: str, number: int) -> int | None:
        """Return the number of a version beyond *number*, which is missing, or ``None``.

        A worker that stood still before it gave the hint gives an old one.
        """
        numbers = range(number + 1, number + _FURTHEST)
        found = self._cache.get_many([f"{name}:{further}" for further in numbers])
        return next((far for far in numbers if f"{name}:{far}" in found), None)

    def _add(
        self, key: str, version: _Version, value: bytes | None, ttl: float
    ) -> bool:
        """Add the version after *version*, and return whether nobody was faster."""
        if _is_late(version.read_at):
            return False
        name = self._name(key)
        number = version.number + version.is_taken
        now = time.time()
        # Should a step below be the last, of a worker that is killed, then the version
        # before must not come back.
        lasts = max(now + ttl, version.lasts_until, now + _TAKEN_SECONDS) - now
        ends = now + (lasts if value is None else ttl)
        content = format_version(value, ends)
        if not self._cache.add(f"{name}:{number}", content, to_timeout(lasts)):
            return False
        if _is_late(version.read_at) and self._read(key).number != number:
            # The number had been taken, and was free again.
            self._empty(f"{name}:{number}", _TAKEN_SECONDS)
            return False
        self._cache.set(name, number, to_timeout(lasts))
        if version.is_taken:
            self._empty(f"{name}:{version.number}", _TAKEN_SECONDS)
        return True

    def _empty(self, name: str, seconds: float) -> None:
        content = format_version(None, time.time() + seconds)
        self._cache.set(name, content, to_timeout(seconds))


def _repeat(act: Callable[[], bool]) -> None:
    """Repeat *act* until it returns ``True``.

    Raises:
        StoreError: others were faster each time.
    """
    for _ in range(_MOST_TRIES):
        if act():
            return
    raise StoreError(
        "others write to Django's cache faster than this can be written",
        retry_safe=True,
    )


def _read_clocks() -> tuple[float, float]:
    return time.time(), read_monotonic()


def _is_late(read_at: tuple[float, float]) -> bool:
    """Return whether a number that was free then may have been taken and be free again."""
    # Of two clocks, one stands still while the machine sleeps, and the other may be set back.
    took = max(now - then for now, then in zip(_read_clocks(), read_at, strict=True))
    return took > _TAKEN_SECONDS / 2


def format_version(value: bytes | None, ends: float) -> bytes:
    """Return a version: when it ends, and its value after a ``=`` if it has one."""
    return f"{ends:.3f}".encode() + (b"" if value is None else b"=" + value)


def parse_version(content: object, now: float) -> tuple[bytes | None, float]:
    """Return the value in a version, or ``None``, and when the version ends."""
    if not isinstance(content, bytes):
        return None, 0.0
    ends, mark, value = content.partition(b"=")
    try:
        lasts_until = float(ends)
    except ValueError:
        return None, 0.0
    return (SecretBytes(value) if mark and now < lasts_until else None), lasts_until


def _parse_index(text: bytes | None, now: float) -> dict[str, float]:
    index: dict[str, float] = {} if text is None else json.loads(text)
    return {key: ends_at for key, ends_at in index.items() if now < ends_at}


class DjangoTokenCache(_DjangoCache):
    """Cache exchanged tokens in one of ``CACHES``; workers that share it share the tokens.

    Args:
        alias: the cache's name in ``CACHES``.
    """

    _prefix = "auth0_tx:tokens:"

    def get(self, key: str) -> bytes | None:
        """Return what is cached under *key* and has not expired."""
        value = self._cache.get(self._name(key))
        return value if isinstance(value, bytes) else None

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


def to_timeout(ttl: float) -> float:
    """Return the timeout for a cache that is to keep a value for *ttl* seconds at least."""
    # Memcached takes whole seconds only, and 0 would mean not to keep it at all.
    return max(1, round(ttl + 0.5))
