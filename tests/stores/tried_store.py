"""A store under test, called the same way in both worlds."""

from __future__ import annotations

from typing import Any

import attrs
from both_worlds import at_once, done


@attrs.frozen
class Tried:
    """A store under test."""

    store: Any
    is_async: bool

    async def get(self, key: str) -> Any:
        return await done(self.store.get(key))

    async def set(
        self, key: str, value: bytes, ttl: float = 60, expected: bytes | None = None
    ) -> Any:
        return await done(self.store.set(key, value, ttl=ttl, expected=expected))

    async def delete(self, key: str, **expected: Any) -> None:
        await done(self.store.delete(key, **expected))

    async def add(self, label: str, key: str, ttl: float = 60) -> None:
        await done(self.store.add_to_index(label, key, ttl=ttl))

    async def take(self, label: str) -> Any:
        return await done(self.store.take_index(label))

    async def at_once(self, *calls: Any) -> list[Any]:
        return await at_once(calls, are_async=self.is_async)
