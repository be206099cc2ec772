"""A store under test, called the same way in both worlds."""

from __future__ import annotations

from typing import Any

import attrs

from tests.stores.both_worlds import resolve, run_together


@attrs.frozen
class StoreUnderTest:
    """A store, with the same methods to await in both worlds.

    Attributes:
        inner: the store itself.
        is_async: whether its own methods are awaited.
    """

    inner: Any
    is_async: bool

    async def get(self, key: str) -> Any:
        return await resolve(self.inner.get(key))

    async def set(
        self, key: str, value: bytes, ttl: float = 60, expected: bytes | None = None
    ) -> Any:
        return await resolve(self.inner.set(key, value, ttl=ttl, expected=expected))

    async def delete(self, key: str, **expected: Any) -> None:
        await resolve(self.inner.delete(key, **expected))

    async def add(self, label: str, key: str, ttl: float = 60) -> None:
        await resolve(self.inner.add_to_index(label, key, ttl=ttl))

    async def read(self, label: str) -> list[str]:
        return list(await resolve(self.inner.read_index(label)))

    async def remove(self, label: str, *keys: str) -> None:
        await resolve(self.inner.remove_from_index(label, keys))

    async def run_together(self, *calls: Any) -> list[Any]:
        return await run_together(calls, are_async=self.is_async)
