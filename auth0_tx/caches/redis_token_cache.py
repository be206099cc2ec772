"""Exchanged tokens in Redis, for all processes that share it: one command on one key."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from ..secret import Unpicklable
from ..stores.redis_commands import (
    DELETE_IF,
    commands_for,
    is_done,
    nothing_of,
    value_of,
)

if TYPE_CHECKING:
    import redis
    import redis.asyncio


class RedisTokenCache(Unpicklable):
    """Cache exchanged tokens in Redis 5 or later, or Valkey; processes that do share them.

    What is cached is sealed, and its key tells nothing of a token.  How many there may be is
    for Redis to limit (``maxmemory``): each ends by itself when its token does.

    Give it a ``redis.asyncio.Redis`` for ``AsyncServerClient``, or a ``redis.Redis`` for
    ``ServerClient``, and close it yourself.  It is used as ``RedisStore`` uses it.

    Args:
        redis: the client; ``decode_responses`` makes no difference.
        prefix: what all keys begin with.
        timeout: seconds after which a command has failed.  A client whose cache has failed
            goes on without it for a few seconds.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    def __init__(
        self,
        redis: redis.Redis | redis.asyncio.Redis,
        *,
        prefix: str = "auth0_tx:tokens:",
        timeout: float = 0.5,
    ) -> None:
        self._is_async, self._command = commands_for(redis, prefix, timeout)
        self._prefix = prefix

    def __repr__(self) -> str:
        return f"RedisTokenCache(prefix={self._prefix!r})"

    # Each gives what its protocol says, or an awaitable of it, as the client is.

    def get(self, key: str) -> Any:
        """Give what is cached under *key* and has not expired."""
        return self._command(value_of, "GET", self._prefix + key)

    def set(self, key: str, value: bytes, *, ttl: float) -> Any:
        """Cache *value* in place of what is there, for *ttl* seconds."""
        lasts = ceil(ttl * 1000)
        return self._command(nothing_of, "SET", self._prefix + key, value, "PX", lasts)

    def lock(self, key: str, owner: bytes, *, ttl: float) -> Any:
        """Lock *key* for *owner* where nobody has, for *ttl* seconds; tell if it was free."""
        lasts = ceil(ttl * 1000)
        return self._command(
            is_done, "SET", self._prefix + key, owner, "PX", lasts, "NX"
        )

    def unlock(self, key: str, owner: bytes) -> Any:
        """Free *key* where it is *owner* who has locked it."""
        return self._command(
            nothing_of, "EVAL", DELETE_IF, 1, self._prefix + key, owner
        )
