"""Which tenant a call is for, and how often its metadata is asked for."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import (
    Emit,
    Invoke,
    Postpone,
    Request,
    Response,
    Send,
    Share,
)
from auth0_tx.core.flows.tenant_documents import load_metadata, resolve_domain
from auth0_tx.errors import DiscoveryError, InvalidInputError, NotSentError
from auth0_tx.events import MetadataFetched
from tests.core.world import (
    DISCOVERY_URL,
    DOCUMENT,
    DOMAIN,
    METADATA,
    NOW,
    Clock,
    EffectLog,
    begin_call,
    build_client,
    build_response,
    fail,
    list_kinds,
    play,
)

HOUR, DAY = 3_600.0, 86_400.0
GOOD = build_response(DOCUMENT)
DOWN = build_response(b"", 404)


def find_metadata(context: Context, *replies: Any) -> EffectLog:
    """Load the tenant's metadata, which must be right; return the effects."""
    found, asked = play(
        load_metadata(begin_call(context, context.monotonic() + 10), DOMAIN), *replies
    )
    assert METADATA == found
    return asked


def test_first_use(cold: Context) -> None:
    """Metadata is fetched once for all who ask together, and then known."""
    first, second = find_metadata(cold, GOOD), find_metadata(cold)

    assert [Share, Send] == list_kinds(first)
    assert [DISCOVERY_URL] == [request.url for request in first.requests]
    assert [] == second


def take_share(flow: Generator[Any, Any, Any]) -> Share[Any]:
    """Return the first effect of *flow*, which is to share."""
    share = next(flow)
    assert isinstance(share, Share)
    return share


def test_together(cold: Context) -> None:
    """Callers who come at once share one flight, whose deadline is each one's own."""
    flows = [
        load_metadata(begin_call(cold, 10.0 + number), DOMAIN) for number in range(64)
    ]
    shares = [take_share(flow) for flow in flows]

    assert {("metadata", DOMAIN)} == {share.key for share in shares}
    assert [10.0 + number for number in range(64)] == [
        share.deadline for share in shares
    ]
    assert ("metadata", "b.auth0.com") == take_share(
        load_metadata(begin_call(cold, 1.0), "b.auth0.com")
    ).key
    for flow in flows:
        flow.close()


def test_next_flight(cold: Context) -> None:
    """Who comes to lead after another flight has landed sends nothing."""
    late = load_metadata(begin_call(cold, 10.0), DOMAIN)
    share = take_share(late)
    find_metadata(cold, GOOD)

    assert (METADATA, []) == play(share.flow())
    late.close()


AFTERWARDS = [Postpone, Share, Send]
"""The effects of a refresh that the call does not wait for."""


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("", HOUR),
        ("max-age=0", HOUR),
        ("max-age=15", HOUR),
        ("max-age=7200", 2 * HOUR),
    ],
)
def test_age(cold: Context, clock: Clock, cache_control: str, seconds: float) -> None:
    """Metadata is used for an hour at least; then it is used still, and refreshed after that."""
    find_metadata(cold, build_response(DOCUMENT, cache_control=cache_control))
    clock.wait(seconds - 1)
    assert [] == find_metadata(cold)
    clock.wait(1)

    assert AFTERWARDS == list_kinds(find_metadata(cold, GOOD))
    assert [] == find_metadata(cold)


@pytest.mark.parametrize("cache_control", ["", "max-age=315360000"])
def test_longest_age(cold: Context, clock: Clock, cache_control: str) -> None:
    """Metadata that is a day old is not used before it is fetched again."""
    find_metadata(cold, build_response(DOCUMENT, cache_control=cache_control))
    clock.wait(DAY)

    assert [Share, Send] == list_kinds(find_metadata(cold, GOOD))


def test_quiet_service(cold: Context, clock: Clock) -> None:
    """A service that calls every minute fetches metadata twice in its first hour."""
    fetches = []
    for _ in range(61):
        fetches += find_metadata(cold, lambda request: GOOD).requests
        clock.wait(60)

    assert 2 == len(fetches)


def postpone(context: Context) -> tuple[Postpone, Generator[Any, Any, Any]]:
    """Load metadata that is due; return the refresh, which has not begun."""
    flow = load_metadata(begin_call(context, context.monotonic() + 60), DOMAIN)
    effect = next(flow)
    assert isinstance(effect, Postpone)
    return effect, flow


def test_due_for_many(cold: Context, clock: Clock) -> None:
    """Of those who use metadata that is due, one refreshes it; if it dies, another one does."""
    find_metadata(cold, GOOD)
    clock.wait(HOUR)
    _, first = postpone(cold)
    others = [find_metadata(cold) for _ in range(5)]
    clock.wait(30)
    second = find_metadata(cold, GOOD)
    first.close()

    assert [[]] * 5 == others
    assert AFTERWARDS == list_kinds(second)


def test_due_for_two_threads(clock: Clock) -> None:
    """Of two threads that find metadata due at the same moment, one refreshes it."""
    others: list[Postpone] = []
    runs_another = iter([True])

    def read_clock() -> float:
        # It is the other thread's turn between this one's two looks: for the document, and
        # for the time.
        if clock.now >= NOW + HOUR and next(runs_another, False):
            effect, _ = postpone(cold)
            others.append(effect)
        return clock()

    cold = build_client(read_clock, clock, knows_metadata=False)
    find_metadata(cold, GOOD)
    call = begin_call(cold, clock() + 10)
    clock.wait(HOUR)
    found, asked = play(load_metadata(call, DOMAIN))

    assert METADATA == found
    assert [] == asked
    assert 1 == len(others)


def test_refreshed_meanwhile(cold: Context, clock: Clock) -> None:
    """A refresh that another call was quicker with is not made again."""
    find_metadata(cold, GOOD)
    clock.wait(HOUR)
    effect, flow = postpone(cold)
    clock.wait(30)
    find_metadata(cold, GOOD)
    _, asked = play(effect.flow())
    flow.close()

    assert [Share] == list_kinds(asked)


def test_clock_set_back(cold: Context, clock: Clock) -> None:
    """A clock that is set back makes what was fetched in the future stale."""
    find_metadata(cold, GOOD)
    clock.wait(-DAY)

    assert [Share, Send] == list_kinds(find_metadata(cold, GOOD))


BROKEN = {
    "404": DOWN,
    "HTML": build_response(b"<html>"),
    "redirect": build_response(b"", 302, location="https://evil.com"),
    "other-issuer": build_response({**DOCUMENT, "issuer": "https://evil.com/"}),
    "no-issuer": build_response(
        {name: DOCUMENT[name] for name in DOCUMENT if name != "issuer"}
    ),
    "endpoint-elsewhere": build_response(
        {**DOCUMENT, "token_endpoint": "https://evil.com/x"}
    ),
    "keys-over-http": build_response(
        {**DOCUMENT, "jwks_uri": DOCUMENT["jwks_uri"].replace("https", "http")}
    ),
}


@pytest.mark.parametrize("response", BROKEN.values(), ids=BROKEN.keys())
def test_untrusted(cold: Context, response: Response) -> None:
    """Metadata that cannot be trusted fails discovery, and is not kept."""
    flow = load_metadata(begin_call(cold, cold.monotonic() + 10), DOMAIN)
    error, _ = fail(flow, lambda request: response)

    assert DiscoveryError is type(error)
    assert ("discover", response.status, False) == (
        error.phase,
        error.status,
        error.tokens_issued,
    )
    assert "evil" not in str(error)
    assert [Share, Send] == list_kinds(find_metadata(cold, GOOD))


@pytest.mark.parametrize("response", BROKEN.values(), ids=BROKEN.keys())
def test_old_copy(cold: Context, clock: Clock, response: Response) -> None:
    """While fresh metadata cannot be had, what was good is used, and asked for sparingly."""
    find_metadata(cold, GOOD)
    clock.wait(HOUR)
    first = find_metadata(cold, lambda request: response)
    clock.wait(29)
    second = find_metadata(cold)
    clock.wait(1)
    third = find_metadata(cold, lambda request: response)

    assert first.requests
    assert [] == second
    assert third.requests


def test_oldest_copy(cold: Context, clock: Clock) -> None:
    """Metadata that could not be renewed for a day is not used."""
    find_metadata(cold, GOOD)
    clock.wait(DAY - 30)
    assert find_metadata(cold, DOWN).requests
    clock.wait(30)
    error, _ = fail(load_metadata(begin_call(cold, clock.now + 10), DOMAIN), DOWN)

    assert isinstance(error, DiscoveryError)


@pytest.mark.parametrize(
    ("left", "first", "refresh"),
    [(10.0, [5.0], [1.0]), (1.0, [1.0], [0.5]), (-1.0, [-1.0], [])],
)
def test_refresh_is_short(
    cold: Context, clock: Clock, left: float, first: list[float], refresh: list[float]
) -> None:
    """A refresh takes a second at most, and half of the call's time: a thread waits for it."""
    seconds = []
    for replies in (first, refresh):
        flow = load_metadata(begin_call(cold, clock.now + left), DOMAIN)
        _, asked = play(flow, *[GOOD for _ in replies])
        seconds.append(
            [effect.deadline - clock.now for effect in asked if type(effect) is Send]
        )
        clock.wait(HOUR)

    assert [first, refresh] == seconds


def test_refresh_is_sent_once(cold: Context, clock: Clock) -> None:
    """A refresh that fails is not tried again for the same call, nor for half a minute."""
    find_metadata(cold, GOOD)
    clock.wait(HOUR)
    asked = find_metadata(cold, lambda request: NotSentError("no", retry_safe=True))
    clock.wait(29)
    again = find_metadata(cold)

    assert AFTERWARDS == list_kinds(asked)
    assert [] == again


def test_refresh_that_gets_no_turn(cold: Context, clock: Clock) -> None:
    """A refresh that waits for another one in vain leaves what there was."""
    find_metadata(cold, GOOD)
    clock.wait(HOUR)
    effect, flow = postpone(cold)
    refresh = effect.flow()
    assert isinstance(next(refresh), Share)
    with pytest.raises(StopIteration):
        refresh.throw(NotSentError("another call was still fetching"))
    flow.close()

    assert [] == find_metadata(cold)


def test_unreachable(cold: Context, clock: Clock) -> None:
    """A tenant that cannot be reached is that, and safe to try again."""
    flow = load_metadata(begin_call(cold, clock.now + 10), DOMAIN)
    error, _ = fail(flow, lambda request: NotSentError("no", retry_safe=True))

    assert NotSentError is type(error)
    assert ("discover", True) == (error.phase, error.retry_safe)


def test_told(clock: Clock) -> None:
    """The subscriber is told of each fetch, how long it took, and how it ended."""
    context = build_client(clock, knows_metadata=False, on_event=print)

    def respond_slowly(request: Request) -> Response:
        clock.wait(2)
        return GOOD if request.url == DISCOVERY_URL else DOWN

    good = find_metadata(context, respond_slowly)
    clock.wait(HOUR)
    bad = find_metadata(context, DOWN)

    assert [Share, Send, Emit] == list_kinds(good)
    assert [*AFTERWARDS, Emit] == list_kinds(bad)
    assert [MetadataFetched(domain=DOMAIN, seconds=2.0)] == good.events
    assert [
        MetadataFetched(domain=DOMAIN, seconds=0.0, code="discovery_failed")
    ] == bad.events


def test_configured_domain(context: Context) -> None:
    """A client with a domain asks nobody for it."""
    assert (DOMAIN, []) == play(
        resolve_domain(context.begin_call({"request": object()}))
    )


def test_resolved_domain(clock: Clock) -> None:
    """A resolver is given the call's store options, and its answer is normalised."""
    tenants = {"acme": "HTTPS://Acme.us.auth0.com/"}
    context = build_client(clock, domain=lambda found: tenants[found["tenant"]])
    domain, asked = play(resolve_domain(context.begin_call({"tenant": "acme"})))

    assert "acme.us.auth0.com" == domain
    assert [Invoke] == list_kinds(asked)


@pytest.mark.parametrize(
    "domain",
    [
        None,
        5,
        b"x",
        "",
        "localhost:3443",
        "http://127.0.0.1:80",
        "[::1]:1",
        "169.254.169.254",
        "evil.com#tenant.us.auth0.com",
        "needle\r\n.com",
    ],
    ids=repr,
)
def test_resolved_domain_refused(clock: Clock, domain: Any) -> None:
    """A resolver must return a public name, and never the machine itself."""
    error, asked = fail(
        resolve_domain(
            build_client(clock, domain=lambda found: domain).begin_call(None)
        )
    )

    assert isinstance(error, InvalidInputError)
    assert ("domain", [Invoke]) == (error.parameter, list_kinds(asked))
    assert "needle" not in str(error)


def test_resolver_that_fails(clock: Clock) -> None:
    """An error of the resolver is the application's, and passes through."""
    with pytest.raises(KeyError):
        play(
            resolve_domain(
                build_client(clock, domain=lambda found: {}[found]).begin_call(None)
            )
        )


def test_tenants_apart(clock: Clock) -> None:
    """Each domain has metadata of its own."""
    context = build_client(clock, domain=str)

    def serve(request: Request) -> Response:
        issuer = request.url.removesuffix(".well-known/openid-configuration")
        return build_response(
            {"issuer": issuer, "token_endpoint": f"{issuer}t", "jwks_uri": f"{issuer}k"}
        )

    found = [
        play(load_metadata(begin_call(context, clock.now + 10), domain), serve)[
            0
        ].token_endpoint
        for domain in ("a.auth0.com", "b.auth0.com", "a.auth0.com")
    ]

    assert [
        "https://a.auth0.com/t",
        "https://b.auth0.com/t",
        "https://a.auth0.com/t",
    ] == found
