"""Every fault, on a real TLS socket, as a client sees it."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable
from http.client import HTTPResponse, HTTPSConnection, IncompleteRead
from urllib.parse import urlencode

import pytest

from auth0_tx.tenant import Fault, Tenant, faults
from tests.tenant.tenant_caller import FORM, Caller

Connect = Callable[..., HTTPSConnection]


@pytest.fixture
def post(served: Tenant, connect: Connect) -> Callable[..., HTTPResponse]:
    """Exchange on a socket."""

    def post(connection: HTTPSConnection | None = None) -> HTTPResponse:
        used = connection or connect()
        body = urlencode(Caller(served).build_form())
        used.request("POST", "/oauth/token", body, FORM)
        return used.getresponse()

    return post


Post = Callable[..., HTTPResponse]


def count_processed(tenant: Tenant) -> int:
    """Return how many exchanges the tenant has processed."""
    return len(tenant.logs)


def test_latency(served: Tenant, post: Post) -> None:
    """A late answer is right, and late."""
    served.inject(faults.latency(0.2))
    started = time.monotonic()
    response = post()

    assert 200 == response.status
    assert 0.2 <= time.monotonic() - started < 2


def test_reset(served: Tenant, post: Post) -> None:
    """A reset comes after the request was read, and before anything is processed."""
    served.inject(faults.reset())
    with pytest.raises(ConnectionResetError):
        post()

    assert (1, 0) == (served.count("/oauth/token"), count_processed(served))


def test_reset_mid_body(served: Tenant, post: Post) -> None:
    """A reset in the middle of the body comes after processing."""
    served.inject(faults.reset_mid_body())
    response = post()
    with pytest.raises((ConnectionResetError, IncompleteRead)):
        response.read()

    assert (200, 1) == (response.status, count_processed(served))


def test_truncate(served: Tenant, post: Post) -> None:
    """A truncated body ends early, in order."""
    served.inject(faults.truncate(7))
    with pytest.raises(IncompleteRead) as caught:
        post().read()

    assert 7 == len(caught.value.partial)
    assert 1 == count_processed(served)


def test_html(served: Tenant, post: Post) -> None:
    """A page of HTML comes instead of an answer."""
    served.inject(faults.html())
    response = post()

    assert (200, "text/html; charset=utf-8") == (
        response.status,
        response.getheader("Content-Type"),
    )
    assert response.read().startswith(b"<!DOCTYPE html>")
    assert 0 == count_processed(served)


@pytest.mark.parametrize(
    ("body", "media_type", "text"),
    [
        ({"error": "x"}, "application/json", b'{"error": "x"}'),
        ("plain", "text/plain; charset=utf-8", b"plain"),
        (b"\xff", "application/octet-stream", b"\xff"),
        (None, None, b""),
    ],
)
def test_status(
    served: Tenant,
    post: Post,
    body: dict[str, str] | str | bytes | None,
    media_type: str | None,
    text: bytes,
) -> None:
    """A status of one's choice comes with a body and headers of one's choice."""
    served.inject(faults.status(503, body, {"Retry-After": "7"}))
    response = post()

    assert (503, "7") == (response.status, response.getheader("Retry-After"))
    assert (media_type, text) == (response.getheader("Content-Type"), response.read())


def test_status_with_its_own_media_type(served: Tenant, post: Post) -> None:
    """A Content-Type given replaces the one implied."""
    served.inject(faults.status(200, {}, {"content-type": "application/problem+json"}))

    assert "application/problem+json" == post().getheader("Content-Type")


@pytest.mark.parametrize("body_only", [True, False])
def test_drip(served: Tenant, post: Post, body_only: bool) -> None:
    """A dripping reply is right, but takes its time."""
    served.alter_reply(lambda reply: reply.without("access_token"))
    served.inject(faults.drip(2000, body_only=body_only))
    started = time.monotonic()
    response = post()
    headed = time.monotonic() - started
    members = json.loads(response.read())
    whole = time.monotonic() - started

    assert "Bearer" == members["token_type"]
    assert whole >= len(json.dumps(members)) / 2000
    assert body_only == (headed < whole / 2)


def test_drip_needs_a_speed() -> None:
    """A drip without speed is a mistake."""
    with pytest.raises(ValueError, match="positive"):
        faults.drip(0)


def test_silence(served: Tenant, connect: Connect, post: Post) -> None:
    """Silence lasts until the client gives up; others are served meanwhile."""
    served.inject(faults.silence())
    with pytest.raises(TimeoutError):
        post(connect(timeout=0.2))

    assert 200 == post().status
    assert 1 == count_processed(served)


def test_lost_answer(served: Tenant, post: Post) -> None:
    """A lost answer was processed, and the connection closes without a byte."""
    served.inject(faults.lost_answer())
    with pytest.raises(http.client.RemoteDisconnected):
        post()

    assert ["secte"] == [entry.type for entry in served.logs]


def test_raw(served: Tenant, post: Post) -> None:
    """Any bytes may be sent, HTTP or not."""
    served.inject(faults.raw(b"SMTP ready\r\n"))
    with pytest.raises(http.client.BadStatusLine):
        post()


def test_handshake_reset(served: Tenant, post: Post) -> None:
    """A connection may be reset before its handshake; no request is received."""
    served.inject(faults.handshake_reset())
    with pytest.raises(ConnectionResetError):
        post()

    assert 200 == post().status
    assert (1, 2) == (served.count("/oauth/token"), served.connections)


def test_handshake_silence(served: Tenant, connect: Connect, post: Post) -> None:
    """A handshake may go unanswered."""
    served.inject(faults.handshake_silence())
    with pytest.raises(TimeoutError):
        post(connect(timeout=0.2))

    assert 200 == post().status


def test_faults_are_played_in_turn(served: Tenant, post: Post) -> None:
    """Several faults are played one after the other, each as often as asked."""
    served.inject(faults.status(503), times=2)
    served.inject(faults.status(429))

    assert [503, 503, 429, 200] == [post().status for _ in range(4)]


def test_fault_until_cleared(served: Tenant, post: Post) -> None:
    """A fault without a number of times lasts until it is cleared."""
    served.inject(faults.status(503), times=None)
    lasting = {post().status for _ in range(5)}
    served.clear()

    assert {503} == lasting
    assert 200 == post().status


def test_fault_has_a_path(served: Tenant, connect: Connect, post: Post) -> None:
    """A fault is for one path, or for any."""
    served.inject(faults.status(503), path="/.well-known/jwks.json")
    served.inject(faults.status(502), path=None)
    first = post().status
    connection = connect()
    connection.request("GET", "/.well-known/jwks.json")

    assert (502, 503) == (first, connection.getresponse().status)


def test_fault_prints_its_name() -> None:
    """A fault prints as it was spelt."""
    assert "Fault(name='latency(0.5)')" == repr(faults.latency(0.5))
    assert isinstance(faults.reset(), Fault)


def test_stopping_ends_faults_at_once(served: Tenant, connect: Connect) -> None:
    """A stop waits for no latency, drip or silence."""
    for fault in (faults.latency(60), faults.silence(), faults.handshake_silence()):
        served.inject(fault)
    host, _, port = served.domain.partition(":")
    plain = socket.create_connection((host, int(port)))
    connections = [connect(timeout=1) for _ in range(2)]
    time.sleep(0.05)
    for connection in connections:
        connection.request("POST", "/oauth/token", "", FORM)
    started = time.monotonic()
    served.stop()

    assert time.monotonic() - started < 1
    for connection in connections:
        with pytest.raises((http.client.RemoteDisconnected, ssl.SSLError, OSError)):
            connection.getresponse()
    plain.close()
