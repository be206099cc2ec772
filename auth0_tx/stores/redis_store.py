"""Sessions in Redis, for all processes that share it: one command on one key at a time."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Any

from ..secret import Unpicklable
from .redis_commands import DELETE_IF, commands_for, is_done, nothing_of, value_of

if TYPE_CHECKING:
    import redis
    import redis.asyncio

# Sent whole each time: a script that was loaded is gone when its server is another.
_REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
# By the server's clock, as its clients' may differ.  What has expired goes at once, or a user
# who logs in every hour would have a label without end.
_ADD = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = now + ARGV[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
ends = math.max(ends, tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or ends))
redis.call('ZADD', KEYS[1], string.format('%.0f', ends), ARGV[1])
if redis.call('PTTL', KEYS[1]) < ends - now then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ends - now))
end
return 1
"""
_TAKE = """
local keys = redis.call('ZRANGE', KEYS[1], 0, -1)
redis.call('DEL', KEYS[1])
return keys
"""


class RedisStore(Unpicklable):
    """Keep sessions in Redis 5 or later, or Valkey, also behind a Sentinel.

    Give it a ``redis.asyncio.Redis`` for ``AsyncServerClient``, or a ``redis.Redis`` for
    ``ServerClient``.  Commands go through the client's ``execute_command``, so fakeredis
    works, and instruments see them.  You close the client.

    A ``redis.Redis`` is copied, with connections of the store's own, at most 100 or as many
    as your pool may have: yours may wait for a reply for minutes.  A client with another
    class of pool or connections than redis-py's is used as it is, and then its own timeouts
    and retries are what bounds a command.

    A command that fails is not sent again, as it may have been executed.

    Args:
        redis: the client; ``decode_responses`` makes no difference.
        prefix: what all keys begin with.
        timeout: seconds after which a command has failed, with all it takes: waiting for
            a connection, connecting, sending, reading.  Only resolving a host name, and
            asking a Sentinel where the server is, may take a blocking client longer.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    def __init__(
        self,
        redis: redis.Redis | redis.asyncio.Redis,
        *,
        prefix: str = "auth0_tx:",
        timeout: float = 1.0,
    ) -> None:
        self._prefix = prefix
        self._is_async, self._command = commands_for(redis, prefix, timeout)

    def __repr__(self) -> str:
        return f"RedisStore(prefix={self._prefix!r})"

    # Each gives what its protocol says, or an awaitable of it, as the client is.

    def get(self, key: str) -> Any:
        """Give what is stored under *key* and has not expired."""
        return self._command(value_of, "GET", self._prefix + key)

    def set(self, key: str, value: bytes, *, ttl: float, expected: bytes | None) -> Any:
        """Store *value* for *ttl* seconds, where *expected* is what is stored now."""
        key, lasts = self._prefix + key, ceil(ttl * 1000)
        if expected is None:
            return self._command(is_done, "SET", key, value, "PX", lasts, "NX")
        return self._eval(is_done, _REPLACE, key, expected, value, lasts)

    def delete(self, key: str, *, expected: bytes | None = None) -> Any:
        """Delete what is stored under *key*; with *expected*, only where it is that."""
        key = self._prefix + key
        if expected is None:
            return self._command(nothing_of, "DEL", key)
        return self._eval(nothing_of, DELETE_IF, key, expected)

    def add_to_index(self, label: str, key: str, *, ttl: float) -> Any:
        """Remember *key* under *label*, for at least *ttl* seconds."""
        return self._eval(nothing_of, _ADD, self._prefix + label, key, ceil(ttl * 1000))

    def take_index(self, label: str) -> Any:
        """Give the keys under *label* and forget them, in one step."""
        return self._eval(_keys, _TAKE, self._prefix + label)

    def _eval(
        self, read: Callable[[Any], Any], script: str, *arguments: str | bytes | int
    ) -> Any:
        return self._command(read, "EVAL", script, 1, *arguments)


def _keys(reply: Any) -> list[str]:
    return [each.decode() for each in reply]
