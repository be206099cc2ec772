"""The tenant's life: start and stop, many clients at once, fork, nothing left."""

from __future__ import annotations

import asyncio
import errno
import gc
import http.client
import json
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest

from auth0_tx.tenant import (
    ActionApi,
    Certificates,
    Event,
    KeySupply,
    Profile,
    Settings,
    Tenant,
)
from tests.tenant.tenant_caller import Caller, exchange

Connect = Callable[..., HTTPSConnection]


def test_idle_connections_are_closed(
    keys: KeySupply, certificates: Certificates
) -> None:
    """A connection idle for longer than the setting is closed."""
    settings = Settings(idle_seconds=0.1)
    with Tenant(keys=keys, certificates=certificates, settings=settings) as tenant:
        context = ssl.create_default_context(cafile=tenant.ca_file)
        host, _, port = tenant.domain.partition(":")
        with (
            socket.create_connection((host, int(port)), timeout=5) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as client,
        ):
            assert b"" == client.recv(1)


def test_dropped_connections(served: Tenant, connect: Connect) -> None:
    """Dropping ends every open connection; the tenant goes on serving."""
    connection = connect()
    exchange(served, connection)
    served.drop_connections()
    with pytest.raises((http.client.RemoteDisconnected, OSError)):
        exchange(served, connection)

    assert 200 == exchange(served, connect())[0]


def test_stop_and_start_again(served: Tenant, connect: Connect) -> None:
    """A stopped tenant refuses connections; started again it is where it was."""
    domain, before = served.domain, exchange(served, connect())[0]
    served.stop()
    served.stop()
    with pytest.raises(ConnectionRefusedError):
        connect().connect()
    served.start()

    assert (200, domain) == (before, served.domain)
    assert 200 == exchange(served, connect())[0]


def test_start_twice(served: Tenant) -> None:
    """A running tenant cannot be started, and says so."""
    with pytest.raises(RuntimeError, match="already"):
        served.start()
    assert "running" in repr(served)


def test_port_taken(served: Tenant, certificates: Certificates) -> None:
    """A port that is taken is an error, and leaves nothing open."""
    port = int(served.domain.partition(":")[2])
    other = Tenant(port=port, certificates=certificates)

    assert served.issuer == other.issuer
    with pytest.raises(OSError, match="in use"):
        other.start()
    other.close()


def test_without_ipv6(monkeypatch: pytest.MonkeyPatch, keys: KeySupply) -> None:
    """Without IPv6, the tenant listens on 127.0.0.1 alone."""

    def bind(self: socket.socket, address: tuple[str, int]) -> None:
        if address[0] == "::1":
            raise OSError(errno.EADDRNOTAVAIL, "no IPv6")
        original(self, address)

    original = socket.socket.bind
    monkeypatch.setattr(socket.socket, "bind", bind)
    with Tenant(tls=False, keys=keys) as tenant:
        port = int(tenant.domain.rpartition(":")[2])
        with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            assert 200 == exchange(tenant, connection)[0]


@pytest.mark.parametrize("taken", [1, 1000])
def test_port_taken_on_ipv6(
    monkeypatch: pytest.MonkeyPatch, keys: KeySupply, taken: int
) -> None:
    """A port that others have on ::1 is passed over, but not for ever."""
    refused: list[int] = []

    def bind(self: socket.socket, address: tuple[str, int]) -> None:
        if address[0] == "::1" and len(refused) < taken:
            refused.append(address[1])
            raise OSError(errno.EADDRINUSE, "in use")
        original(self, address)

    original = socket.socket.bind
    monkeypatch.setattr(socket.socket, "bind", bind)
    tenant = Tenant(tls=False, keys=keys)
    if taken == 1:
        with tenant:
            assert not tenant.domain.endswith(f":{refused[0]}")
    else:
        with pytest.raises(OSError, match="in use"):
            tenant.start()
        tenant.close()


def test_nothing_is_left(keys: KeySupply, certificates: Certificates) -> None:
    """A tenant that stops leaves no thread and no descriptor."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("counts descriptors in /proc")

    def count() -> tuple[int, int]:
        gc.collect()
        # Threads of earlier tests begin and end as they like.
        names = [thread.name for thread in threading.enumerate()]
        own = sum(name.startswith("auth0-tx tenant") for name in names)
        return own, len(list(descriptors.iterdir()))

    def any_more(before: tuple[int, int], after: tuple[int, int]) -> bool:
        return after[0] > before[0] or after[1] > before[1]

    before = count()
    for _ in range(5):
        with Tenant(keys=keys, certificates=certificates) as tenant:
            context = ssl.create_default_context(cafile=tenant.ca_file)
            host, _, port = tenant.domain.partition(":")
            connection = HTTPSConnection(host, int(port), context=context)
            exchange(tenant, connection)
            connection.close()
            raw = socket.create_connection((host, int(port)))
            raw.close()
    # A thread whose handshake the client broke off ends a moment later.  One of an earlier
    # test may end, too.
    deadline = time.monotonic() + 5
    while any_more(before, after := count()) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not any_more(before, after)


def test_two_hundred_connections(served: Tenant) -> None:
    """Two hundred clients at once, on a connection each, get their own answers."""

    def action(event: Event, api: ActionApi) -> None:
        api.authentication.set_user_by_id("auth0|alice")
        api.access.deny("yours", event.transaction.subject_token)

    served.profiles.add(Profile("urn:acme:echo", action))
    port = int(served.domain.partition(":")[2])
    context = ssl.create_default_context(cafile=served.ca_file)

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection(
            "localhost", port, ssl=context, server_hostname="localhost"
        )
        for attempt in range(5):
            mine = f"{number}-{attempt}"
            body = urlencode(
                Caller(served).build_form(
                    subject_token=mine, subject_token_type="urn:acme:echo"
                )
            )
            writer.write(
                b"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body.encode())
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split()[0])
            answer = json.loads(await reader.readexactly(length))
            assert mine == answer["error_description"]
        writer.close()
        await writer.wait_closed()

    async def everybody() -> None:
        await asyncio.gather(*(client(number) for number in range(200)))

    asyncio.run(everybody())

    assert (200, 1000) == (served.connections, served.count("/oauth/token"))


def test_threads(served: Tenant) -> None:
    """Threads that exchange at once all succeed, and every request is recorded."""
    context = ssl.create_default_context(cafile=served.ca_file)
    host, _, port = served.domain.partition(":")

    def client(_: int) -> set[int]:
        connection = HTTPSConnection(host, int(port), timeout=10, context=context)
        with closing(connection):
            return {exchange(served, connection)[0] for _ in range(10)}

    with ThreadPoolExecutor(16) as pool:
        statuses = set().union(*pool.map(client, range(16)))

    assert {200} == statuses
    assert 160 == len(served.logs) == len(served.requests)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_forked_child_does_not_serve(served: Tenant, connect: Connect) -> None:
    """A child lets go of the sockets; leaving the tenant there leaves the parent's."""
    connection = connect()
    exchange(served, connection)
    ready, go = os.pipe()
    closed, close = os.pipe()
    child = os.fork()
    if child == 0:
        # Leaves without pytest's own cleaning up, but through the tenant's.
        os.close(go)
        served.close()
        os.close(close)
        os.read(ready, 1)
        os._exit(0 if not served._server.running else 1)
    os.close(ready)
    os.close(close)
    # The child has the sockets until then, and the kernel connects whoever comes to them.
    assert b"" == os.read(closed, 1)
    os.close(closed)
    same, new = exchange(served, connection)[0], exchange(served, connect())[0]
    served.stop()
    with pytest.raises(ConnectionRefusedError):
        connect().connect()
    os.close(go)

    assert (200, 200) == (same, new)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert served.ca_file
    assert Path(served.ca_file).exists()


def test_no_descriptors_left(
    served: Tenant, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of descriptors or threads for a moment, the tenant serves on afterwards."""
    accept, start = socket.socket.accept, threading.Thread.start
    failures = [OSError(errno.EMFILE, "too many"), OSError(errno.ECONNABORTED, "gone")]

    # What other tests have left running may accept and start threads meanwhile.
    def failing_accept(listener: socket.socket) -> tuple[socket.socket, object]:
        if failures and listener.getsockname()[1] == served._server.port:
            raise failures.pop()
        return accept(listener)

    def failing_start(thread: threading.Thread) -> None:
        if not thread.name.startswith(f"auth0-tx tenant {served._server.port}"):
            return start(thread)
        monkeypatch.setattr(threading.Thread, "start", start)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(socket.socket, "accept", failing_accept)
    monkeypatch.setattr(threading.Thread, "start", failing_start)
    with pytest.raises(OSError, match=r"closed|reset|EOF"):
        connect().connect()

    assert [] == failures
    assert 200 == exchange(served, connect())[0]


def test_client_that_leaves_at_once(served: Tenant, connect: Connect) -> None:
    """A client that resets its connection before the handshake harms nothing."""
    host, _, port = served.domain.partition(":")
    for _ in range(20):
        raw = socket.create_connection((host, int(port)))
        linger = struct.pack("ii", 1, 0)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        raw.close()

    assert 200 == exchange(served, connect())[0]


def test_certificates_leave_no_files() -> None:
    """The files of a certificate go with it."""
    certificates = Certificates()
    directory = Path(certificates.ca_file).parent
    private = directory / "server.pem"
    mode = private.stat().st_mode & 0o777
    del certificates
    gc.collect()

    assert 0o600 == mode
    assert not directory.exists()


def test_several_tenants(served: Tenant, keys: KeySupply) -> None:
    """Tenants at once, such as one behind a custom domain, know nothing of another."""
    with Tenant(keys=keys) as other:
        assert served.issuer != other.issuer
        assert served.ca_file != other.ca_file
        reply = Caller(other).exchange(
            subject_token=served.subject_token("auth0|alice")
        )

        assert 400 == reply.status
