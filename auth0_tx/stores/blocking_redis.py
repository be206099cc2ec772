"""Commands to Redis over blocking connections of our own, which know when to give up."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from redis import ConnectionError as RedisConnectionError
from redis import Redis

from .redis_connections import settings_of

_MOST_CONNECTIONS = 100

_AT_ONCE = 0.001
"""Seconds; none at all would mean not to wait, and is another error."""

_SHORTEST_WAIT, _LONGEST_WAIT = 0.001, 0.016
"""Seconds between two looks for a free connection."""

_SLACK = 0.01
"""Seconds by which a wait may be longer than what is left."""


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
        self._most = min(pool.max_connections, _MOST_CONNECTIONS)
        self._settings = settings_of(pool)
        clock = _CommandClock()
        self._clock = clock
        self._kind = type("Timed", (Timed, pool.connection_class), {"left": clock.left})
        self._start_over()

    def _start_over(self) -> None:
        self._pid = os.getpid()
        # Each place is a connection, or the room for one; the last to be left is taken first.
        # A list's own steps are all the lock there is, as most often one is free.
        self._free: list[Any] = [None] * self._most
        # Connections of a store that nobody has any more are closed with it.
        weakref.finalize(self, _close_all, self._free, self._pid)

    def send(self, read: Callable[[Any], Any], *command: str | bytes | int) -> Any:
        """Send a command; give what *read* makes of the answer.

        Raises:
            redis.RedisError: there was none in time, the server refused it, or could not
                be reached.
        """
        if self._pid != os.getpid():
            # What was inherited through a fork is its parent's.
            self._start_over()
        self._clock.start(self._timeout)
        free = self._free
        connection = self._taken(free)
        try:
            if connection is None:
                connection = self._kind(**self._settings)
            _see_that_it_is_open(connection)
            connection.send_packed_command([_packed(command)], check_health=False)
            reply = connection.read_response(disable_decoding=True)
        except BaseException:
            # An answer may be under way yet, and must not be read as the next one's.
            if connection is not None:
                connection.disconnect()
            raise
        finally:
            free.append(connection)
        return read(reply)

    def _taken(self, free: list[Any]) -> Any:
        """Take a connection, or the room for one, as soon as there is any."""
        wait = _SHORTEST_WAIT
        while True:
            try:
                return free.pop()
            except IndexError:
                left = self._clock.left()
            if left <= 0:
                raise RedisConnectionError("no connection was free in time")
            time.sleep(min(wait, left))
            wait = min(wait * 2, _LONGEST_WAIT)


class _CommandClock:
    """Until when the command of each thread may take."""

    def __init__(self) -> None:
        self._thread = threading.local()

    def start(self, seconds: float) -> None:
        self._thread.until = time.monotonic() + seconds

    def left(self, _connection: object = None) -> float:
        until: float = self._thread.until
        return until - time.monotonic()


def _see_that_it_is_open(connection: Any) -> None:
    """Connect, where it is not connected or the server has hung up meanwhile."""
    connected = connection._sock
    if connected is not None and not connected.is_quiet():
        # What is there to be read is the end of it, or no answer to any command of ours.
        connection.disconnect()
        connected = None
    if connected is None:
        connection.connect()


def _packed(command: tuple[str | bytes | int, ...]) -> bytes:
    """Write a command as the server reads it: an array of strings with their lengths."""
    parts = [b"*%d\r\n" % len(command)]
    for each in command:
        octets = each if isinstance(each, bytes) else str(each).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(octets), octets))
    return b"".join(parts)


def _close_all(connections: list[Any], pid: int) -> None:
    if pid == os.getpid():
        for each in filter(None, connections):
            each.disconnect()


class Timed:
    """What makes of a connection one whose every wait counts towards one time limit.

    A timeout of redis-py's own is for one wait, and a command may be many: one for each
    address of a host, for each step of the greeting, for each piece of an answer.

    Attributes:
        left: gives the seconds that the thread's command has left.
    """

    left: Callable[[], float]

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
        self._limit_set = -1.0
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def settimeout(self, seconds: float | None) -> None:
        """Wait, or do not: for how long is not for the caller to say."""
        self._waits = seconds != 0
        self._limit_set = -1.0
        self._socket.settimeout(seconds)

    def is_quiet(self) -> bool:
        """Tell whether there is nothing to be read, not even that the server hung up."""
        return not self._poll.poll(0)

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
        # To tell the system takes a call to it, which most commands can do without.
        if not 0 <= self._limit_set - left < _SLACK:
            self._limit_set = left
            self._socket.settimeout(left)
