"""Commands to Redis over the application's own asyncio connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis

from .redis_connections import taking


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
            connection = await self._take()
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
