"""What a token cache is: bytes under a key, for a time, and a lock on a key.

All that makes exchanged tokens of them (keys, sealing, expiry, renewal) is the library's, so
a cache of your own is four short methods, each of which touches one key.
"""

from __future__ import annotations

from typing import Protocol


class TokenCache(Protocol):
    """Where exchanged tokens are cached, for either client; its methods do not await.

    Keys are short ASCII text that tells nothing of a token, and values are sealed: a cache
    never holds anything readable, and has nothing to pickle.
    """

    def get(self, key: str) -> bytes | None:
        """Give what is cached under *key* and has not expired."""
        ...

    def set(self, key: str, value: bytes, *, ttl: float) -> object:
        """Cache *value* in place of what is there, for *ttl* seconds, at least 0.001."""
        ...

    def lock(self, key: str, owner: bytes, *, ttl: float) -> bool:
        """Lock *key* for *owner* where nobody has, in one step; tell whether it was free.

        The lock ends after *ttl* seconds at the latest, as its owner may die.
        """
        ...

    def unlock(self, key: str, owner: bytes) -> object:
        """Free *key* where it is *owner* who has locked it."""
        ...


class AsyncTokenCache(Protocol):
    """The same for ``AsyncServerClient``, with methods to await."""

    async def get(self, key: str) -> bytes | None:
        """Give what is cached under *key* and has not expired."""
        ...

    async def set(self, key: str, value: bytes, *, ttl: float) -> object:
        """Cache *value* in place of what is there, for *ttl* seconds, at least 0.001."""
        ...

    async def lock(self, key: str, owner: bytes, *, ttl: float) -> bool:
        """Lock *key* for *owner* where nobody has, in one step; tell whether it was free."""
        ...

    async def unlock(self, key: str, owner: bytes) -> object:
        """Free *key* where it is *owner* who has locked it."""
        ...
