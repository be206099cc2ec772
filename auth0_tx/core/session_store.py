"""What a session store is: bytes under a key, for a time, and no idea of what they mean.

All that makes a session of them (ids, sealing, lifetimes, locks) is the library's, so a
store of your own is five short methods.  Each of them touches one key.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class StateStore(Protocol):
    """Where sessions are kept, for either client; its methods do not await.

    Keys and labels are short ASCII text, and values are sealed: a store never holds
    anything readable, and has nothing to pickle.
    """

    def get(self, key: str) -> bytes | None:
        """Give what is stored under *key* and has not expired."""
        ...

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value*, but only where *expected* is what is stored now.

        Compare and write are one step, so that of two writers one finds out.

        Args:
            key: where.
            value: what.
            ttl: seconds, at least 0.001, after which it is gone.
            expected: what must be there now; ``None`` where nothing must.

        Returns:
            Whether it was stored.
        """
        ...

    def delete(self, key: str, *, expected: bytes | None = None) -> object:
        """Delete what is stored under *key*; with *expected*, only where it is that."""
        ...

    def add_to_index(self, label: str, key: str, *, ttl: float) -> object:
        """Remember *key* under *label*, for at least *ttl* seconds."""
        ...

    def take_index(self, label: str) -> Collection[str]:
        """Give the keys under *label* and forget them, in one step."""
        ...


class AsyncStateStore(Protocol):
    """The same for ``AsyncServerClient``, with methods to await."""

    async def get(self, key: str) -> bytes | None:
        """Give what is stored under *key* and has not expired."""
        ...

    async def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value*, but only where *expected* is what is stored now."""
        ...

    async def delete(self, key: str, *, expected: bytes | None = None) -> object:
        """Delete what is stored under *key*; with *expected*, only where it is that."""
        ...

    async def add_to_index(self, label: str, key: str, *, ttl: float) -> object:
        """Remember *key* under *label*, for at least *ttl* seconds."""
        ...

    async def take_index(self, label: str) -> Collection[str]:
        """Give the keys under *label* and forget them, in one step."""
        ...
