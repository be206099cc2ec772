"""Metadata that cannot be had, or leads elsewhere: no grant is sent on its word."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from attrs import define

from auth0_tx import DiscoveryError, NotSentError
from tests.e2e.faults.callers import Caller, Outcome
from tests.e2e.faults.fault_cases import check_silent
from tests.e2e.faults.wire_behaviours import (
    answers,
    bombs,
    document,
    floods,
    grants,
    has_body,
    metadata,
    redirects,
    resets,
    says,
    silence,
)
from tests.e2e.faults.wire_http import WireRequest, head, json_answer
from tests.e2e.faults.wire_server import (
    DISCOVERY,
    JWKS,
    TOKEN,
    Behaviour,
    Script,
    Wire,
    WireServer,
)

MOST_MEMORY = 4 * 1024 * 1024
PAGE = b"<html></html>", "text/html"
HOUR, DAY = 3_600.0, 86_400.0


@define
class Clock:
    """A clock that stands still until it is moved."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def claims(change: Callable[[str], dict[str, Any]]) -> Behaviour:
    """Publish metadata with what *change* makes of the issuer."""

    def play(wire: Wire, request: WireRequest) -> None:
        members = {**metadata(wire.server.issuer), **change(wire.server.issuer)}
        kept = {name: value for name, value in members.items() if value is not ...}
        wire.send(json_answer(200, kept))

    return play


def check_nothing_sent(server: WireServer, outcome: Outcome) -> None:
    """Assert that the tenant was asked for its metadata, and for nothing else."""
    assert outcome.error is not None
    assert "discover" == outcome.error.phase
    assert outcome.error.tokens_issued is False
    check_silent(outcome.error)
    assert {DISCOVERY} == {request.path for request in server.requests}


ISSUERS: dict[str, Callable[[str], Any]] = {
    "another host": lambda issuer: "https://other.example/",
    "another port": lambda issuer: "https://localhost:1/",
    "upper case": lambda issuer: issuer.replace("localhost", "LOCALHOST"),
    "no slash": lambda issuer: issuer.removesuffix("/"),
    "two slashes": lambda issuer: issuer + "/",
    "a path": lambda issuer: issuer + "tenant/",
    "http": lambda issuer: issuer.replace("https", "http"),
    "a user": lambda issuer: issuer.replace("//", "//user@"),
    "missing": lambda issuer: ...,
    "null": lambda issuer: None,
    "a number": lambda issuer: 1,
    "a list": lambda issuer: [issuer],
}


@pytest.mark.parametrize("name", ISSUERS)
def test_issuer_must_be_the_configured_one(
    name: str, server: WireServer, caller: Caller
) -> None:
    """Metadata of another issuer, or of none, is refused (RFC 8414 section 3.3)."""
    server.discovery = Script(claims(lambda issuer: {"issuer": ISSUERS[name](issuer)}))
    outcome = caller.exchange()

    assert (DiscoveryError, "discovery_failed", 200, False) == outcome.summary
    check_nothing_sent(server, outcome)
    assert 1 == len(server.requests)


ENDPOINTS: dict[str, Callable[[str, WireServer], Any]] = {
    "http": lambda issuer, other: issuer.replace("https", "http") + "oauth/token",
    "another server": lambda issuer, other: other.issuer + "oauth/token",
    "another host": lambda issuer, other: "https://other.example/oauth/token",
    "a look-alike": lambda issuer, other: issuer.replace("localhost", "l\u043ecalhost"),
    "a longer host": lambda issuer, other: issuer.replace(
        "localhost", "localhost.evil"
    ),
    "a user": lambda issuer, other: issuer.replace("//", "//localhost@evil:1/"),
    "no port": lambda issuer, other: "https://localhost/oauth/token",
    "an address": lambda issuer, other: issuer.replace("localhost", "127.0.0.1"),
    "metadata service": lambda issuer, other: "https://169.254.169.254/oauth/token",
    "a fragment": lambda issuer, other: issuer + "oauth/token#fragment",
    "a backslash": lambda issuer, other: issuer.replace("//", "//evil\\@"),
    "relative": lambda issuer, other: "/oauth/token",
    "another scheme": lambda issuer, other: "file:///etc/passwd",
    "missing": lambda issuer, other: ...,
    "a list": lambda issuer, other: [issuer],
    "empty": lambda issuer, other: "",
}


@pytest.mark.parametrize("member", ["token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("name", ENDPOINTS)
def test_endpoint_must_be_on_the_configured_host(
    name: str,
    member: str,
    server: WireServer,
    new_server: Callable[..., WireServer],
    caller: Caller,
) -> None:
    """An endpoint anywhere else than at the configured domain is refused, and not visited."""
    other = new_server()
    server.discovery = Script(
        claims(lambda issuer: {member: ENDPOINTS[name](issuer, other)})
    )
    outcome = caller.exchange()

    assert (DiscoveryError, "discovery_failed", 200, False) == outcome.summary
    check_nothing_sent(server, outcome)
    assert [] == other.wires


FAULTS: dict[str, tuple[Behaviour, type, int | None, bool]] = {
    "404": (has_body(404, *PAGE), DiscoveryError, 404, False),
    "500": (has_body(500, *PAGE), DiscoveryError, 500, True),
    "503": (answers(503, {}), DiscoveryError, 503, True),
    "429": (answers(429, {}), DiscoveryError, 429, True),
    "a page": (has_body(200, *PAGE), DiscoveryError, 200, False),
    "an array": (has_body(200, b"[]"), DiscoveryError, 200, False),
    "nothing": (has_body(200, b""), DiscoveryError, 200, False),
    "204": (says(head(204)), DiscoveryError, 204, False),
    "302": (redirects(302, "https://localhost:1/"), DiscoveryError, 302, False),
    "gzip bomb": (bombs("gzip"), DiscoveryError, 200, False),
    "flood with a length": (floods("length"), DiscoveryError, 200, False),
    "flood in chunks": (floods("chunks"), DiscoveryError, 200, False),
    "reset": (resets, NotSentError, None, True),
    "cut short": (says(head(200, [("Content-Length", "9")])), NotSentError, None, True),
    "half a header": (says(b"HTTP/1.1 200 OK\r\nContent-"), NotSentError, None, True),
}


def fault(name: str) -> Behaviour:
    """Return a fault; what is cut short ends with its connection."""

    def play(wire: Wire, request: WireRequest) -> None:
        FAULTS[name][0](wire, request)
        if name in ("cut short", "half a header"):
            wire.close()

    return play


@pytest.mark.parametrize("name", FAULTS)
def test_metadata_that_cannot_be_had(
    name: str, server: WireServer, caller: Caller
) -> None:
    """Without metadata nothing is sent, and the error says whether it may pass."""
    _, error, status, safe = FAULTS[name]
    code = "discovery_failed" if error is DiscoveryError else "connection_lost"
    server.discovery = Script(fault(name))
    tracemalloc.start()
    outcome = caller.exchange()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (error, code, status, safe) == outcome.summary
    check_nothing_sent(server, outcome)
    assert MOST_MEMORY > peak


def test_failed_metadata_is_not_kept(server: WireServer, caller: Caller) -> None:
    """The call after a failure asks again, and goes on."""
    server.discovery = Script(has_body(404, *PAGE), document)
    first, second = caller.exchange(), caller.exchange()

    assert first.error is not None
    assert second.error is None
    assert 2 == len(server.at(DISCOVERY))


@pytest.mark.parametrize("name", FAULTS)
def test_good_metadata_outlives_a_failing_refresh(
    name: str, server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """Metadata that was good once is used for a day of failures, and asked for anew."""
    clock = Clock()
    caller = new_caller(clock=clock)
    caller.exchange()
    server.discovery = Script(fault(name))
    server.requests.clear()
    errors, asked = [], []
    for later in (HOUR + 1, 20.0, 20.0, DAY):
        clock.now += later
        errors.append(caller.exchange().error)
        caller.rest(0.05)
        asked.append(len(server.at(DISCOVERY)))
        server.requests.clear()

    assert [None, None, None] == errors[:3]
    assert isinstance(errors[3], (DiscoveryError, NotSentError))
    assert [True, False, True, True] == [count > 0 for count in asked]


def test_good_metadata_outlives_metadata_of_another(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """Metadata that names another issuer does not take the place of what was good."""
    clock = Clock()
    caller = new_caller(clock=clock)
    caller.exchange()
    server.discovery = Script(
        claims(lambda issuer: {"issuer": "https://evil.example/"})
    )
    clock.now += HOUR + 1
    outcomes = []
    for _ in range(2):
        outcomes.append(caller.exchange().error)
        caller.rest(0.05)

    assert [None, None] == outcomes
    assert 2 == len(server.at(DISCOVERY))
    assert 3 == len(server.posts)


def test_good_metadata_outlives_silence(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """A refresh that hangs leaves the call the time to use what was good."""
    clock = Clock()
    caller = new_caller(clock=clock, timeout=1.0)
    caller.exchange()
    server.discovery = Script(silence)
    clock.now += HOUR + 1
    outcome = caller.exchange()

    assert outcome.error is None
    assert 2 == len(server.posts)
    assert outcome.seconds < 1.0


@pytest.mark.parametrize(
    ("cache_control", "lasts"),
    [
        ("max-age=0", 3_600.0),
        ("no-store", 3_600.0),
        ("public, max-age=7200", 7_200.0),
        ("max-age=315360000", DAY),
        ("max-age=-1", 3_600.0),
        ("max-age=soon", 3_600.0),
    ],
)
def test_metadata_is_kept_within_bounds(
    cache_control: str,
    lasts: float,
    server: WireServer,
    new_caller: Callable[..., Caller],
) -> None:
    """The server says how long its metadata is good, between an hour and a day."""
    clock = Clock()
    members = metadata(server.issuer)
    server.discovery = Script(answers(200, members, ("Cache-Control", cache_control)))
    caller = new_caller(clock=clock)
    asked = []
    for later in (0.0, lasts - 1, 2.0):
        clock.now += later
        assert caller.exchange().error is None
        caller.rest(0.05)
        asked.append(len(server.at(DISCOVERY)))

    assert [1, 1, 2] == asked
    assert [] == server.at(JWKS)


def test_metadata_is_refreshed_after_the_answer(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """No call waits for metadata that was good once, and the grant has the connection."""
    clock = Clock()
    caller = new_caller(clock=clock)
    caller.exchange()
    clock.now += 3 * HOUR
    for _ in range(2):
        assert caller.exchange().error is None
        caller.rest(0.05)

    asked = [request.path for request in server.requests]
    assert [DISCOVERY, TOKEN, TOKEN, DISCOVERY, TOKEN] == asked
    assert 1 == len(server.wires)


def test_metadata_is_refreshed_after_an_error(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """An endpoint that has moved away fails one call, and the next one goes to the new place."""
    clock = Clock()
    caller = new_caller(clock=clock)
    caller.exchange()
    clock.now += HOUR
    server.token, server.jwks = Script(has_body(404, *PAGE)), Script(grants)
    server.discovery = Script(
        claims(lambda issuer: {"token_endpoint": issuer.removesuffix("/") + JWKS})
    )
    outcomes = []
    for _ in range(2):
        outcomes.append(caller.exchange().error is None)
        caller.rest(0.05)

    assert [False, True] == outcomes
    asked = [(request.method, request.path) for request in server.requests[-3:]]
    assert [("POST", TOKEN), ("GET", DISCOVERY), ("POST", JWKS)] == asked
