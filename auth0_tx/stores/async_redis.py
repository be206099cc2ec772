"""Commands to Redis through the application's own asyncio client.

Its own connections are used: those of asyncio belong to an event loop, and only the
application knows when to close them.  One timeout around the whole command bounds all that
it takes.  Its retries are switched off while a command of ours has a connection: redis-py
sends a command again when the connection breaks (10 times since 8.0), though it may have been
executed, and then a lock that we hold already would be refused to us.

A connection works on one event loop only, and a client may outlive it: ``asyncio.run`` in a task
of Celery makes a loop each time.  So the application's pool serves the first loop, and each other
loop has a copy of it, without the connections.  When a loop ends, its idle connections are closed:
nobody can use them any more, and a loop that took one would fail.
"""

from __future__ import annotations

import asyncio
import copy
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

from redis import ConnectionError as RedisConnectionError
from redis import ResponseError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.client import NEVER_DECODE

from .redis_commands import (
    LONGEST_NAP,
    SHORTEST_NAP,
    explain_moved,
    is_pool_exhausted,
)

_ONCE = Retry(NoBackoff(), 0)


class AsyncCommands:
    """Sends commands through a ``redis.asyncio.Redis``, and waits *timeout* seconds at most.

    Args:
        redis: the client that was given.
        timeout: seconds for a command, with all that it takes.
    """

    def __init__(self, redis: Redis, timeout: float) -> None:
        self._given = redis
        self._client: Any = choose_client(redis)
        self._timeout = timeout

    async def send(
        self, read: Callable[[Any], Any], *command: str | bytes | int
    ) -> Any:
        """Send a command, and return what *read* makes of the reply.

        Raises:
            TimeoutError: there was no reply in time.
            ConfigurationError: the server is one of a cluster, and not that of the key.
            redis.RedisError: the server refused the command, or could not be reached.
        """
        client = self._client
        if "execute_command" in vars(self._given):
            # One client was instrumented, and not its class, possibly after we copied it.
            client = self._given
        nap = SHORTEST_NAP
        # redis-py closes a connection whose command is cancelled (CVE-2023-28858, -28859).
        async with asyncio.timeout(self._timeout):
            while True:
                try:
                    reply = await client.execute_command(
                        *command, **{NEVER_DECODE: True}
                    )
                except RedisConnectionError as error:
                    if not is_pool_exhausted(error):
                        raise
                except ResponseError as error:
                    raise explain_moved(error) or error from None
                else:
                    return read(reply)
                await asyncio.sleep(nap)
                nap = min(nap * 2, LONGEST_NAP)


def choose_client(given: Redis) -> Any:
    """Return a copy of *given* that sends each command once, or *given* itself."""
    pool = getattr(given, "connection_pool", None)
    if pool is None or given.single_connection_client:
        return given
    client: Any = copy.copy(given)
    client.connection_pool = SendOncePool(pool)
    return client


class LoopPools:
    """The pools of the event loops that use one client: the application's, and copies of it.

    Args:
        pool: the application's.
    """

    def __init__(self, pool: Any) -> None:
        self._given = pool
        # Whichever loop comes first, as nothing in a pool says on which it was used.
        self._home: weakref.ref[asyncio.AbstractEventLoop] | None = None
        self._guarded: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[Any, AsyncGenerator[None, None]]
        ] = weakref.WeakKeyDictionary()

    def find(self) -> Any:
        """Return the pool of the running loop; the first call makes it."""
        loop = asyncio.get_running_loop()
        found = self._guarded.get(loop)
        if found is not None:
            return found[0]
        if self._home is None:
            self._home = weakref.ref(loop)
        pool = self._given if self._home() is loop else _copy_pool(self._given)
        guard = _guard(pool)
        self._guarded[loop] = pool, guard
        # Runs the guard to its yield: only a generator that has begun is shut down.
        with suppress(StopIteration):
            guard.__anext__().send(None)
        return pool


async def _guard(pool: Any) -> AsyncGenerator[None, None]:
    """Close a pool's idle connections when its loop shuts down its asynchronous generators."""
    try:
        yield
    finally:
        await pool.disconnect(inuse_connections=False)


def _copy_pool(pool: Any) -> Any:
    """Return a pool with the same settings, and nothing that belongs to a loop."""
    copied = copy.copy(pool)
    for name, value in vars(copied).items():
        # They belong to the loop on which somebody had to wait for them.
        if isinstance(value, asyncio.Lock | asyncio.Condition):
            setattr(copied, name, type(value)())
    copied.reset()
    return copied


class SendOncePool:
    """The application's pool, whose connections do not retry while we have them.

    Args:
        pool: where connections come from and go back to, on its loop.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._pools = LoopPools(pool)
        self._lent: dict[Any, tuple[Any, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def get_connection(self, *arguments: Any, **keywords: Any) -> Any:
        """Take a connection, which connects with retries and then sends without."""
        pool = self._pools.find()
        connection = await pool.get_connection(*arguments, **keywords)
        self._lent[connection] = pool, connection.retry
        connection.retry = _ONCE
        return connection

    async def release(self, connection: Any) -> None:
        """Return a connection to the pool, as it was."""
        pool, connection.retry = self._lent.pop(connection)
        await pool.release(connection)
