"""Discovery beside the first grant, over real connections: what it saves, and what it never risks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from auth0_tx import DiscoveryError, SigningKeyError
from tests.e2e.faults.callers import Caller
from tests.e2e.faults.fault_cases import ANOTHER, check_silent
from tests.e2e.faults.wire_behaviours import (
    answers,
    document,
    grants,
    has_body,
    metadata,
    redirects,
    silence,
)
from tests.e2e.faults.wire_http import WireRequest, json_answer
from tests.e2e.faults.wire_keys import (
    ACTOR,
    ACTOR_OPTIONS,
    Signer,
    names_actor,
    publishes,
)
from tests.e2e.faults.wire_server import (
    DISCOVERY,
    JWKS,
    TOKEN,
    Behaviour,
    Script,
    Wire,
    WireServer,
)


@pytest.fixture
def caller(new_caller: Callable[..., Caller]) -> Caller:
    """A client that defers discovery."""
    return new_caller(discovery="deferred", timeout=4.0)


@pytest.fixture(scope="session")
def signer() -> Signer:
    """A key."""
    return Signer("first")


def list_paths(server: WireServer) -> list[str]:
    """Return the paths that were asked, in their order."""
    return [request.path for request in server.requests]


def test_discovery_is_made_once(server: WireServer, caller: Caller) -> None:
    """The first call is one request, with discovery beside it on a connection of its own."""
    for subject in (ANOTHER, "third"):
        assert caller.exchange(subject_token=subject).error is None
        caller.rest(0.1)

    first, second, third = list_paths(server)
    assert {TOKEN, DISCOVERY} == {first, second}
    assert TOKEN == third
    assert 2 == len(server.wires)


def test_grant_waits_for_nothing(server: WireServer, caller: Caller) -> None:
    """The grant is on its way while discovery waits for its answer."""
    is_granted = threading.Event()

    def grant(wire: Wire, request: WireRequest) -> None:
        grants(wire, request)
        is_granted.set()

    def answer_afterwards(wire: Wire, request: WireRequest) -> None:
        assert is_granted.wait(3)
        document(wire, request)

    server.token, server.discovery = Script(grant), Script(answer_afterwards)

    assert caller.exchange().error is None


def claims_other_issuer(wire: Wire, request: WireRequest) -> None:
    """Publish the metadata of another tenant."""
    members = {**metadata(wire.server.issuer), "issuer": "https://other.example/"}
    wire.send(json_answer(200, members))


def after_the_grant(then: Behaviour) -> Behaviour:
    """Wait until the grant is here, as none is sent to a tenant that was refuted before."""

    def play(wire: Wire, request: WireRequest) -> None:
        until = time.monotonic() + 2.0
        while not wire.server.posts and time.monotonic() < until:
            time.sleep(0.001)
        then(wire, request)

    return play


REFUTING: dict[str, Behaviour] = {
    "404": has_body(404, b"<html></html>", "text/html"),
    "a page": has_body(200, b"<html></html>", "text/html"),
    "another issuer": claims_other_issuer,
    "302": redirects(302, "https://localhost:1/"),
}


@pytest.mark.parametrize("name", REFUTING)
def test_no_second_grant_to_another_tenant(
    name: str, server: WireServer, caller: Caller
) -> None:
    """A host that is not the tenant it should be gets no grant after the first one."""
    server.discovery = Script(after_the_grant(REFUTING[name]))
    first = caller.exchange()
    caller.rest(0.1)
    second = caller.exchange(subject_token=ANOTHER)

    assert first.error is None
    assert isinstance(second.error, DiscoveryError)
    check_silent(second.error)
    assert 1 == len(server.posts)


UNAVAILABLE: dict[str, Behaviour] = {
    **REFUTING,
    "503": answers(503, {}),
    "silence": silence,
}


@pytest.mark.parametrize("name", UNAVAILABLE)
def test_no_id_token_is_believed_without_discovery(
    name: str, server: WireServer, caller: Caller, signer: Signer
) -> None:
    """Without the tenant's own word on its keys an actor is not told; the tokens are kept."""
    server.discovery = Script(after_the_grant(UNAVAILABLE[name]))
    server.token, server.jwks = Script(names_actor(signer)), Script(publishes(signer))
    outcome = caller.exchange(**ACTOR_OPTIONS)

    assert outcome.tokens is not None
    assert outcome.tokens.act is None
    assert isinstance(outcome.tokens.act_error, SigningKeyError)
    assert 1 == len(server.posts)


def test_id_token_after_discovery(
    server: WireServer, caller: Caller, signer: Signer
) -> None:
    """With it, the actor is told."""
    server.token, server.jwks = Script(names_actor(signer)), Script(publishes(signer))
    outcome = caller.exchange(**ACTOR_OPTIONS)

    assert outcome.tokens is not None
    assert ACTOR == outcome.tokens.act
    assert [1, 1, 1] == [len(server.at(path)) for path in (TOKEN, DISCOVERY, JWKS)]


def test_documents_come_beside_the_grant(
    server: WireServer, caller: Caller, signer: Signer
) -> None:
    """The three requests of a first verified exchange are on their way at the same time."""
    together = threading.Barrier(3)

    def wait_for_all(then: Behaviour) -> Behaviour:
        def play(wire: Wire, request: WireRequest) -> None:
            together.wait(2)
            then(wire, request)

        return play

    server.token = Script(wait_for_all(names_actor(signer)))
    server.discovery = Script(wait_for_all(document))
    server.jwks = Script(wait_for_all(publishes(signer)))
    outcome = caller.exchange(**ACTOR_OPTIONS)

    assert outcome.tokens is not None
    assert ACTOR == outcome.tokens.act
    assert 3 == len(server.wires)
    assert 3 == len(server.requests)


def test_outage_of_discovery(server: WireServer, caller: Caller) -> None:
    """A tenant whose documents are down goes on issuing tokens."""
    server.discovery = Script(answers(503, {}))
    outcomes = []
    for subject in (ANOTHER, "third"):
        outcomes.append(caller.exchange(subject_token=subject).error)
        caller.rest(0.1)

    assert [None, None] == outcomes
    # As often as the policy tries what may pass.
    assert 3 >= len(server.at(DISCOVERY))


def test_silent_discovery(server: WireServer, caller: Caller) -> None:
    """Discovery that hangs holds a thread up for a second, and a task not at all."""
    server.discovery, server.token = Script(silence), Script(grants)
    outcome = caller.exchange()

    assert outcome.error is None
    assert 2.0 > outcome.seconds


def test_crowd(server: WireServer, caller: Caller) -> None:
    """A crowd at the start makes discovery once."""
    outcomes = caller.exchange_at_once(8)
    caller.rest(0.2)

    assert [None] * 8 == [outcome.error for outcome in outcomes]
    assert 8 == len(server.posts)
    assert 1 == len(server.at(DISCOVERY))
