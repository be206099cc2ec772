"""How stores, caches and vaults send commands to Redis: through the client they are given.

``prepare_commands`` chooses between the two worlds (``blocking_redis``, ``async_redis``).  In
both, a command is one call of the client's public ``execute_command``, is sent once, and is
bounded by one timeout.  Keys, values and replies are bytes, whatever the client's
``decode_responses`` says: sealed values aren't text.

A ``send`` takes a function that reads the reply, and then the command.  So each method of a
store is one expression, which in asyncio returns an awaitable and needs no ``async def``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ConfigurationError

# Comparing and deleting are one step, or a lock that has just passed to another owner would
# be deleted by its former one.
DELETE_IF_EQUAL = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.001, 0.016
"""Seconds between two attempts to get a connection from a pool that has none free."""


def prepare_commands(
    redis: object, prefix: object, timeout: object
) -> tuple[bool, Callable[..., Any]]:
    """Return whether commands are awaited, and the function that sends them.

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
        # Not at the top: an application that keeps sessions elsewhere may not have it.
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


def read_value(reply: object) -> bytes | None:
    """Return the value of a key, or ``None`` if it has none."""
    return reply if isinstance(reply, bytes) else None


def is_done(reply: object) -> bool:
    """Return whether a command or a script did what it was for."""
    # redis-py turns the "OK" of some commands into True, which equals 1.
    return reply in (b"OK", 1)


def read_nothing(_: object) -> None:
    """Return nothing: the command cannot fail without an error."""
    return


def is_pool_exhausted(error: Exception) -> bool:
    """Return whether all connections of a pool are in use, and so nothing was sent.

    Every release since 5.0 says it with this text; only newer ones have a class for it.
    """
    return "Too many connections" in str(error)
