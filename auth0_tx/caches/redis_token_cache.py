"""Exchanged tokens in Redis, for all processes that share it: one command on one key each."""

from __future__ import annotations

from math import ceil
from typing import Any

from ..secret import Unpicklable
from ..stores.redis_commands import (
    DELETE_IF_EQUAL,
    RedisClient,
    is_done,
    prepare_commands,
    read_nothing,
    read_value,
)


class RedisTokenCache(Unpicklable):
    """Cache exchanged tokens in Redis 5 or later, or Valkey, for all processes that use it.

    Entries are sealed, and their keys reveal nothing of a token.  Each ends by itself when
    its token does; limit their number with Redis' own ``maxmemory``.

    Give it a ``redis.asyncio.Redis`` for ``AsyncServerClient``, or a ``redis.Redis`` for
    ``ServerClient``, and close it yourself.  It is used as ``RedisStore`` uses it.

    Args:
        redis: the client; ``decode_responses`` makes no difference.
        prefix: the beginning of all keys.
        timeout: seconds after which a command has failed.  A client whose cache has failed
            goes on without it for a few seconds, so this is short.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        prefix: str = "auth0_tx:tokens:",
        timeout: float = 0.5,
    ) -> None:
        self._is_async, self._send = prepare_commands(redis, prefix, timeout)
        self._prefix = prefix

    def __repr__(self) -> str:
        return f"RedisTokenCache(prefix={self._prefix!r})"

    # Each returns what ``TokenCache`` says; over an asyncio client, an awaitable of it.

    def get(self, key: str) -> Any:
        """Return what is cached under *key* and has not expired, or ``None``."""
        return self._send(read_value, "GET", self._prefix + key)

    def set(self, key: str, value: bytes, *, ttl: float) -> Any:
        """Cache *value* in place of what is there, for *ttl* seconds."""
        key, milliseconds = self._prefix + key, ceil(ttl * 1000)
        return self._send(read_nothing, "SET", key, value, "PX", milliseconds)

    def lock(self, key: str, owner: bytes, *, ttl: float) -> Any:
        """Lock *key* for *owner* for *ttl* seconds if it is free; return whether it was."""
        key, milliseconds = self._prefix + key, ceil(ttl * 1000)
        return self._send(is_done, "SET", key, owner, "PX", milliseconds, "NX")

    def unlock(self, key: str, owner: bytes) -> Any:
        """Free *key* if it is *owner* that has locked it."""
        key = self._prefix + key
        return self._send(read_nothing, "EVAL", DELETE_IF_EQUAL, 1, key, owner)
