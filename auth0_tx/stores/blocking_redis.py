"""Commands to Redis through a blocking client, each within one total time limit.

redis-py bounds each wait on a socket, and a command is many waits: one for each address of
a host, for each step of the handshake, for each piece of a reply.  Its defaults add up to
most of a minute (5 seconds a wait, 10 retries), and before 8.0 a wait had no bound.  A login
must not hang for that long, so:

1. ``choose_client`` copies the client that was given, and gives the copy a connection pool
   of our own, with the settings and the size of the given pool.  Commands go through the
   copy's public ``execute_command``, so patches of ``redis.Redis``, and methods that a
   subclass overrides, see them.
2. The connections of that pool (``TimedConnection``) read how much time is left whenever
   they are about to wait.  Each thread has its own deadline, which ``send`` sets.
3. They do not retry.  A command whose reply was lost may have been executed; sent again, a
   lock that we hold already would be refused to us.

A client whose connections are not redis-py's own is used as it is: fakeredis, a pool with a
quota of its own.  Its own timeouts and retries then bound a command.
"""

from __future__ import annotations

import copy
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import cache, partial
from itertools import repeat
from typing import Any

import redis.sentinel
from redis import ConnectionError as RedisConnectionError
from redis import Redis, ResponseError
from redis.client import NEVER_DECODE

from ..clocks import read_monotonic
from ..places import move_one
from .redis_commands import LONGEST_NAP, SHORTEST_NAP, explain_moved

# As redis-py's default from 8.0 on; before, its pools had no bound.
_MOST_CONNECTIONS = 100

_SHORTEST_WAIT = 0.001
"""Seconds to wait when no time is left: 0 would make the socket non-blocking."""

_SLACK = 0.01
"""Seconds by which a wait may be longer than what is left."""

_POOLS = (
    redis.ConnectionPool,
    redis.BlockingConnectionPool,
    redis.sentinel.SentinelConnectionPool,
)
_CONNECTIONS = (
    redis.Connection,
    redis.SSLConnection,
    redis.UnixDomainSocketConnection,
    redis.sentinel.SentinelManagedConnection,
    redis.sentinel.SentinelManagedSSLConnection,
)

# Settings that a timed connection must not take over, by how their names begin.  They tie it
# to the pool that they were for, send commands again or others beside ours, bound a wait, or
# change the form of replies.
_NOT_TAKEN_OVER = (
    "cache",
    "event_dispatcher",
    "health_check_interval",
    "maint",
    "orig_",
    "oss_cluster_maint",
    "parser_class",
    "protocol",
    "retry",
    "socket_connect_timeout",
    "socket_timeout",
)


class BlockingCommands:
    """Sends commands through a ``redis.Redis``, and waits *timeout* seconds at most.

    Args:
        redis: the client that was given.
        timeout: seconds for a command, with all that it takes.
    """

    def __init__(self, redis: Redis, timeout: float) -> None:
        # Kept alive also where a copy is used: a Sentinel's pool knows where the server is.
        self._given = redis
        self._client: Any = choose_client(redis)
        self._timeout = timeout

    def send(self, read: Callable[[Any], Any], *command: str | bytes | int) -> Any:
        """Send a command, and return what *read* makes of the reply.

        Raises:
            ConfigurationError: the server is one of a cluster, and not that of the key.
            redis.RedisError: there was no reply in time, the server refused the command,
                or it could not be reached.
        """
        client = self._client
        if "execute_command" in vars(self._given):
            # One client was instrumented, and not its class, possibly after we copied it.
            client = self._given
        _command.deadline = read_monotonic() + self._timeout
        # What was taken before is another command's, which this one interrupts.
        before, _command.taken = _command.taken, deque()
        try:
            try:
                return read(client.execute_command(*command, **{NEVER_DECODE: True}))
            except ResponseError as error:
                raise explain_moved(error) or error from None
            finally:
                self._end_command()
        finally:
            # Again, as an interrupt may have cut off the first time.
            self._end_command()
            _command.taken = before

    def _end_command(self) -> None:
        """Return to the pool what redis-py did not return, as it was interrupted."""
        pool = self._client.connection_pool if self._client is not self._given else None
        if isinstance(pool, TimedPool):
            pool.take_back(_command.taken)


def choose_client(given: Redis) -> Any:
    """Return a copy of *given* whose connections keep to the deadline, or *given* itself."""
    pool: Any = getattr(given, "connection_pool", None)
    if (
        type(pool) not in _POOLS
        or pool.connection_class not in _CONNECTIONS
        # With ``single_connection_client`` the application has asked for exactly one.
        or given.connection is not None
    ):
        return given
    settings = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if not name.startswith(_NOT_TAKEN_OVER)
    }
    client: Any = copy.copy(given)
    # RESP3 lets a server push messages between replies, and we read none.  So in RESP2
    # unread data on a connection at rest always means that something is wrong with it.
    client.connection_pool = TimedPool(
        partial(make_timed_class(pool.connection_class), protocol=2, **settings),
        min(pool.max_connections, _MOST_CONNECTIONS),
    )
    # Connections close with themselves, and in a forked child only their own copies.
    client.auto_close_connection_pool = False
    return client


class TimedPool:
    """A pool for ``redis.Redis`` that waits for a free connection until the deadline.

    redis-py's own pools take a lock.  One that another thread holds during a fork is never
    released in the child, and one that a signal's exception cuts in (Celery's soft time
    limit, in the queue of ``BlockingConnectionPool``) never in the process.  Here connections
    move between two deques, the pool's and that of the running command, in single steps of the
    interpreter (see ``places``).  So none is lost, wherever an interrupt strikes.

    Args:
        make: makes a connection, which is not connected yet.
        size: how many connections there may be.
    """

    def __init__(self, make: Callable[[], Any], size: int) -> None:
        self._make = make
        self._size = size
        self._start_over()

    def _start_over(self) -> None:
        self._pid = os.getpid()
        # Each place is a connection, or the room for one.  The last to be released is
        # taken first, so that few connections serve a calm process.
        self._places: deque[Any] = deque(repeat(None, self._size))

    def get_connection(self, *_: object, **__: object) -> Any:
        """Take a connection that is ready for a command.

        Raises:
            redis.ConnectionError: none was free in time, or the server cannot be reached.
        """
        if self._pid != os.getpid():
            # Connections inherited through a fork are the parent's.
            self._start_over()
        taken = _command.taken
        self._take_place(taken)
        try:
            connection = taken[-1]
            if connection is None:
                connection = taken[-1] = self._make()
            connection.make_ready()
        except BaseException:
            move_one(taken, self._places)
            raise
        return connection

    def release(self, connection: Any) -> None:
        """Return a connection to the pool."""
        taken = _command.taken
        if taken and taken[-1] is connection:
            move_one(taken, self._places)
        elif connection not in taken:
            # It was taken by another thread, or outside of a command.
            self._places.append(connection)

    def take_back(self, taken: deque[Any]) -> None:
        """Return all that a command took, and did not return."""
        while move_one(taken, self._places):
            pass

    def _take_place(self, taken: deque[Any]) -> None:
        nap = SHORTEST_NAP
        while not move_one(self._places, taken):
            left = seconds_left()
            if left <= 0:
                raise RedisConnectionError("no connection was free in time")
            time.sleep(min(nap, left))
            nap = min(nap * 2, LONGEST_NAP)


class _Command(threading.local):
    """The command of the running thread.

    Attributes:
        deadline: when it must be over, on the monotonic clock.
        taken: the connection that it has, or the room for one.
    """

    def __init__(self) -> None:
        self.deadline = 0.0
        self.taken: deque[Any] = deque()


_command = _Command()


def seconds_left() -> float:
    """Return how many seconds the command of this thread has left."""
    return _command.deadline - read_monotonic()


@cache
def make_timed_class(connection_class: type) -> type:
    """Return a class of connections like *connection_class* that keep to the deadline."""
    return type("TimedConnection", (TimedConnection, connection_class), {})


class TimedConnection:
    """A connection whose waits all count towards the deadline of the thread's command.

    It also counts replies that are due.  An exception of a signal may interrupt a command
    after it was sent; its reply must not be read as the next command's (CVE-2023-28858).
    redis-py closes a connection when *reading* is interrupted, and not between the two.
    """

    _replies_due = 0
    _timed_socket: TimedSocket | None = None
    # Set when all commands of the handshake were answered: it may have been interrupted
    # between logging in and choosing the database.
    _is_set_up = False

    @property
    def socket_timeout(self) -> float:
        """Seconds for the next wait, whatever the client was set to."""
        return max(seconds_left(), _SHORTEST_WAIT)

    @socket_timeout.setter
    def socket_timeout(self, seconds: object) -> None:
        pass

    @property
    def socket_connect_timeout(self) -> float:
        """Seconds for connecting, which redis-py reads anew for each address."""
        return max(seconds_left(), _SHORTEST_WAIT)

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, seconds: object) -> None:
        pass

    def make_ready(self) -> None:
        """Connect, unless a connection is there that nothing is due or unread on."""
        if self._timed_socket is not None:
            # Unread data is the end of the connection, or not the reply to the next command.
            if (
                self._is_set_up
                and not self._replies_due
                and self._timed_socket.is_quiet()
            ):
                return
            self.disconnect()
        self.connect()  # type: ignore[attr-defined]
        self._is_set_up = True

    def disconnect(self, *arguments: Any, **keywords: Any) -> None:
        """Close the connection, and expect nothing from it any more."""
        self._is_set_up = False
        super().disconnect(*arguments, **keywords)  # type: ignore[misc]
        self._timed_socket = None
        self._replies_due = 0

    def send_packed_command(self, *arguments: Any, **keywords: Any) -> None:
        """Send a command, whose reply is then due."""
        # First, as sending may be interrupted when all has been sent.
        self._replies_due += 1
        super().send_packed_command(*arguments, **keywords)  # type: ignore[misc]

    def read_response(self, *arguments: Any, **keywords: Any) -> Any:
        """Read a reply, which is no longer due then; an error is a reply too."""
        try:
            reply = super().read_response(*arguments, **keywords)  # type: ignore[misc]
        except ResponseError:
            self._replies_due -= 1
            raise
        self._replies_due -= 1
        return reply

    def _connect(self) -> TimedSocket:
        connected: socket.socket = super()._connect()  # type: ignore[misc]
        self._timed_socket = TimedSocket(connected, seconds_left)
        return self._timed_socket


class TimedSocket:
    """A connected socket whose every wait ends when the thread's command must be over.

    Args:
        connected: the socket.
        left: returns how many seconds the command has left.
    """

    def __init__(self, connected: socket.socket, left: Callable[[], float]) -> None:
        self._socket = connected
        self._left = left
        self._waits = True
        self._limit_set = -1.0
        # Windows and eventlet have no ``poll``.
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(connected, select.POLLIN)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def settimeout(self, seconds: float | None) -> None:
        """Wait, or do not wait: the deadline decides for how long."""
        self._waits = seconds != 0
        self._limit_set = -1.0
        if not self._waits:
            self._socket.settimeout(0)

    def is_quiet(self) -> bool:
        """Return whether there is nothing to be read, not even that the server hung up."""
        if self._poll is not None:
            return not self._poll.poll(0)
        return not select.select([self._socket], [], [], 0)[0]

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
        # Setting a limit is a system call.  One that is a little longer than what is left
        # serves the next command as well, which has about as long.
        if 0 <= self._limit_set - left < _SLACK:
            return
        if left <= 0:
            raise TimeoutError("timed out")
        self._limit_set = left + _SLACK / 2
        self._socket.settimeout(self._limit_set)
