"""Connectors of ``aiohttp`` that take a pooled connection only while it is quiet.

A server may send bytes on a connection that rests in the pool: a second response, an error
page before it closes the connection, half of one.  No request asked for them, and HTTP/1.1
has nothing but the order of messages to say which response belongs to which request (RFC
9112 section 9.3.2).  ``aiohttp`` does not look again before it uses such a connection, so
the bytes would become the next caller's response: one user would get another user's token.

``take_quiet`` therefore looks at each connection that comes out of a pool, wherever its
bytes may be by then:

1. parsed: a message in the protocol's queue, an exception, a protocol switch, a request to
   close.  ``should_close`` of the protocol covers these.
2. in the parser: a message has begun and is not complete.  The next request gets a new
   parser, and what follows would begin with that one.
3. in the kernel: the loop has not read them yet.  One ``poll`` of the socket sees them.

A connection that is not quiet is closed, and the next one is taken.  Bytes that arrive after
the look cannot be told from a response to the request, in any client.

``Connector`` also sees that a failed connection closes no descriptor but its own.  If a
connection is reset before TLS begins, ``uvloop`` (0.23) closes the descriptor and leaves its
number with the ``socket`` object.  When that object is freed it closes the number again, and
by then it may be another connection's, or a file's.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Coroutine
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from .aiohttp_trust import ConnectorTrust, check_own
from .keep_alive import SOCKET_OPTIONS

Connect = Callable[..., Coroutine[Any, Any, Connection]]


class Connector(aiohttp.TCPConnector):
    """A connector of ours: it takes quiet connections, and closes others at once.

    TLS ends by agreement, for which asyncio waits up to thirty seconds, even for a server
    that never answered.  A loop that ends before that would leave the socket open.
    """

    def __init__(self, **keywords: Any) -> None:
        super().__init__(socket_factory=self._make_socket, **keywords)
        # The inode of each socket that is still referred to: the kernel gives no two the same.
        self._inodes: WeakKeyDictionary[socket.socket, int | None]
        self._inodes = WeakKeyDictionary()

    def _make_socket(self, address: Any) -> socket.socket:
        family, kind, protocol, *_ = address
        sock = socket.socket(family, kind, protocol)
        for option in SOCKET_OPTIONS:
            sock.setsockopt(*option)
        self._inodes[sock] = _find_inode(sock.fileno())
        return sock

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Connection:
        """Return a connection for *req*: one at rest that is quiet, or a new one.

        Raises:
            ConfigurationError: the application's context stopped verifying.
        """
        try:
            return await take_quiet(super().connect, req, traces, timeout, check_own)
        except BaseException:
            # The traceback still refers to the socket, so that it has not been freed.
            self._detach_stale_sockets()
            raise

    def _detach_stale_sockets(self) -> None:
        """Take the number of a descriptor that was closed from the socket that still has it."""
        for sock, inode in list(self._inodes.items()):
            descriptor = sock.fileno()
            if descriptor >= 0 and _find_inode(descriptor) != inode:
                sock.detach()

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        if should_close or protocol.should_close:
            protocol.abort()
        super()._release(key, protocol, should_close=should_close)

    def abandon(self) -> None:
        """Leave the connections alone: closing one would end it for the parent too."""
        self._closed = True


def _find_inode(descriptor: int) -> int | None:
    # On Windows, which has no uvloop, a socket's number is not a descriptor.
    if os.name != "posix":
        return None
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return None


class BorrowedConnector:
    """The connector of an application's session, from which we take quiet connections.

    It stands in for the application's own, which is left as it is: everything but
    ``connect`` goes to that one.
    """

    def __init__(self, given: aiohttp.BaseConnector) -> None:
        self.given = given

    def __getattr__(self, name: str) -> Any:
        return getattr(self.given, name)

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Connection:
        """Return a connection for *req*: one at rest that is quiet, or a new one.

        Raises:
            ConfigurationError: a new connection did not verify the server.
        """
        connect = self.given.connect
        if not req.is_ssl():
            return await take_quiet(connect, req, traces, timeout)
        trust = ConnectorTrust(self.given, req)
        return await take_quiet(
            connect, req, traces, timeout, trust.check, trust.accepts
        )


async def take_quiet(
    connect: Connect,
    req: Any,
    traces: Any,
    timeout: Any,
    check_new: Callable[[Connection], None] = lambda _: None,
    accepts: Callable[[Connection], bool] = lambda _: True,
) -> Connection:
    """Return the first connection from *connect* that is new or quiet; close the others.

    Args:
        connect: returns a connection.
        req: of aiohttp.
        traces: of aiohttp.
        timeout: of aiohttp.
        check_new: raises for a new connection that must not be used.
        accepts: returns whether one from the pool may be used.
    """
    while True:
        connection = await connect(req, traces=traces, timeout=timeout)
        protocol = connection.protocol
        if not isinstance(protocol, ResponseHandler) or protocol._parser is None:
            # No request was made here yet: it is a new connection.
            try:
                check_new(connection)
            except BaseException:
                _drop(connection)
                raise
            return connection
        if _is_quiet(protocol) and accepts(connection):
            return connection
        _drop(connection)


def _drop(connection: Connection) -> None:
    """Close a connection that no request may be sent on."""
    # Abort, because closing in order would wait for a server that may be out of step, or not
    # the one it should be, and its socket would stay open for as long.
    if isinstance(connection.protocol, ResponseHandler):
        connection.protocol.abort()
    connection.close()


def _is_quiet(protocol: ResponseHandler) -> bool:
    """Return whether nothing has arrived since the last response was complete."""
    parser = protocol._parser
    return not (
        protocol.should_close
        # Flow control holds bytes back, inside TLS or in the kernel.
        or protocol._reading_paused
        or _has_begun_message(parser)
        or _is_readable(protocol.transport)
    )


def _has_begun_message(parser: Any) -> bool:
    """Return whether *parser* holds a part of a message; it cannot be used afterwards."""
    # The parser in Python, on PyPy and under AIOHTTP_NO_EXTENSIONS, shows its parts, and
    # its ``feed_eof`` passes over those that are not HTTP.
    if getattr(parser, "_tail", None) or getattr(parser, "_lines", None):
        return True
    try:
        return parser.feed_eof() is not None
    except Exception:
        # A part so broken that it is not even a message.
        return True


def _is_readable(transport: Any) -> bool:
    """Return whether the kernel holds bytes, or the end of the connection, to be read."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return False
    descriptor = sock.fileno()
    if descriptor < 0:
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))
    # Windows has no poll, and eventlet takes it away.
    return bool(select.select([descriptor], [], [], 0)[0])
