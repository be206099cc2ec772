"""The tenant on its sockets: TLS, keep-alive, records, requests of every shape."""

from __future__ import annotations

import json
import socket
import ssl
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection

import pytest

from auth0_tx.tenant import (
    KeySupply,
    Settings,
    Tenant,
)
from tests.tenant.tenant_caller import FORM, Caller, exchange

Connect = Callable[..., HTTPSConnection]


def test_exchange_over_tls(served: Tenant, connect: Connect) -> None:
    """A client that trusts the CA file exchanges over TLS 1.2 or later."""
    connection = connect()
    status, members = exchange(served, connection)

    assert 200 == status
    assert members["access_token"]
    assert isinstance(connection.sock, ssl.SSLSocket)
    assert connection.sock.version() in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_certificate_covers_loopback(served: Tenant, host: str) -> None:
    """The certificate is good for each name loopback has, strictly checked."""
    context = ssl.create_default_context(cafile=served.ca_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    port = int(served.domain.rpartition(":")[2])
    connection = HTTPSConnection(host, port, timeout=5, context=context)
    with closing(connection):
        connection.request("GET", "/.well-known/openid-configuration")
        document = json.loads(connection.getresponse().read())

    assert served.issuer == document["issuer"]


def test_unknown_ca_is_refused(served: Tenant) -> None:
    """A client without the CA file refuses the certificate."""
    host, _, port = served.domain.partition(":")
    connection = HTTPSConnection(host, int(port), timeout=5)
    with closing(connection), pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/")


def test_old_tls_is_refused(served: Tenant) -> None:
    """A client that offers only TLS 1.1 gets no handshake."""
    context = ssl.create_default_context(cafile=served.ca_file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    host, _, port = served.domain.partition(":")
    with (
        socket.create_connection((host, int(port))) as raw,
        pytest.raises(OSError, match=r"SSL|reset"),
        context.wrap_socket(raw, server_hostname="localhost"),
    ):
        pass


def test_plain_http(keys: KeySupply) -> None:
    """Without TLS the domain spells out its scheme, and there is no CA file."""
    with Tenant(tls=False, keys=keys) as tenant:
        host, _, port = tenant.domain.removeprefix("http://").partition(":")
        with closing(HTTPConnection(host, int(port), timeout=5)) as connection:
            status, _ = exchange(tenant, connection)
            connection.request("GET", "/", headers={"Connection": "close"})
            assert 404 == connection.getresponse().status

        assert 200 == status
        assert f"{tenant.domain}/" == tenant.issuer
        assert tenant.issuer.startswith("http://localhost:")
        assert tenant.ca_file is None


def test_keep_alive(served: Tenant, connect: Connect) -> None:
    """Many requests go over one connection, and are counted."""
    connection = connect()
    statuses = {exchange(served, connection)[0] for _ in range(10)}

    assert {200} == statuses
    assert (1, 10) == (served.connections, served.count("/oauth/token"))
    assert {1} == {request.connection for request in served.requests}


def test_close_is_honoured(served: Tenant, connect: Connect) -> None:
    """A client that asks to close gets its answer and an end in order."""
    connection = connect()
    connection.request("GET", "/.well-known/jwks.json", headers={"Connection": "close"})
    response = connection.getresponse()

    assert "close" == response.getheader("Connection")
    assert json.loads(response.read())["keys"]


def test_requests_are_recorded(served: Tenant, connect: Connect) -> None:
    """A request is recorded as it came, and prints without its secrets."""
    connection = connect()
    connection.request(
        "POST", "/oauth/token?q=1", b"a=1&a=2&b=", {**FORM, "X-Custom": "Yes"}
    )
    connection.getresponse().read()
    (request,) = served.requests

    assert ("POST", "/oauth/token", "q=1") == (
        request.method,
        request.path,
        request.query,
    )
    assert "Yes" == request.headers["x-custom"]
    assert (b"a=1&a=2&b=", (("a", "1"), ("a", "2"), ("b", ""))) == (
        request.body,
        request.form,
    )
    assert "127.0.0.1" == request.client_address[0].replace("::1", "127.0.0.1")
    assert abs(time.time() - request.received_at) < 5
    assert "a=1" not in repr(request)
    with pytest.raises(TypeError):
        request.headers["x"] = "y"  # type: ignore[index]


def test_history_is_bounded(new_tenant: Callable[..., Tenant], caller: Caller) -> None:
    """Only so many requests are kept; those forgotten are still counted."""
    tenant = new_tenant(settings=Settings(history=3), port=0)
    tenant.start()
    host, _, port = tenant.domain.removeprefix("http://").partition(":")
    with closing(HTTPConnection(host, int(port), timeout=5)) as connection:
        for _ in range(5):
            exchange(tenant, connection)

    assert (3, 3) == (len(tenant.requests), len(tenant.logs))
    assert 5 == tenant.count("/oauth/token")


def test_clear(served: Tenant, connect: Connect) -> None:
    """Clearing forgets requests, connections and the log; the connection stays."""
    connection = connect()
    exchange(served, connection)
    served.clear()

    assert (0, (), ()) == (served.connections, served.requests, served.logs)
    assert 200 == exchange(served, connection)[0]
    assert (0, 1) == (served.connections, len(served.requests))


def test_request_without_a_form(served: Tenant, connect: Connect) -> None:
    """A request with no form has no pairs."""
    connection = connect()
    connection.request("HEAD", "/.well-known/jwks.json")
    response = connection.getresponse()

    assert b"" == response.read()
    assert int(response.headers["Content-Length"]) > 0
    assert () == served.requests[0].form


def test_large_and_slow_bodies(served: Tenant, connect: Connect) -> None:
    """A body in many pieces, chunked or awaiting a 100, is taken whole."""
    connection = connect()
    chunks = (b"a=" + b"x" * 50_000 for _ in range(3))
    connection.request("POST", "/oauth/token", chunks, FORM, encode_chunked=True)
    assert 400 == connection.getresponse().status
    headers = {**FORM, "Expect": "100-continue", "Connection": "close"}
    waiting = connect()
    waiting.request("POST", "/oauth/token", b"a=1", headers)

    assert 400 == waiting.getresponse().status
    assert [150_006, 3] == [len(request.body) for request in served.requests]


def test_a_100_is_sent_when_it_is_awaited(served: Tenant) -> None:
    """A client that holds its body back is told to go on."""
    context = ssl.create_default_context(cafile=served.ca_file)
    host, _, port = served.domain.partition(":")
    with (
        socket.create_connection((host, int(port)), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as client,
    ):
        client.sendall(
            b"POST /oauth/token HTTP/1.1\r\nExpect: 100-continue\r\n"
            b"Content-Length: 1\r\n\r\n"
        )
        interim = client.recv(1000)
        client.sendall(b"x")
        final = client.recv(1000)

    assert b"HTTP/1.1 100 Continue\r\n\r\n" == interim
    assert final.startswith(b"HTTP/1.1 400 ")


def test_malformed_request(served: Tenant) -> None:
    """Bytes that are no request get their status and the end."""
    context = ssl.create_default_context(cafile=served.ca_file)
    host, _, port = served.domain.partition(":")
    with (
        socket.create_connection((host, int(port)), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nbroken\r\n\r\n")
        client.sendall(b" and more")
        received = b""
        while data := client.recv(1000):
            received += data

    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert () == served.requests


def test_refused_client_that_talks_on(
    new_tenant: Callable[..., Tenant],
) -> None:
    """A client that goes on sending after its refusal still gets to read it."""
    tenant = new_tenant(port=0).start()
    host, _, port = tenant.domain.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as client:
        client.sendall(b"broken\r\n\r\n")
        time.sleep(0.05)
        client.sendall(b"x" * 100_000)

        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_hung_client_keeps_nobody_waiting(served: Tenant, connect: Connect) -> None:
    """A client that connects and says nothing does not delay the next."""
    host, _, port = served.domain.partition(":")
    with socket.create_connection((host, int(port))):
        assert 200 == exchange(served, connect())[0]
