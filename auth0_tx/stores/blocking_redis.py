"""Commands to Redis over blocking connections of our own, which know when to give up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from redis import BlockingConnectionPool, Redis

from .redis_connections import settings_of, taking

_MOST_CONNECTIONS = 100

_AT_ONCE = 0.001
"""Seconds; none at all would mean not to wait, and is another error."""


class BlockingCommands:
    """Sends each command once, and waits for its answer so long and no longer.

    Args:
        redis: whose settings are used.
        timeout: seconds.
    """

    def __init__(self, redis: Redis, timeout: float) -> None:
        pool: Any = redis.connection_pool
        # The application's pool lives as long as ours: a Sentinel's is asked by ours.
        self._origin = redis
        self._timeout = timeout
        self._thread = threading.local()
        kind = type("Timed", (Timed, pool.connection_class), {"left": self._left})
        waiting: Any = BlockingConnectionPool
        self._pool: Any = waiting(
            max_connections=min(pool.max_connections, _MOST_CONNECTIONS),
            timeout=timeout,
            connection_class=kind,
            **settings_of(pool),
        )
        self._take = taking(self._pool)

    def send(self, read: Callable[[Any], Any], *command: str | bytes | int) -> Any:
        """Send a command; give what *read* makes of the answer.

        Raises:
            redis.RedisError: there was none in time, the server refused it, or could not
                be reached.
        """
        self._thread.until = time.monotonic() + self._timeout
        connection = self._take()
        try:
            connection.send_command(*command)
            reply = connection.read_response(disable_decoding=True)
        except BaseException:
            # An answer may be under way yet, and must not be read as the next one's.
            connection.disconnect()
            raise
        finally:
            self._pool.release(connection)
        return read(reply)

    def _left(self) -> float:
        until: float = self._thread.until
        return until - time.monotonic()


class Timed:
    """What makes of a connection one whose every wait counts towards one time limit.

    A timeout of redis-py's own is for one wait, and a command may be many: one for each
    address of a host, for each step of the greeting, for each piece of an answer.
    """

    def left(self) -> float:
        """Give the seconds that the thread's command has left."""
        raise NotImplementedError

    @property
    def socket_timeout(self) -> float:
        """Seconds for what comes next; whatever is set, the command's time counts."""
        return max(self.left(), _AT_ONCE)

    @socket_timeout.setter
    def socket_timeout(self, seconds: object) -> None:
        pass

    @property
    def socket_connect_timeout(self) -> float:
        """The same, read anew for each address."""
        return max(self.left(), _AT_ONCE)

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, seconds: object) -> None:
        pass

    def _connect(self) -> TimedSocket:
        connected: socket.socket = super()._connect()  # type: ignore[misc]
        return TimedSocket(connected, self.left)


class TimedSocket:
    """A connected socket whose every wait ends when the command's time is over."""

    def __init__(self, connected: socket.socket, left: Callable[[], float]) -> None:
        self._socket = connected
        self._left = left
        self._waits = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def settimeout(self, seconds: float | None) -> None:
        """Wait, or do not: for how long is not for the caller to say."""
        self._waits = seconds != 0
        self._socket.settimeout(seconds)

    def recv(self, *arguments: Any) -> bytes:
        """Read a piece."""
        self._limit()
        return self._socket.recv(*arguments)

    def recv_into(self, *arguments: Any) -> int:
        """Read a piece into a buffer."""
        self._limit()
        return self._socket.recv_into(*arguments)

    def sendall(self, data: bytes) -> None:
        """Write all of *data*."""
        self._limit()
        self._socket.sendall(data)

    def _limit(self) -> None:
        if not self._waits:
            return
        left = self._left()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
