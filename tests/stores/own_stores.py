"""Two stores as users would write them: the protocol's six methods over a dictionary."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Collection


class OwnStore:
    """A user's own store for ServerClient."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[bytes, float]] = {}
        self.labels: dict[str, dict[str, None]] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        value, expires_at = self.values.get(key, (None, 0.0))
        return value if time.monotonic() < expires_at else None

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        with self._lock:
            if self.get(key) != expected:
                return False
            self.values[key] = value, time.monotonic() + ttl
            return True

    def delete(self, key: str, *, expected: bytes | None = None) -> None:
        with self._lock:
            if expected is None or self.get(key) == expected:
                self.values.pop(key, None)

    def add_to_index(self, label: str, key: str, *, ttl: float) -> None:
        with self._lock:
            self.labels.setdefault(label, {})[key] = None

    def read_index(self, label: str) -> Collection[str]:
        with self._lock:
            return list(self.labels.get(label, ()))

    def remove_from_index(self, label: str, keys: Collection[str]) -> None:
        with self._lock:
            left = dict.fromkeys(
                key for key in self.labels.pop(label, ()) if key not in keys
            )
            if left:
                self.labels[label] = left


class OwnAsyncStore:
    """A user's own store for AsyncServerClient, which lets other tasks run at each step."""

    def __init__(self) -> None:
        self.inner = OwnStore()
        self._lock = asyncio.Lock()

    async def get(self, key: str) -> bytes | None:
        await asyncio.sleep(0)
        return self.inner.get(key)

    async def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        async with self._lock:
            await asyncio.sleep(0)
            return self.inner.set(key, value, ttl=ttl, expected=expected)

    async def delete(self, key: str, *, expected: bytes | None = None) -> None:
        async with self._lock:
            await asyncio.sleep(0)
            self.inner.delete(key, expected=expected)

    async def add_to_index(self, label: str, key: str, *, ttl: float) -> None:
        await asyncio.sleep(0)
        self.inner.add_to_index(label, key, ttl=ttl)

    async def read_index(self, label: str) -> Collection[str]:
        await asyncio.sleep(0)
        return self.inner.read_index(label)

    async def remove_from_index(self, label: str, keys: Collection[str]) -> None:
        await asyncio.sleep(0)
        self.inner.remove_from_index(label, keys)
