"""What uvloop does with descriptors, and what it must not do to others'."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any

import aiohappyeyeballs
import pytest

from auth0_tx import NotSentError, RetryPolicy
from tests.e2e.faults import wire_greetings as greet
from tests.e2e.faults.chaos import LOOPS
from tests.e2e.faults.wire_behaviours import last_document
from tests.e2e.faults.wire_certificates import Certificates
from tests.e2e.faults.wire_server import Script, WireServer
from tests.e2e.faults.worlds import AsyncWorld


@pytest.mark.parametrize("loop", LOOPS)
def test_a_reset_before_tls_leaves_no_stale_descriptor(
    loop: str,
    new_server: Callable[..., WireServer],
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A socket whose descriptor is closed no longer refers to it: it may be another's by now."""
    connected: list[socket.socket] = []
    connect = aiohappyeyeballs.start_connection

    async def connect_and_wait(**keywords: Any) -> socket.socket:
        connected.append(sock := await connect(**keywords))
        if len(connected) == 2:
            # What the server says to this has arrived before TLS begins.
            sock.send(b"x")
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            assert poll.poll(5_000)
        return sock

    monkeypatch.setattr(aiohappyeyeballs, "start_connection", connect_and_wait)
    server = new_server()
    server.discovery = Script(last_document)
    server.greeting = Script(greet.rightly, greet.resets, greet.rightly)
    caller = AsyncWorld(LOOPS[loop]).caller(
        server.domain, certificates.ca_file, retry=RetryPolicy(attempts=1)
    )
    outcome = caller.exchange()
    caller.rest(0.05)
    # Whatever is opened now may get the number.
    with socket.socket(), socket.socket():
        stale = [sock for sock in connected if sock.fileno() >= 0 and not _is_own(sock)]
        for sock in stale:
            sock.detach()
    caller.close()
    del connected[:]

    assert NotSentError is type(outcome.error)
    assert [] == stale


def _is_own(sock: socket.socket) -> bool:
    """Return whether the descriptor is a connection's, open or reset."""
    try:
        return sock.getsockname()[0] != "0.0.0.0"
    except OSError:
        return False
