"""Sessions in Redis, for all processes that share it.

Each method is one command on one key, so it is atomic, costs one round trip, and works where
keys are spread over several servers.  Where Redis has no command for a step, it is a script.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import ceil
from typing import Any

from ..secret import Unpicklable
from .redis_commands import (
    DELETE_IF_EQUAL,
    RedisClient,
    is_done,
    prepare_commands,
    read_nothing,
    read_value,
)

# Scripts are sent whole each time (EVAL): one that was loaded (EVALSHA) is missing after a
# failover or a restart, and would cost a second round trip then.
_REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
# An index is a sorted set of keys by when they were added, in microseconds of the server's
# clock: those of its clients may differ.  The member without a name has, in microseconds too,
# the longest time that any of them was added for.  Members older than that go with the next
# that is added; otherwise the set of a user who logs in every hour would grow for ever.
_ADD = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local longest = math.max(ARGV[2] * 1000, tonumber(redis.call('ZSCORE', KEYS[1], '') or 0))
longest = string.format('%.0f', longest)
redis.call('ZADD', KEYS[1], longest, '')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. longest, string.format('%.0f', now - longest))
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', longest / 1000))
return 1
"""
# With no more than the member without a name, a set is empty.
_REMOVE = """
for _, key in ipairs(ARGV) do redis.call('ZREM', KEYS[1], key) end
if redis.call('ZCARD', KEYS[1]) == 1 then redis.call('DEL', KEYS[1]) end
return 1
"""


class RedisStore(Unpicklable):
    """Keep sessions in Redis 5 or later, or Valkey, also behind a Sentinel or in a cluster.

    Give it a ``redis.asyncio.Redis`` for ``AsyncServerClient``, or a ``redis.Redis`` for
    ``ServerClient``.  Commands go through the client's ``execute_command``, so fakeredis
    works, and instruments see them.  You close the client.

    A ``redis.Redis`` is copied, with its own connections, at most 100 or as many
    as your pool may have: yours may wait for a reply for minutes.  A client with another
    class of pool or connections than redis-py's is used as it is; its own timeouts and
    retries then bound a command.

    A ``RedisCluster`` of redis-py, blocking or asyncio, and the clients of valkey-py are used as
    they are too.  For a cluster in several event loops, make a client in each of them.

    A command that fails is not sent again, as it may have been executed.

    Args:
        redis: the client; ``decode_responses`` makes no difference.
        prefix: the beginning of all keys.
        timeout: seconds after which a command has failed, with all it takes: waiting for
            a connection, connecting, sending, reading.  Only resolving a host name, and
            asking a Sentinel where the server is, may take a blocking client longer.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        prefix: str = "auth0_tx:",
        timeout: float = 1.0,
    ) -> None:
        self._prefix = prefix
        self._is_async, self._send = prepare_commands(redis, prefix, timeout)

    def __repr__(self) -> str:
        return f"RedisStore(prefix={self._prefix!r})"

    # Each returns what ``StateStore`` says; over an asyncio client, an awaitable of it.

    def get(self, key: str) -> Any:
        """Return what is stored under *key* and has not expired, or ``None``."""
        return self._send(read_value, "GET", self._prefix + key)

    def set(self, key: str, value: bytes, *, ttl: float, expected: bytes | None) -> Any:
        """Store *value* for *ttl* seconds if *expected* is what is stored now."""
        # PX 0 is an error: a time is rounded up.
        key, milliseconds = self._prefix + key, ceil(ttl * 1000)
        if expected is None:
            return self._send(is_done, "SET", key, value, "PX", milliseconds, "NX")
        return self._eval(is_done, _REPLACE, key, expected, value, milliseconds)

    def delete(self, key: str, *, expected: bytes | None = None) -> Any:
        """Delete what is stored under *key*; with *expected*, only if it is that value."""
        key = self._prefix + key
        if expected is None:
            return self._send(read_nothing, "DEL", key)
        return self._eval(read_nothing, DELETE_IF_EQUAL, key, expected)

    def add_to_index(self, label: str, key: str, *, ttl: float) -> Any:
        """Remember *key* under *label*, for at least *ttl* seconds."""
        milliseconds = ceil(ttl * 1000)
        return self._eval(read_nothing, _ADD, self._prefix + label, key, milliseconds)

    def read_index(self, label: str) -> Any:
        """Return the keys under *label*, from the one that was added first to the last."""
        return self._send(_read_keys, "ZRANGE", self._prefix + label, 0, -1)

    def remove_from_index(self, label: str, keys: Collection[str]) -> Any:
        """Forget *keys* under *label*; keys added meanwhile stay."""
        return self._eval(read_nothing, _REMOVE, self._prefix + label, *keys)

    def _eval(
        self, read: Callable[[Any], Any], script: str, *arguments: str | bytes | int
    ) -> Any:
        return self._send(read, "EVAL", script, 1, *arguments)


def _read_keys(reply: Any) -> list[str]:
    return [key.decode() for key in reply if key]
