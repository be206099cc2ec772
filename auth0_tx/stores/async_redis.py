"""Commands to Redis over the application's own asyncio connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from redis import ConnectionError as RedisConnectionError
from redis.asyncio import Redis

from .redis_connections import taking

_NONE_FREE = "Too many connections"
"""What redis-py says, in every release, when all of a pool's connections are taken."""

_SHORTEST_WAIT, _LONGEST_WAIT = 0.001, 0.016
"""Seconds between two looks for a free connection."""


class AsyncCommands:
    """Sends each command once, and waits for its answer so long and no longer.

    Args:
        redis: whose connections are used.
        timeout: seconds.
    """

    def __init__(self, redis: Redis, timeout: float) -> None:
        # redis-py would send again what may have been done, and a lock that one holds
        # already is never to be had.  So its connections are used, and not its commands.
        self._pool: Any = redis.connection_pool
        self._take = taking(self._pool)
        self._timeout = timeout

    async def send(
        self, read: Callable[[Any], Any], *command: str | bytes | int
    ) -> Any:
        """Send a command; give what *read* makes of the answer.

        Raises:
            TimeoutError: there was none in time.
            redis.RedisError: the server refused it, or could not be reached.
        """
        async with asyncio.timeout(self._timeout):
            connection = await self._taken()
            try:
                await connection.send_command(*command)
                reply = await connection.read_response(disable_decoding=True)
            except BaseException:
                # An answer may be under way yet, and must not be read as the next one's
                # (CVE-2023-28858, -28859).
                await connection.disconnect(nowait=True)
                raise
            finally:
                await self._pool.release(connection)
        return read(reply)

    async def _taken(self) -> Any:
        """Take a connection, or wait until one is free: the pool itself would refuse."""
        wait = _SHORTEST_WAIT
        while True:
            try:
                return await self._take()
            except RedisConnectionError as error:
                if _NONE_FREE not in str(error):
                    raise
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
