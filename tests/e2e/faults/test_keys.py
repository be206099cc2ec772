"""Signing keys that cannot be had: the tokens stay, and only the actor is not told."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from attrs import define

from auth0_tx import IdTokenError, SigningKeyError
from tests.e2e.faults.callers import SUBJECT, Caller, Outcome
from tests.e2e.faults.fault_cases import check_silent
from tests.e2e.faults.wire_behaviours import (
    answers,
    bombs,
    drips_body,
    floods,
    has_body,
    metadata,
    redirects,
    resets,
    says,
    silence,
)
from tests.e2e.faults.wire_http import WireRequest, head
from tests.e2e.faults.wire_keys import (
    ACTOR,
    ACTOR_OPTIONS,
    Signer,
    names_actor,
    publishes,
)
from tests.e2e.faults.wire_server import (
    JWKS,
    TOKEN,
    Behaviour,
    Script,
    Wire,
    WireServer,
)

MOST_MEMORY = 4 * 1024 * 1024
PAGE = b"<html></html>", "text/html"
COOLDOWN, MAX_AGE, DAY = 30.0, 600.0, 86_400.0


@define
class Clock:
    """A clock that stands still until it is moved."""

    now: float

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def signers() -> list[Signer]:
    """Three keys; the third is nobody's, under the identifier of the first."""
    return [Signer("first"), Signer("second"), Signer("first")]


@pytest.fixture
def clock() -> Clock:
    """A clock that starts at the present."""
    return Clock(time.time())


def check_kept(outcome: Outcome, error: type[IdTokenError]) -> None:
    """Assert that the tokens came, and that only the actor is not told."""
    assert outcome.error is None
    assert outcome.tokens is not None
    assert f"for-{SUBJECT}" == outcome.access_token
    assert outcome.tokens.act is None
    assert error is type(outcome.tokens.act_error)
    assert outcome.tokens.act_error is not None
    assert outcome.tokens.act_error.tokens_issued is True
    check_silent(outcome.tokens.act_error)


FAULTS: dict[str, tuple[Behaviour, int]] = {
    "404": (has_body(404, *PAGE), 1),
    "500": (has_body(500, *PAGE), 3),
    "429": (answers(429, {}), 3),
    "a page": (has_body(200, *PAGE), 2),
    "an array": (has_body(200, b"[]"), 2),
    "302": (redirects(302, "https://localhost:1/"), 1),
    "gzip bomb": (bombs("gzip"), 2),
    "flood with a length": (floods("length"), 2),
    "flood in chunks": (floods("chunks"), 2),
    "reset": (resets, 3),
    "cut short": (says(head(200, [("Content-Length", "9")])), 3),
}


def fault(name: str) -> Behaviour:
    """Return a fault; what is cut short ends with its connection."""

    def play(wire: Wire, request: WireRequest) -> None:
        FAULTS[name][0](wire, request)
        if name == "cut short":
            wire.close()

    return play


@pytest.mark.parametrize("name", FAULTS)
def test_keys_that_cannot_be_had_lose_no_token(
    name: str, server: WireServer, caller: Caller, signers: list[Signer]
) -> None:
    """Whatever becomes of the keys, the tokens that were issued are returned."""
    server.token, server.jwks = Script(names_actor(signers[0])), Script(fault(name))
    tracemalloc.start()
    outcome = caller.exchange(**ACTOR_OPTIONS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    check_kept(outcome, SigningKeyError)
    assert FAULTS[name][1] == len(server.at(JWKS))
    assert 1 == len(server.posts)
    assert MOST_MEMORY > peak


@pytest.mark.parametrize("name", FAULTS)
def test_keys_are_asked_for_again(
    name: str, server: WireServer, caller: Caller, signers: list[Signer]
) -> None:
    """The call after a failure asks for the keys again, and tells the actor."""
    script = [fault(name)] * FAULTS[name][1]
    server.token = Script(names_actor(signers[0]))
    server.jwks = Script(*script, publishes(signers[0]))
    first = caller.exchange(**ACTOR_OPTIONS)
    second = caller.exchange(**ACTOR_OPTIONS)

    check_kept(first, SigningKeyError)
    assert second.tokens is not None
    assert ACTOR == second.tokens.act
    assert second.tokens.act_error is None


@pytest.mark.parametrize(
    "slow", [silence, drips_body(0.05)], ids=["silent", "dripping"]
)
def test_keys_that_take_their_time_lose_no_token(
    slow: Behaviour,
    server: WireServer,
    new_caller: Callable[..., Caller],
    signers: list[Signer],
) -> None:
    """Several callers who wait for the same keys get their tokens at the deadline."""
    server.token, server.jwks = Script(names_actor(signers[0])), Script(slow)
    outcomes = new_caller(timeout=1.5).exchange_at_once(4, **ACTOR_OPTIONS)

    assert 4 == len(outcomes)
    for outcome in outcomes:
        check_kept(outcome, SigningKeyError)
        assert outcome.seconds <= 2.5
    # Those who waited in vain may share one more try.
    assert len(server.at(JWKS)) <= 2


KEY_SETS: dict[str, Any] = {
    "no member": {},
    "null": {"keys": None},
    "not a list": {"keys": {"kid": "first"}},
    "not objects": {"keys": [None, 1, "first", []]},
    "empty": {"keys": []},
    "no key in them": {"keys": [{"kid": "first", "kty": "RSA", "alg": "RS256"}]},
    "a symmetric key": {"keys": [{"kid": "first", "kty": "oct", "k": "c2VjcmV0"}]},
}


@pytest.mark.parametrize("name", KEY_SETS)
def test_key_set_without_a_fitting_key(
    name: str, server: WireServer, caller: Caller, signers: list[Signer]
) -> None:
    """A key set that holds no key for the ID token costs the actor and nothing else."""
    server.token = Script(names_actor(signers[0]))
    server.jwks = Script(answers(200, KEY_SETS[name]))
    outcome = caller.exchange(**ACTOR_OPTIONS)

    check_kept(outcome, SigningKeyError)
    assert 1 == len(server.posts)


def test_malformed_keys_among_good_ones_are_passed_over(
    server: WireServer, caller: Caller, signers: list[Signer]
) -> None:
    """One good key is enough, whatever stands beside it."""
    junk = [None, {"kty": "RSA"}, {"kty": "RSA", "kid": "x", "n": "!", "e": 3}, "key"]
    server.token = Script(names_actor(signers[0]))
    server.jwks = Script(answers(200, {"keys": [*junk, signers[0].jwk, *junk]}))
    outcome = caller.exchange(**ACTOR_OPTIONS)

    assert outcome.tokens is not None
    assert ACTOR == outcome.tokens.act


def test_rotated_key_is_fetched_once(
    server: WireServer, caller: Caller, signers: list[Signer]
) -> None:
    """A token signed with a new key brings one fetch, and is verified by it."""
    first, second, _ = signers
    server.token = Script(names_actor(first, first, second))
    server.jwks = Script(publishes(first), publishes(first, second))
    acts = [caller.exchange(**ACTOR_OPTIONS).tokens for _ in range(4)]

    assert [ACTOR] * 4 == [tokens.act for tokens in acts if tokens is not None]
    assert 2 == len(server.at(JWKS))


def test_unknown_key_is_asked_for_once_in_a_while(
    server: WireServer,
    new_caller: Callable[..., Caller],
    signers: list[Signer],
    clock: Clock,
) -> None:
    """Tokens of a key that is not published bring one fetch in thirty seconds."""
    first, second, _ = signers
    server.token = Script(names_actor(first, second, now=clock.now))
    server.jwks = Script(publishes(first))
    caller = new_caller(clock=clock)
    caller.exchange(**ACTOR_OPTIONS)
    asked = []
    for later in (0.0, 0.0, COOLDOWN - 1, 2.0, 0.0):
        clock.now += later
        check_kept(caller.exchange(**ACTOR_OPTIONS), SigningKeyError)
        asked.append(len(server.at(JWKS)))

    assert [2, 2, 2, 3, 3] == asked


def test_many_unknown_keys_are_asked_for_once(
    server: WireServer,
    new_caller: Callable[..., Caller],
    signers: list[Signer],
    clock: Clock,
) -> None:
    """A crowd of tokens, each of a key of its own that is nowhere, brings one fetch."""
    first, second, _ = signers
    unknown = [second.under(f"nowhere-{number}") for number in range(200)]
    server.token = Script(names_actor(first, *unknown, first, now=clock.now))
    server.jwks = Script(publishes(first))
    caller = new_caller(clock=clock)
    caller.exchange(**ACTOR_OPTIONS)
    outcomes = [caller.exchange(**ACTOR_OPTIONS) for _ in unknown]
    known = caller.exchange(**ACTOR_OPTIONS).tokens

    assert {SigningKeyError} == {
        type(outcome.tokens.act_error) for outcome in outcomes if outcome.tokens
    }
    assert 2 == len(server.at(JWKS))
    assert known is not None
    assert ACTOR == known.act


@pytest.mark.parametrize("name", FAULTS)
def test_failing_fetch_for_an_unknown_key_leaves_the_good_ones(
    name: str,
    server: WireServer,
    new_caller: Callable[..., Caller],
    signers: list[Signer],
    clock: Clock,
) -> None:
    """A key that cannot be looked for takes none of the known ones along."""
    first, second, _ = signers
    server.token = Script(names_actor(first, second, first, second, now=clock.now))
    server.jwks = Script(publishes(first), fault(name))
    caller = new_caller(clock=clock)
    tokens = [caller.exchange(**ACTOR_OPTIONS).tokens for _ in range(4)]

    assert [ACTOR, None, ACTOR, None] == [
        response.act for response in tokens if response
    ]
    # The second unknown one is within half a minute of the first.
    assert 1 + FAULTS[name][1] == len(server.at(JWKS))


def test_key_that_was_taken_away_is_not_believed(
    server: WireServer,
    new_caller: Callable[..., Caller],
    signers: list[Signer],
    clock: Clock,
) -> None:
    """A key that the tenant no longer publishes is good until the set's age, not longer."""
    first, second, _ = signers
    server.token = Script(names_actor(first, now=clock.now))
    server.jwks = Script(publishes(first, second), publishes(second))
    caller = new_caller(clock=clock)
    acts = []
    for later in (0.0, MAX_AGE - 1, 2.0):
        clock.now += later
        tokens = caller.exchange(**ACTOR_OPTIONS).tokens
        assert tokens is not None
        acts.append(tokens.act)

    assert [ACTOR, ACTOR, None] == acts
    assert isinstance(tokens.act_error, SigningKeyError)


@pytest.mark.parametrize(
    ("cache_control", "lasts"),
    [
        ("max-age=0", MAX_AGE),
        ("no-store", MAX_AGE),
        ("max-age=1200", 2 * MAX_AGE),
        ("max-age=315360000", DAY),
    ],
)
def test_keys_are_kept_within_bounds(
    cache_control: str,
    lasts: float,
    server: WireServer,
    new_caller: Callable[..., Caller],
    signers: list[Signer],
    clock: Clock,
) -> None:
    """The server says how long its keys are good, between ten minutes and a day."""
    members = {"keys": [signers[0].jwk]}
    server.discovery = Script(
        answers(200, metadata(server.issuer), ("Cache-Control", "max-age=86400"))
    )
    server.jwks = Script(answers(200, members, ("Cache-Control", cache_control)))
    server.token = Script(names_actor(signers[0], now=clock.now))
    caller = new_caller(clock=clock)
    asked = []
    for later in (0.0, lasts * 0.9 - 1, lasts * 0.1 + 2):
        clock.now += later
        assert caller.exchange(**ACTOR_OPTIONS).error is None
        asked.append(len(server.at(JWKS)))

    assert [1, 1, 2] == asked


def test_keys_are_refreshed_after_the_answer(
    server: WireServer,
    new_caller: Callable[..., Caller],
    signers: list[Signer],
    clock: Clock,
) -> None:
    """Keys that are due verify once more, and the next call finds those that came since."""
    first, second, _ = signers
    server.token = Script(names_actor(first, first, second, now=clock.now))
    server.jwks = Script(publishes(first), publishes(first, second))
    caller = new_caller(clock=clock)
    caller.exchange(**ACTOR_OPTIONS)
    clock.now += MAX_AGE * 0.9
    acts = []
    for _ in range(2):
        outcome = caller.exchange(**ACTOR_OPTIONS)
        caller.rest(0.1)
        assert outcome.tokens is not None
        acts.append(outcome.tokens.act)

    assert [ACTOR, ACTOR] == acts
    asked = [request.path for request in server.requests[-3:]]
    assert [TOKEN, JWKS, TOKEN] == asked
    assert 1 == len(server.wires)


def test_key_among_a_thousand(
    server: WireServer, caller: Caller, signers: list[Signer]
) -> None:
    """A set of a thousand keys is read as far as any tenant's goes, without harm."""
    first, second, third = signers
    crowd = [second.under(f"other-{number}") for number in range(999)]
    server.token = Script(names_actor(first, third.under("last")))
    server.jwks = Script(publishes(first, *crowd, third.under("last")))
    outcomes = [caller.exchange(**ACTOR_OPTIONS) for _ in range(2)]

    assert outcomes[0].tokens is not None
    assert ACTOR == outcomes[0].tokens.act
    check_kept(outcomes[1], SigningKeyError)


def test_forged_token_is_not_believed(
    server: WireServer, caller: Caller, signers: list[Signer]
) -> None:
    """A token of another key under a published identifier brings no actor, and no fetch."""
    first, _, forger = signers
    server.token = Script(names_actor(first, forger))
    server.jwks = Script(publishes(first))
    caller.exchange(**ACTOR_OPTIONS)
    outcome = caller.exchange(**ACTOR_OPTIONS)

    check_kept(outcome, IdTokenError)
    assert 1 == len(server.at(JWKS))


@pytest.mark.parametrize("name", FAULTS)
def test_good_keys_outlive_a_failing_refresh(
    name: str,
    server: WireServer,
    new_caller: Callable[..., Caller],
    signers: list[Signer],
    clock: Clock,
) -> None:
    """Keys that were good once verify for a day of failures, and no longer."""
    server.token = Script(names_actor(signers[0], now=clock.now))
    server.jwks = Script(publishes(signers[0]), fault(name))
    caller = new_caller(clock=clock)
    caller.exchange(**ACTOR_OPTIONS)
    acts = []
    for later in (MAX_AGE + 1, 20.0, COOLDOWN, DAY):
        clock.now += later
        outcome = caller.exchange(**ACTOR_OPTIONS)
        assert outcome.tokens is not None
        acts.append(outcome.tokens.act)

    assert [ACTOR, ACTOR, ACTOR, None] == acts
