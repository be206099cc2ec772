"""How stores, caches and vaults send commands to Redis: through the client they are given.

``commands_for`` chooses between the two worlds.  Either way a command is one call of the
client's public ``execute_command``, with keys, values and replies as bytes whatever
``decode_responses`` says, sent once and bounded by one timeout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ConfigurationError

DELETE_IF = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.001, 0.016
"""Seconds between two attempts to get a connection from a pool that has none free."""


def commands_for(
    redis: object, prefix: object, timeout: object
) -> tuple[bool, Callable[..., Any]]:
    """Give whether commands are awaited, and what sends them.

    Raises:
        ConfigurationError: an argument breaks a rule, or redis-py is not installed.
    """
    if not isinstance(prefix, str):
        raise ConfigurationError("prefix must be a string", parameter="prefix")
    if type(timeout) not in (int, float) or not 0 < timeout < 10**6:  # type: ignore[operator]
        raise ConfigurationError(
            "timeout must be a positive number of seconds", parameter="timeout"
        )
    seconds = float(timeout)  # type: ignore[arg-type]
    try:
        # Not at the top: who keeps sessions elsewhere may not have it.
        from redis import Redis
        from redis.asyncio import Redis as AsyncRedis
    except ImportError:
        raise ConfigurationError(
            "redis is not installed: pip install 'auth0-tx[redis]'", parameter="redis"
        ) from None
    if isinstance(redis, AsyncRedis):
        from .async_redis import AsyncCommands

        return True, AsyncCommands(redis, seconds).send
    if isinstance(redis, Redis):
        from .blocking_redis import BlockingCommands

        return False, BlockingCommands(redis, seconds).send
    raise ConfigurationError(
        "redis must be a redis.Redis or a redis.asyncio.Redis", parameter="redis"
    )


def value_of(reply: object) -> bytes | None:
    """Read what a key has, where it has text."""
    return reply if isinstance(reply, bytes) else None


def is_done(reply: object) -> bool:
    """Read whether a command did what it was for."""
    return reply in (b"OK", 1)


def nothing_of(_: object) -> None:
    """Read nothing."""
    return


def is_pool_exhausted(error: Exception) -> bool:
    """Return whether all connections of a pool are in use, and so nothing was sent.

    Every release since 5.0 says it with this text; only newer ones have a class for it.
    """
    return "Too many connections" in str(error)
