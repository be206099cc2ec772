"""The tenant's keys: fetched once, kept through failures, asked for again sparingly."""

from __future__ import annotations

from collections.abc import Generator
from itertools import pairwise
from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Emit, Flow, Postpone, Request, Response, Send, Share
from auth0_tx.core.flows.tenant_documents import load_keys, load_metadata
from auth0_tx.core.jose.keys import KeySet
from auth0_tx.errors import (
    AmbiguousError,
    ClientClosedError,
    CustomTokenExchangeError,
    NotSentError,
    SigningKeyError,
)
from auth0_tx.events import KeysFetched
from tests.core.id_tokens import SIGNING_KEYS, build_jwks_response
from tests.core.vectors_tokens import OTHER_RSA, RSA, build_key_set, to_public_jwk
from tests.core.world import (
    DISCOVERY_URL,
    DOCUMENT,
    DOMAIN,
    JWKS_URI,
    METADATA,
    Clock,
    EffectLog,
    begin_call,
    build_client,
    build_response,
    fail,
    list_kinds,
    play,
)

MINUTE, DAY = 60.0, 86_400.0
DOWN = build_response(b"", 404)
BROKEN = {
    "404": DOWN,
    "500": build_response(b"", 500),
    "HTML": build_response(b"<html>"),
    "redirect": build_response(b"", 302),
    "no-list": build_response({"keys": {}}),
    "no-keys": build_response({}),
    "empty": build_response({"keys": []}),
    "unusable": build_response({"keys": [to_public_jwk(RSA, kid="key-1", use="enc")]}),
    "lost": AmbiguousError("lost"),
    "not-sent": NotSentError("no", retry_safe=True),
    "closed": ClientClosedError("closed"),
}


def find_keys(
    context: Context, key_id: str | None, *replies: Any, clock: Clock | None = None
) -> tuple[KeySet, EffectLog]:
    """Ask for the keys for a token that names *key_id*."""
    deadline = context.monotonic() + 10
    return play(
        load_keys(begin_call(context, deadline), METADATA, key_id),
        *replies,
        clock=clock,
    )


def count_sends(context: Context, key_id: str | None, *replies: Any) -> int:
    """Count the requests sent to find the key *key_id*."""
    return len(find_keys(context, key_id, *replies)[1].requests)


def test_first_use(context: Context) -> None:
    """Keys are fetched once, from where the metadata says, and then known."""
    found, asked = find_keys(context, "key-1", build_jwks_response("key-1", "key-2"))

    assert frozenset({"key-1", "key-2"}) == found.ids
    assert [Share, Send] == list_kinds(asked)
    assert [("GET", JWKS_URI)] == [
        (request.method, request.url) for request in asked.requests
    ]
    assert (found, []) == find_keys(context, "key-2")


def test_token_without_a_key_id(context: Context) -> None:
    """A token that names no key asks for no key that is not there."""
    find_keys(context, None, build_jwks_response("key-1"))

    assert 0 == count_sends(context, None)


def take_share(flow: Generator[Any, Any, Any]) -> Share[Any]:
    """Return the first effect of *flow*, which is to share."""
    share = next(flow)
    assert isinstance(share, Share)
    return share


def test_together(context: Context) -> None:
    """Callers who come at once share one flight, whatever keys they are after."""
    flows = [
        load_keys(begin_call(context, 10.0 + n), METADATA, f"key-{n % 2}")
        for n in range(64)
    ]
    shares = [take_share(flow) for flow in flows]

    assert {("keys", JWKS_URI)} == {share.key for share in shares}
    assert [10.0 + n for n in range(64)] == [share.deadline for share in shares]
    for flow in flows:
        flow.close()


def test_next_flight(context: Context) -> None:
    """Who comes to lead after another flight has landed sends nothing."""
    late = load_keys(begin_call(context, 10.0), METADATA, "key-1")
    share = take_share(late)
    found, _ = find_keys(context, "key-1", build_jwks_response("key-1"))

    assert (found, []) == play(share.flow())
    late.close()


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("", 600.0),
        ("max-age=0", 600.0),
        ("max-age=15", 600.0),
        ("max-age=1200", 1_200.0),
        ("max-age=999999999", DAY),
    ],
)
def test_age(
    context: Context, clock: Clock, cache_control: str, seconds: float
) -> None:
    """Keys are used for ten minutes at least, and not beyond their age."""
    answer = build_jwks_response("key-1", cache_control=cache_control)
    find_keys(context, "key-1", answer)
    clock.wait(seconds * 0.9 - 1)
    assert 0 == count_sends(context, "key-1")
    clock.wait(seconds * 0.1 + 1)
    _, asked = find_keys(context, "key-1", build_jwks_response("key-1"))

    assert [Share, Send] == list_kinds(asked)


@pytest.mark.parametrize("wait", [9 * MINUTE, 10 * MINUTE - 1])
def test_due(context: Context, clock: Clock, wait: float) -> None:
    """Keys whose age is over soon are used still, and refreshed after that, by one call."""
    old, _ = find_keys(context, "key-1", build_jwks_response("key-1"))
    clock.wait(wait)
    used, asked = find_keys(context, "key-1", build_jwks_response("key-1", "key-2"))
    found, again = find_keys(context, "key-2")

    assert used is old
    assert [Postpone, Share, Send] == list_kinds(asked)
    assert (found.has("key-2"), []) == (True, again)


def test_quiet_service(context: Context, clock: Clock) -> None:
    """A service that verifies a token every minute fetches keys seven times an hour."""
    fetches, waits = [], 0
    for _ in range(60):
        _, asked = find_keys(context, "key-1", lambda _: build_jwks_response("key-1"))
        fetches += asked.requests
        waits += Share in list_kinds(asked) and Postpone not in list_kinds(asked)
        clock.wait(60)

    assert (7, 1) == (len(fetches), waits)


def test_new_key_while_due(context: Context, clock: Clock) -> None:
    """A key that is missing in a set that is due is looked for at once, and once."""
    find_keys(context, "key-1", build_jwks_response("key-1"))
    clock.wait(9 * MINUTE)
    _, first = find_keys(context, "key-2", build_jwks_response("key-1"))
    sends = [count_sends(context, "key-2", lambda _: build_jwks_response("key-1"))]
    sends += [count_sends(context, f"made-up-{number}") for number in range(5)]

    assert [Share, Send] == list_kinds(first)
    # The set was fetched as one that is due; from then on the cooldown counts.
    assert [1, 0, 0, 0, 0, 0] == sends


def test_new_key(context: Context) -> None:
    """A key that is not there is looked for once, and found if it is new."""
    find_keys(context, "key-1", build_jwks_response("key-1"))
    found, asked = find_keys(context, "key-2", build_jwks_response("key-1", "key-2"))

    assert found.has("key-2")
    assert [Share, Send] == list_kinds(asked)


def test_unknown_keys(context: Context, clock: Clock) -> None:
    """Ten thousand tokens with keys that exist nowhere cost one fetch in half a minute."""
    find_keys(context, "key-1", build_jwks_response("key-1"))
    fetched_at = []
    for number in range(10_000):
        asked = find_keys(
            context, f"made-up-{number}", lambda request: build_jwks_response("key-1")
        )[1]
        fetched_at += [clock.now] * len(asked.requests)
        clock.wait(0.01)

    assert 4 == len(fetched_at)
    assert all(b - a >= 30 for a, b in pairwise(fetched_at))


def test_cooldown(context: Context, clock: Clock) -> None:
    """Between two fetches for unknown keys there is half a minute, and no more."""
    find_keys(context, "key-1", build_jwks_response("key-1"))
    counted = []
    for seconds in (0, 29, 1, 30, 29):
        clock.wait(seconds)
        counted.append(
            count_sends(
                context, "made-up", lambda request: build_jwks_response("key-1")
            )
        )

    assert [1, 0, 1, 1, 0] == counted


def test_unknown_keys_in_an_outage(context: Context, clock: Clock) -> None:
    """A fetch that fails counts as one, and the old keys stay."""
    find_keys(context, "key-1", build_jwks_response("key-1"))
    fetched_at = []
    for number in range(2_000):
        found, asked = find_keys(context, f"made-up-{number}", lambda request: DOWN)
        assert found.has("key-1")
        fetched_at += [clock.now] * len(asked.requests)
        clock.wait(0.05)

    assert 4 == len(fetched_at)
    assert all(b - a >= 30 for a, b in pairwise(fetched_at))


def test_unknown_key_at_first(context: Context) -> None:
    """The first fetch serves the token that caused it, and is not repeated for it."""
    found, asked = find_keys(context, "made-up", build_jwks_response("key-1"))

    assert not found.has("made-up")
    assert 1 == len(asked.requests)


def doubt_keys(
    context: Context, failed: KeySet, *replies: Any
) -> tuple[KeySet, EffectLog]:
    """Ask for the keys again after a token was not verified by those of *failed*."""
    call = begin_call(context, context.monotonic() + 10)
    return play(load_keys(call, METADATA, "key-1", failed=failed), *replies)


def test_doubt(context: Context, clock: Clock) -> None:
    """Keys that did not verify a token are fetched again, once they are older than 30 s."""
    first, _ = find_keys(context, "key-1", build_jwks_response("key-1"))
    clock.wait(29)
    assert (first, []) == doubt_keys(context, first)
    clock.wait(1)
    newer, asked = doubt_keys(context, first, build_jwks_response("key-1", "key-2"))
    assert newer is not first
    assert [Share, Send] == list_kinds(asked)
    # Whoever else doubts the first is given the newer one; the newer one has its own time.
    assert (newer, []) == doubt_keys(context, first)
    clock.wait(29)
    assert (newer, []) == doubt_keys(context, newer)


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN.keys())
def test_doubt_in_an_outage(context: Context, clock: Clock, reply: Any) -> None:
    """Keys that cannot be fetched again stay, for half a minute without another fetch."""
    first, _ = find_keys(context, "key-1", build_jwks_response("key-1"))
    clock.wait(30)
    kept, asked = doubt_keys(context, first, lambda request: reply)
    clock.wait(29)

    assert kept is first
    assert asked.requests
    assert (first, []) == doubt_keys(context, first)


def test_doubt_and_unknown_keys(context: Context, clock: Clock) -> None:
    """Forged tokens of both kinds cost one fetch in half a minute between them."""
    fetched_at = []
    found, _ = find_keys(context, "key-1", build_jwks_response("key-1"))
    for number in range(10_000):
        # The unknown keys come first by turns, then those that did not verify.
        if number % 7 < 4:
            found, asked = doubt_keys(
                context, found, lambda request: build_jwks_response("key-1")
            )
        else:
            found, asked = find_keys(
                context, "made-up", lambda request: build_jwks_response("key-1")
            )
        fetched_at += [clock.now] * len(asked.requests)
        clock.wait(0.01)

    assert 4 == len(fetched_at)
    assert all(b - a >= 30 for a, b in pairwise(fetched_at))


def test_rotation(context: Context, clock: Clock) -> None:
    """While the signing key flips ten times, every good token finds its key."""
    fetches = 0
    for flip in range(10):
        kid = f"key-{1 + flip % 2}"
        for _ in range(100):
            found, asked = find_keys(
                context, kid, lambda request, kid=kid: build_jwks_response(kid)
            )
            fetches += len(asked.requests)
            assert found.has(kid)
            clock.wait(0.31)

    assert fetches <= 10 + 1


def test_revoked_key(context: Context, clock: Clock) -> None:
    """A key that the tenant takes away is not believed past the age of its set."""
    find_keys(context, "key-1", build_jwks_response("key-1"))
    clock.wait(10 * MINUTE)
    found, _ = find_keys(context, "key-1", build_jwks_response("key-2"))

    assert not found.has("key-1")


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("key_id", ["key-1", "made-up"])
def test_old_keys(context: Context, clock: Clock, key_id: str, reply: Any) -> None:
    """A fetch that fails leaves the old keys, and is not repeated for half a minute."""
    old, _ = find_keys(context, "key-1", build_jwks_response("key-1"))
    clock.wait(10 * MINUTE)
    now, asked = find_keys(context, key_id, lambda request: reply)
    clock.wait(29)

    assert old is now
    assert asked.requests
    assert (old, []) == find_keys(context, key_id)


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN.keys())
def test_oldest_keys(context: Context, clock: Clock, reply: Any) -> None:
    """Keys that could not be renewed for a day are not believed."""
    find_keys(context, "key-1", build_jwks_response("key-1"))
    clock.wait(DAY - 30)
    assert find_keys(context, "key-1", lambda request: reply)[0].has("key-1")
    clock.wait(30)
    error, _ = fail(
        load_keys(begin_call(context, clock.now + 10), METADATA, "key-1"),
        lambda request: reply,
    )

    assert isinstance(error, SigningKeyError)


def test_keys_come_back(context: Context, clock: Clock) -> None:
    """After an outage the keys are fetched again, and are as fresh as any."""
    find_keys(context, "key-1", build_jwks_response("key-1"))
    clock.wait(10 * MINUTE)
    find_keys(context, "key-1", DOWN)
    clock.wait(30)

    assert 1 == count_sends(context, "key-1", build_jwks_response("key-1"))
    clock.wait(9 * MINUTE - 1)
    assert 0 == count_sends(context, "key-1")


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN.keys())
def test_no_keys(context: Context, reply: Response | CustomTokenExchangeError) -> None:
    """Without keys a token cannot be verified, and that is all that is said."""
    flow = load_keys(begin_call(context, context.monotonic() + 10), METADATA, "key-1")
    error, _ = fail(flow, lambda request: reply)

    assert SigningKeyError is type(error)
    assert ("verify", False) == (error.phase, error.retry_safe)


@pytest.mark.parametrize(
    "failure", [NotSentError("late", retry_safe=True), ClientClosedError("closed")]
)
def test_flight_that_ends_otherwise(
    context: Context, failure: CustomTokenExchangeError
) -> None:
    """However a shared fetch ends for one who waits, it is trouble with the keys."""
    flow = load_keys(begin_call(context, context.monotonic() + 10), METADATA, "key-1")
    next(flow)

    with pytest.raises(SigningKeyError, match="cannot be fetched"):
        flow.throw(failure)


def test_waiting_time(context: Context) -> None:
    """The wait that the tenant asked for is passed on."""
    flow = load_keys(begin_call(context, context.monotonic() + 10), METADATA, "key-1")
    error, _ = fail(flow, build_response(b"", 429, retry_after="9"))

    assert (429, 9.0) == (error.status, error.retry_after)


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [None, 5, "key", [], {}],
        [
            {"kty": "RSA"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            {"kty": "oct", "k": "c2Vj"},
        ],
        [to_public_jwk(RSA, kid="key-1", use="enc")],
    ],
    ids=["empty", "not-keys", "weak", "for-encryption"],
)
def test_unusable_keys(context: Context, entries: list[Any]) -> None:
    """A set of which no key can be used is not a set of keys."""
    flow = load_keys(begin_call(context, context.monotonic() + 10), METADATA, "key-1")
    error, _ = fail(flow, build_response({"keys": entries}))

    assert SigningKeyError is type(error)
    assert "no usable key" in error.message


def test_one_bad_key_among_good(context: Context) -> None:
    """A malformed key does not spoil the others."""
    document = build_key_set(
        {"kty": "RSA", "kid": "bad", "n": "!"}, to_public_jwk(RSA, kid="key-1")
    )

    assert (
        frozenset({"key-1"})
        == find_keys(context, "key-1", build_response(document))[0].ids
    )


def test_a_thousand_keys(context: Context) -> None:
    """A set of a thousand keys is cut, and costs no more memory than a hundred."""
    entries = [to_public_jwk(OTHER_RSA, kid=f"key-{number}") for number in range(1_000)]

    assert 100 == len(find_keys(context, "key-1", build_response({"keys": entries}))[0])


def test_told(clock: Clock) -> None:
    """The subscriber is told of each fetch, how long it took, and how it ended."""
    context = build_client(clock, on_event=print)

    def respond_slowly(request: Request) -> Response:
        clock.wait(2)
        return build_jwks_response(*SIGNING_KEYS)

    good = find_keys(context, "key-1", respond_slowly)[1]
    clock.wait(10 * MINUTE)
    bad = find_keys(context, "key-1", DOWN)[1]

    assert [Share, Send, Emit] == list_kinds(good)
    assert [KeysFetched(domain=DOMAIN, seconds=2.0)] == good.events
    assert [
        KeysFetched(domain=DOMAIN, seconds=0.0, code="discovery_failed")
    ] == bad.events


def test_failed_refresh_and_a_key_that_was_taken_back(
    context: Context, clock: Clock
) -> None:
    """A refresh that fails before its time prolongs no key beyond the age of its set."""
    find_keys(context, "key-1", build_jwks_response("key-1"))
    clock.wait(10 * MINUTE - 5)
    used, _ = find_keys(context, "key-1", AmbiguousError("slower than a second"))
    clock.wait(5)
    found, asked = find_keys(context, "key-1", build_jwks_response("key-2"))

    assert used.has("key-1")
    assert not found.has("key-1")
    assert [Share, Send] == list_kinds(asked)


def test_refreshes_of_one_call(clock: Clock) -> None:
    """A call that finds both documents due waits for a second in all, and not for each."""
    context = build_client(clock, knows_metadata=False)
    answers = {
        DISCOVERY_URL: build_response(DOCUMENT),
        JWKS_URI: build_jwks_response("key-1", cache_control="max-age=4000"),
    }

    def use_both() -> Flow[KeySet]:
        call = begin_call(context, context.monotonic() + 10)
        metadata = yield from load_metadata(call, DOMAIN)
        return (yield from load_keys(call, metadata, None))

    def serve(request: Request) -> Response:
        return answers[request.url]

    def hang(request: Request) -> Exception:
        clock.wait(1.0 if request.url == DISCOVERY_URL else 0.0)
        return AmbiguousError("no answer")

    play(use_both(), serve)
    clock.wait(3_700)
    started = clock()
    _, asked = play(use_both(), hang)

    ends = [effect.deadline for effect in asked if isinstance(effect, Send)]
    assert [started + 1.0] == ends
    clock.wait(30)
    _, again = play(use_both(), serve)
    assert [DISCOVERY_URL, JWKS_URI] == [request.url for request in again.requests]
