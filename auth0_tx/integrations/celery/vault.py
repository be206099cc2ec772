"""Vaults in Redis, for workers that block and for event loops.

Each operation is one command.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from math import ceil
from typing import Any

from ...errors import Auth0Error, ConfigurationError
from ...secret import Unpicklable, conceal
from ...stores.redis_commands import (
    RedisClient,
    is_done,
    prepare_commands,
    read_value,
)
from ..token_vault import (
    BlockingVault,
    Entries,
    Entry,
    is_handle,
    make_store_error,
    new_handle,
)

__all__ = [
    "AsyncSubjectTokenVault",
    "SubjectTokenVault",
    "is_handle",
    "new_handle",
]

# One step, so that only one of several takers gets the token.  GETDEL is newer: Redis 6.2.
_TAKE = """
local value = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return value
"""


class _RedisPlace(Unpicklable):
    """A place in Redis; over an asyncio client its methods return awaitables.

    Args:
        redis: the client.
        prefix: the beginning of all keys.
        timeout: seconds after which a command has failed.
        awaits: whether the client is to be one for asyncio.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    def __init__(
        self, redis: object, prefix: str, timeout: float, *, awaits: bool
    ) -> None:
        is_async, self._send = prepare_commands(redis, prefix, timeout)
        if is_async != awaits:
            found, vault = (
                ("a client for asyncio", "AsyncSubjectTokenVault")
                if is_async
                else ("a client that blocks", "SubjectTokenVault")
            )
            raise ConfigurationError(
                f"redis is {found}: use {vault}", parameter="redis"
            )
        self.prefix = prefix

    def put(self, key: str, value: bytes, *, ttl: float) -> Any:
        """Keep *value* under *key* for *ttl* seconds."""
        milliseconds = ceil(ttl * 1000)
        return self._send(is_done, "SET", self.prefix + key, value, "PX", milliseconds)

    def take(self, key: str) -> Any:
        """Return the value under *key* and delete it."""
        return self._send(read_value, "EVAL", _TAKE, 1, self.prefix + key)


class SubjectTokenVault(BlockingVault):
    """Keep subject tokens for tasks in Redis; each can be taken once.

    Args:
        redis: a ``redis.Redis``, used as ``RedisStore`` uses it.
        secret: seals tokens, in addition to the handles; or several, newest first.  The same
            for all who put and take.  The newest has 32 characters or more.
        prefix: the beginning of all keys.
        ttl: seconds that a token is kept.
        timeout: seconds after which a command has failed.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        secret: str | Sequence[str],
        prefix: str = "auth0_tx:vault:",
        ttl: float = 3_600.0,
        timeout: float = 1.0,
    ) -> None:
        secret = conceal(secret)
        super().__init__(_RedisPlace(redis, prefix, timeout, awaits=False), secret, ttl)
        self._prefix = prefix

    def __repr__(self) -> str:
        return f"SubjectTokenVault(prefix={self._prefix!r})"


class AsyncSubjectTokenVault(Unpicklable):
    """A :class:`SubjectTokenVault` over ``redis.asyncio.Redis``, to put from an event loop.

    Args:
        redis: a ``redis.asyncio.Redis``, which you close.
        secret: seals tokens, in addition to the handles; or several, newest first.  The same
            for all who put and take.  The newest has 32 characters or more.
        prefix: the beginning of all keys.
        ttl: seconds that a token is kept.
        timeout: seconds after which a command has failed.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        secret: str | Sequence[str],
        prefix: str = "auth0_tx:vault:",
        ttl: float = 3_600.0,
        timeout: float = 1.0,
    ) -> None:
        secret = conceal(secret)
        self._place = _RedisPlace(redis, prefix, timeout, awaits=True)
        self._entries = Entries(secret, ttl)

    def __repr__(self) -> str:
        return f"AsyncSubjectTokenVault(prefix={self._place.prefix!r})"

    async def put(self, token: str, *, ttl: float | None = None) -> str:
        """Keep *token*, and return its handle, as :meth:`SubjectTokenVault.put` does."""
        token = conceal(token)
        handle, entry = new_handle(), self._entries.make(token, ttl)
        await self._put(handle, entry)
        return handle

    async def take(self, handle: str) -> str:
        """Return the token of *handle*, as :meth:`SubjectTokenVault.take` does."""
        handle = conceal(handle)
        return (await self._take(handle)).token

    @asynccontextmanager
    async def lend(self, handle: str) -> AsyncIterator[str]:
        """Lend the token of *handle* to a block, as :meth:`SubjectTokenVault.lend` does."""
        handle = conceal(handle)
        entry = await self._take(handle)
        try:
            yield entry.token
        except Auth0Error as error:
            if error.retry_safe:
                await self._put(handle, entry)
            raise

    async def _put(self, handle: str, entry: Entry) -> None:
        key, sealed = self._entries.find_key(handle), self._entries.seal(handle, entry)
        await _call(self._place.put(key, sealed, ttl=entry.seconds_left))

    async def _take(self, handle: str) -> Entry:
        key = self._entries.find_key(handle)
        return self._entries.open(handle, await _call(self._place.take(key)))


async def _call(command: Any) -> Any:
    try:
        return await command
    except Exception as error:
        kind = type(error).__name__
    # Outside of the handler: the error of Redis may hold the command, and so the token.
    raise make_store_error(kind)
