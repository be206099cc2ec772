"""Connectors of aiohttp: which connections count as quiet, wherever their bytes may be."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from auth0_tx.shells.aiohttp_connector import BorrowedConnector, take_quiet


class Transport:
    """A transport over a socket, or over none."""

    def __init__(self, sock: socket.socket | None) -> None:
        self._sock = sock
        self.aborted = False

    def get_extra_info(self, name: str) -> socket.socket | None:
        """Return the socket."""
        return self._sock if name == "socket" else None

    def is_closing(self) -> bool:
        """Return whether the connection was aborted."""
        return self.aborted

    def abort(self) -> None:
        """Close the connection."""
        self.aborted = True


class Pool:
    """A connector that hands out one protocol after another."""

    def __init__(self, *protocols: Any) -> None:
        self._protocols = list(protocols)
        self.released: list[tuple[Any, bool]] = []

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Connection:
        """Return the next connection."""
        protocol = self._protocols.pop(0)
        return Connection(self, req, protocol, protocol._loop)  # type: ignore[arg-type]

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        self.released.append((protocol, should_close))


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets."""
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


async def make_protocol(sock: socket.socket | None, *, used: bool = True) -> Any:
    """Return the protocol of a connection that was used before, and rests."""
    async with aiohttp.ClientSession() as session:
        protocol: Any = ResponseHandler(session._loop)
    protocol.transport = Transport(sock)
    if used:
        protocol.set_response_params()
    return protocol


async def take(pool: Pool) -> Any:
    """Return the protocol of the connection that is taken."""
    connection = await take_quiet(pool.connect, "key", [], None)
    protocol = connection.protocol
    connection.release()
    return protocol


async def test_a_new_connection_is_taken(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    """On a new connection a server may have spoken first, as with tickets of TLS 1.3."""
    ours, theirs = sockets
    theirs.sendall(b"tickets")
    protocol = await make_protocol(ours, used=False)

    assert protocol is await take(Pool(protocol))


@pytest.mark.parametrize("poll", [True, False], ids=["poll", "select"])
async def test_bytes_in_the_kernel(
    sockets: tuple[socket.socket, socket.socket],
    poll: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection is passed over if its socket is readable, also where there is no poll."""
    if not poll:
        monkeypatch.delattr(select, "poll")
    ours, theirs = sockets
    first, second = await make_protocol(ours), await make_protocol(theirs)
    transport = first.transport
    theirs.sendall(b"H")
    pool = Pool(first, second)
    taken = await take(pool)

    assert second is taken
    assert [(first, True), (second, False)] == pool.released
    assert transport.aborted


@pytest.mark.parametrize(
    "received",
    [b"H", b"HTTP/1.1 200 OK\r\n", b"\x00", b"HTTP/1.1 200 OK\r\n\r\n"],
)
async def test_bytes_that_the_loop_has_read(received: bytes) -> None:
    """A connection is passed over if its parser has been given anything."""
    first, second = await make_protocol(None), await make_protocol(None)
    # A parser that refuses the bytes closes the transport.
    first.transport.close = first.transport.abort
    first.data_received(received)

    assert second is await take(Pool(first, second))


async def test_reading_that_is_paused() -> None:
    """A connection is passed over if flow control holds back what arrives."""
    first, second = await make_protocol(None), await make_protocol(None)
    first._reading_paused = True

    assert second is await take(Pool(first, second))


async def test_a_socket_that_is_closed(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    """A connection is passed over if its socket was closed behind its transport."""
    ours, theirs = sockets
    first, second = await make_protocol(ours), await make_protocol(theirs)
    ours.close()
    pool = Pool(first, second, await make_protocol(None))
    taken = await take(pool)

    # The close of one end is what there is to read at the other.
    assert [first, second] == [protocol for protocol, closed in pool.released if closed]
    assert taken not in (first, second)


async def test_a_connection_of_another_kind() -> None:
    """A connector of an application's own may hand out what is not aiohttp's."""

    class Protocol:
        _loop = asyncio.get_running_loop()

    protocol = Protocol()

    assert protocol is await take(Pool(protocol))


async def test_borrowed_connector_is_the_applications() -> None:
    """All but taking connections is the application's own connector's."""
    async with aiohttp.ClientSession() as session:
        connector: Any = session.connector
        borrowed = BorrowedConnector(connector)
        assert connector.limit == borrowed.limit
        assert connector.allowed_protocol_schema_set == (
            borrowed.allowed_protocol_schema_set
        )
        before = borrowed.closed

    assert (False, True) == (before, borrowed.closed)
