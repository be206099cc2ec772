"""Connections at rest: kept alive for two minutes, and never used once the server has left."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from auth0_tx.shells import aiohttp_transport, deadline_adapter
from tests.e2e.faults import wire_proxy as act
from tests.e2e.faults.callers import Caller
from tests.e2e.faults.fault_cases import ANOTHER
from tests.e2e.faults.wire_behaviours import grants
from tests.e2e.faults.wire_proxy import Proxy
from tests.e2e.faults.wire_server import (
    Behaviour,
    Script,
    Wire,
    WireRequest,
    WireServer,
)


def list_sockets(port: int) -> list[socket.socket]:
    """Return the open sockets of this process that are connected to *port*."""
    found = []
    for sock in gc.get_objects():
        if isinstance(sock, socket.socket) and sock.fileno() >= 0:
            try:
                _, peer_port, *_ = sock.getpeername()
            except (OSError, ValueError):
                # It is not connected, or not to an address with a port.
                continue
            if peer_port == port:
                found.append(sock)
    return found


def check_keep_alive(port: int) -> None:
    """Assert that the system probes every connection to *port*."""
    sockets = list_sockets(port)
    assert sockets
    for sock in sockets:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert [30, 10, 3] == [
                sock.getsockopt(socket.IPPROTO_TCP, option)
                for option in (
                    socket.TCP_KEEPIDLE,
                    socket.TCP_KEEPINTVL,
                    socket.TCP_KEEPCNT,
                )
            ]


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_sockets_are_kept_alive(
    tls: bool, new_server: Callable[..., WireServer], new_caller: Callable[..., Caller]
) -> None:
    """The system probes a connection, so that firewalls on the way do not forget it."""
    server = new_server(tls=tls)
    assert new_caller(domain=server.domain).exchange().error is None

    check_keep_alive(server.port)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy that opens every tunnel."""
    made = Proxy(act.tunnels)
    yield made
    made.stop()


def test_sockets_to_a_proxy_are_kept_alive(
    proxy: Proxy, new_caller: Callable[..., Caller]
) -> None:
    """So does it for a connection to a proxy."""
    assert new_caller(proxy=proxy.url).exchange().error is None

    check_keep_alive(proxy.port)


def test_a_minute_is_no_rest() -> None:
    """Both clients let a connection rest for longer than a service that calls every minute."""
    assert 120.0 == aiohttp_transport.LONGEST_IDLE == deadline_adapter.LONGEST_IDLE


class Leaving:
    """A server that grants, and ends the connection while it rests."""

    def __init__(self, leave: Callable[[Wire], None]) -> None:
        self._leave = leave
        self.has_left = threading.Event()

    def __call__(self, wire: Wire, request: WireRequest) -> None:
        """Grant, and leave."""
        grants(wire, request)
        wire.pause(0.05)
        self._leave(wire)
        self.has_left.set()


@pytest.mark.parametrize("leave", [Wire.close, Wire.reset, Wire.abort])
def test_stale_connection_spends_no_token(
    leave: Callable[[Wire], None], server: WireServer, caller: Caller
) -> None:
    """A token for one use goes over a new connection, whichever way the old one ended."""
    leaving = Leaving(leave)
    script: tuple[Behaviour, ...] = (leaving, grants)
    server.token = Script(*script)
    caller.exchange()
    assert leaving.has_left.wait(5)
    caller.rest(0.1)
    outcome = caller.exchange(subject_token=ANOTHER)

    assert outcome.error is None
    assert 0 == outcome.retries
    assert [1, 2] == [request.connection for request in server.posts]
