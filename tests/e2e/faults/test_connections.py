"""A connection that cannot be made: nothing was sent, and the error says so."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from auth0_tx import NotSentError
from auth0_tx.events import MetadataFetched
from tests.e2e.faults import wire_greetings as greet
from tests.e2e.faults.callers import Caller, Outcome
from tests.e2e.faults.fault_cases import check_silent, check_unpoisoned
from tests.e2e.faults.wire_behaviours import last_document
from tests.e2e.faults.wire_certificates import Certificates
from tests.e2e.faults.wire_greetings import FullQueue, goes_down
from tests.e2e.faults.wire_server import Greeting, Script, WireServer
from tests.e2e.faults.worlds import World, world_over_each_wire

__all__ = ["world_over_each_wire"]

ATTEMPTS = 3


@pytest.fixture
def full_queue() -> Iterator[FullQueue]:
    """A port whose queue is full."""
    queue = FullQueue()
    yield queue
    queue.close()


def check_not_sent(
    server: WireServer, outcome: Outcome, code: str, *, safe: bool = True
) -> None:
    """Assert that nothing left, and that the error says so."""
    assert (NotSentError, code, None, safe) == outcome.summary
    assert outcome.error is not None
    assert "send" == outcome.error.phase
    assert outcome.error.tokens_issued is False
    check_silent(outcome.error)
    assert [] == server.posts


def test_refused_connection_is_tried_again(server: WireServer, caller: Caller) -> None:
    """A refused connection is tried three times, and the error says the grant is unsent."""
    server.discovery = Script(goes_down)
    outcome = caller.exchange()

    check_not_sent(server, outcome, "connection_failed")
    assert ATTEMPTS - 1 == outcome.retries


def test_server_that_comes_back_gets_one_send(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """A grant is sent once to a server that came up again between two attempts."""
    server.discovery = Script(goes_down)

    def come_up(event: object) -> None:
        if type(event).__name__ == "ExchangeRetried":
            server.come_up()

    caller = new_caller(on_event=come_up)
    outcome = caller.exchange()

    assert outcome.error is None
    assert 1 == outcome.retries
    assert 1 == len(server.posts)


def test_unknown_name_is_tried_again(
    server: WireServer, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that does not resolve is an unsent request, before anything else is."""
    asked: list[object] = []

    def nowhere(host: object, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    outcome = caller.exchange()
    monkeypatch.undo()

    assert (NotSentError, "connection_failed", None, True) == outcome.summary
    assert outcome.error is not None
    assert "discover" == outcome.error.phase
    check_silent(outcome.error)
    assert ATTEMPTS == len(asked)
    assert [] == server.wires


def test_name_that_takes_too_long_to_find(
    world: World, server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """A name that is found after the deadline leaves the grant unsent, and is told as such."""
    resolve = socket.getaddrinfo

    def slowly(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.6)
        return resolve(*args, **kwargs)

    def after_discovery(event: object) -> None:
        if isinstance(event, MetadataFetched):
            patch.setattr(socket, "getaddrinfo", slowly)

    server.discovery = Script(last_document)
    # The asyncio client's own connector remembers the name that discovery looked up.
    forgets = world.name == "async"
    caller = new_caller(timeout=0.5, own_session=forgets, on_event=after_discovery)
    with pytest.MonkeyPatch.context() as patch:
        outcome = caller.exchange()

    check_not_sent(server, outcome, "timeout")


def test_connection_that_hangs_is_tried_again(
    server: WireServer,
    new_caller: Callable[..., Caller],
    full_queue: FullQueue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection has its own, shorter time, after which another is tried."""
    for transport in ("aiohttp_transport", "requests_transport"):
        monkeypatch.setattr(f"auth0_tx.shells.{transport}.LONGEST_CONNECT", 0.2)
    server.discovery = Script(full_queue.then())
    outcome = new_caller().exchange()

    check_not_sent(server, outcome, "timeout")
    assert ATTEMPTS - 1 == outcome.retries
    assert 0.5 <= outcome.seconds <= 1.5


@pytest.mark.parametrize("name", ["resets", "closes"])
def test_cut_handshake_is_tried_again(
    name: str, server: WireServer, caller: Caller
) -> None:
    """A handshake that breaks off is an unsent request, tried three times."""
    server.discovery = Script(last_document)
    server.greeting = Script(greet.rightly, getattr(greet, name))
    outcome = caller.exchange()

    check_not_sent(server, outcome, "connection_failed")
    assert 1 + ATTEMPTS == len(server.wires)


def test_handshake_that_works_at_last_gets_one_send(
    server: WireServer, caller: Caller
) -> None:
    """A grant is sent once, after two handshakes that broke off."""
    server.discovery = Script(last_document)
    server.greeting = Script(greet.rightly, greet.resets, greet.closes, greet.rightly)
    outcome = caller.exchange()

    assert outcome.error is None
    assert 1 == len(server.posts)
    check_unpoisoned(server, caller)


UNACCEPTABLE: dict[str, Callable[[Certificates], Greeting]] = {
    "expired": lambda certificates: greet.shows(certificates.out_of_date()),
    "wrong host": lambda certificates: greet.shows(certificates.wrong_host()),
    "self-signed": lambda certificates: greet.shows(certificates.self_signed()),
    "unknown CA": lambda certificates: greet.shows(certificates.unknown_authority()),
    "TLS 1.1": lambda certificates: greet.old_tls_only,
    "no cipher": lambda certificates: greet.no_shared_cipher(certificates.good()),
    "plain HTTP": lambda certificates: greet.speaks_plain_http,
}


@pytest.mark.parametrize("name", UNACCEPTABLE)
@pytest.mark.parametrize("reusable", [False, True], ids=["one-time", "reusable"])
def test_unacceptable_server_is_refused_for_good(
    name: str,
    reusable: bool,
    server: WireServer,
    caller: Caller,
    certificates: Certificates,
) -> None:
    """A server that cannot prove itself gets one connection, and none of the request."""
    server.discovery = Script(last_document)
    server.greeting = Script(greet.rightly, UNACCEPTABLE[name](certificates))
    outcome = caller.exchange(subject_token_reusable=reusable)

    check_not_sent(server, outcome, "tls_failed", safe=False)
    assert 2 == len(server.wires)
    assert 0 == outcome.retries


def test_unacceptable_server_is_refused_at_discovery(
    server: WireServer, caller: Caller, certificates: Certificates
) -> None:
    """The same is refused before its metadata is asked for."""
    server.greeting = Script(greet.shows(certificates.out_of_date()))
    outcome = caller.exchange()

    assert (NotSentError, "tls_failed", None, False) == outcome.summary
    assert [] == server.requests
    assert 1 == len(server.wires)
