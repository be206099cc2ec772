"""How stores, caches and vaults send commands to Redis: through the client they are given.

``prepare_commands`` chooses between the two worlds (``blocking_redis``, ``async_redis``).  In
both, a command is one call of the client's public ``execute_command``, is sent once, and is
bounded by one timeout.  Keys, values and replies are bytes, whatever the client's
``decode_responses`` says: sealed values aren't text.

Clients of a cluster, and of valkey-py, are used as they are (``given_clients``).

A ``send`` takes a function that reads the reply, and then the command.  So each method of a
store is one expression, which in asyncio returns an awaitable and needs no ``async def``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Protocol

import attrs

from ..errors import ConfigurationError

# Comparing and deleting are one step, or a lock that has just passed to another owner would
# be deleted by its former one.
DELETE_IF_EQUAL = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

SHORTEST_NAP, LONGEST_NAP = 0.001, 0.016
"""Seconds between two attempts to get a connection from a pool that has none free."""


class RedisClient(Protocol):
    """A client of redis-py or valkey-py, blocking or of asyncio, of one server or a cluster."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command, and return the reply."""
        ...


def prepare_commands(
    redis: object, prefix: object, timeout: object
) -> tuple[bool, Callable[..., Any]]:
    """Return whether commands are awaited, and the function that sends them.

    Raises:
        ConfigurationError: an argument breaks a rule, or no client library is installed.
    """
    if not isinstance(prefix, str):
        raise ConfigurationError("prefix must be a string", parameter="prefix")
    if type(timeout) not in (int, float) or not 0 < timeout < 10**6:  # type: ignore[operator]
        raise ConfigurationError(
            "timeout must be a positive number of seconds", parameter="timeout"
        )
    seconds = float(timeout)  # type: ignore[arg-type]
    for client in _CLIENTS:
        # An application that keeps sessions elsewhere may have neither library.  A client's
        # module is there already.
        kind = getattr(sys.modules.get(client.module), client.name, None)
        if kind is not None and isinstance(redis, kind):
            return client.is_async, _make_commands(redis, client, seconds).send
    try:
        import redis as _  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "redis is not installed: pip install 'auth0-tx[redis]'", parameter="redis"
        ) from None
    raise ConfigurationError(
        "redis must be a Redis or RedisCluster of redis-py or redis.asyncio, or a Valkey "
        "or ValkeyCluster of valkey-py or valkey.asyncio",
        parameter="redis",
    )


@attrs.frozen
class _Client:
    """A class of clients.

    Attributes:
        module: where it is.
        name: its name.
        is_async: whether its commands are awaited.
        is_cluster: whether it knows several servers.
    """

    module: str
    name: str
    is_async: bool = False
    is_cluster: bool = False


_CLIENTS = (
    _Client("redis.asyncio", "Redis", is_async=True),
    _Client("redis", "Redis"),
    _Client("redis.asyncio.cluster", "RedisCluster", is_async=True, is_cluster=True),
    _Client("redis.cluster", "RedisCluster", is_cluster=True),
    _Client("valkey.asyncio", "Valkey", is_async=True),
    _Client("valkey", "Valkey"),
    _Client("valkey.asyncio.cluster", "ValkeyCluster", is_async=True, is_cluster=True),
    _Client("valkey.cluster", "ValkeyCluster", is_cluster=True),
)


def _make_commands(redis: Any, client: _Client, seconds: float) -> Any:
    if client.module == "redis.asyncio":
        from .async_redis import AsyncCommands

        return AsyncCommands(redis, seconds)
    if client.module == "redis":
        from .blocking_redis import BlockingCommands

        return BlockingCommands(redis, seconds)
    # Not at the top: it imports asyncio.
    from .given_clients import AsyncGivenCommands, GivenCommands

    if client.is_async:
        return AsyncGivenCommands(redis, seconds, client.is_cluster)
    return GivenCommands(redis, client.is_cluster)


def explain_moved(error: Exception) -> ConfigurationError | None:
    """Return the error for a client of one node, if *error* says that there are several."""
    if type(error).__name__ not in ("MovedError", "ClusterCrossSlotError"):
        return None
    return ConfigurationError(
        "redis is a client of one node of a cluster: use a RedisCluster, which finds the "
        "node of each key",
        parameter="redis",
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
