"""The sessions of a user: each can be found from its login on, bounded and ended."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.flows.login import login_with_custom_token_exchange
from auth0_tx.core.flows.logout import end_sessions, handle_backchannel_logout, logout
from auth0_tx.core.session.cookies import CookieStore
from auth0_tx.errors import ConfigurationError, InvalidInputError, StoreError
from auth0_tx.values import SessionPolicy
from tests.core.browser import (
    COOKIE,
    SECRET,
    Browser,
    PaperStore,
    build_login_options,
    build_session_client,
    build_token_response,
    log_in,
    read_session,
)
from tests.core.faulty_store import FaultyStore, When
from tests.core.flows.test_backchannel_logout import sign_logout_token
from tests.core.id_tokens import build_jwks_response
from tests.core.world import (
    DOMAIN,
    METADATA,
    SECRETS,
    CachedDocument,
    Clock,
    build_client,
    fail,
    play,
    start,
)


@pytest.fixture
def store(clock: Clock) -> PaperStore:
    """A store with nothing in it."""
    return PaperStore(clock)


@pytest.fixture
def context(clock: Clock, store: PaperStore) -> Context:
    """A client that keeps sessions in a store."""
    return build_session_client(clock, state_store=store)


def open_browser(context: Context, **claims: Any) -> Browser:
    """Return a browser that is logged in."""
    browser = Browser()
    log_in(context, browser, **claims)
    return browser


def list_living(context: Context, *browsers: Browser) -> list[bool]:
    """Return which of the browsers are logged in."""
    return [read_session(context, browser) is not None for browser in browsers]


# Logging out everywhere.


def test_everywhere(context: Context, store: PaperStore) -> None:
    """All sessions of one user end, whatever their ``sid``, and nobody else's."""
    theirs = [
        open_browser(context),
        open_browser(context, sid="s-1"),
        open_browser(context, sid=7),
    ]
    other = open_browser(context, sub="auth0|other", sid="s-1")
    count, asked = play(end_sessions(context, sub="auth0|user"))

    assert 3 == count
    assert [] == asked.requests
    assert [False, False, False, True] == list_living(context, *theirs, other)
    assert 0 == play(end_sessions(context, sub="auth0|user"))[0]
    assert 1 == len(store.list_sessions())


def test_ended_before(context: Context) -> None:
    """A session that was logged out is not counted any more."""
    browser = open_browser(context)
    play(logout(context, browser.request()))

    assert 0 == play(end_sessions(context, sub="auth0|user"))[0]


@pytest.mark.parametrize("when", ["before", "after"])
def test_everywhere_with_a_failing_store(clock: Clock, when: When) -> None:
    """Whichever command fails, a second call ends what is left."""
    failures, commands, number = 0, 1, -1
    while number < commands:
        store = FaultyStore(clock)
        context = build_session_client(clock, state_store=store)
        browsers = [open_browser(context, sid=f"s-{n}") for n in range(3)]
        store.plan(number, when=when)
        try:
            play(end_sessions(context, sub="auth0|user"))
        except StoreError:
            failures += 1
        if number < 0:
            commands = len(store.log)
        store.plan()
        play(end_sessions(context, sub="auth0|user"))

        assert [False] * 3 == list_living(context, *browsers)
        assert 0 == play(end_sessions(context, sub="auth0|user"))[0]
        number += 1

    assert commands == failures


def test_resolved_tenant(clock: Clock, store: PaperStore) -> None:
    """With a resolver, the sessions of one tenant's user end."""
    domains = {"a": DOMAIN, "b": "other.eu.auth0.com"}
    context = build_session_client(
        clock, state_store=store, domain=lambda options: domains[options["tenant"]]
    )
    context.metadata.add(DOMAIN, CachedDocument(METADATA, clock.now, clock.now + 1e9))
    browser = Browser()
    options = {**browser.request(), "tenant": "a"}
    play(
        login_with_custom_token_exchange(context, build_login_options(), options),
        build_token_response(),
        build_jwks_response("key-1"),
    )
    counts = [
        play(end_sessions(context, sub="auth0|user", store_options={"tenant": tenant}))[
            0
        ]
        for tenant in "ba"
    ]

    assert [0, 1] == counts


@pytest.mark.parametrize("sub", ["", " ", None, 7, ["auth0|user"], b"auth0|user"])
def test_bad_subject(context: Context, sub: Any) -> None:
    """Anything but the text of a ``sub`` is refused."""
    error, _ = fail(start(end_sessions, context, sub=sub))

    assert isinstance(error, InvalidInputError)
    assert "sub" == error.parameter


@pytest.mark.parametrize(
    "configured", [{}, {"secret": SECRET}, {"state_store": CookieStore()}], ids=str
)
def test_sessions_that_are_not_kept(clock: Clock, configured: dict[str, Any]) -> None:
    """Sessions in cookies cannot be ended by anybody else, and that is said."""
    context = build_client(clock, **configured)
    error, _ = fail(end_sessions(context, sub="auth0|user"))

    assert isinstance(error, ConfigurationError)
    assert "state_store" == error.parameter


# A bound.


def build_bounded_client(clock: Clock, store: Any, most: int = 2) -> Context:
    """Build a client that allows a user so many sessions."""
    policy = SessionPolicy(max_sessions=most)
    return build_session_client(clock, state_store=store, session_policy=policy)


def test_bound(clock: Clock, store: PaperStore) -> None:
    """A login ends the user's oldest sessions beyond the bound, and nobody else's."""
    context = build_bounded_client(clock, store)
    other = open_browser(context, sub="auth0|other")
    browsers = []
    for number in range(5):
        browsers.append(open_browser(context, sid=f"s-{number}"))
        living = [False] * max(number - 1, 0) + [True] * min(number + 1, 2)
        assert living == list_living(context, *browsers)

    assert list_living(context, other) == [True]
    assert 3 == len(store.list_sessions())
    assert 2 == play(end_sessions(context, sub="auth0|user"))[0]


@pytest.mark.parametrize("most", [1, 2, 5])
def test_one_browser(clock: Clock, store: PaperStore, most: int) -> None:
    """Logging in again in the same browser ends no other session."""
    context = build_bounded_client(clock, store, most)
    others = [open_browser(context) for _ in range(most - 1)]
    browser = Browser()
    for _ in range(4):
        log_in(context, browser)

    assert [True] * most == list_living(context, *others, browser)


def test_ended_sessions_do_not_count(clock: Clock, store: PaperStore) -> None:
    """Sessions that were logged out, ended or have expired leave room for others."""
    context = build_bounded_client(clock, store)
    first = open_browser(context)
    for _ in range(3):
        ended = open_browser(context)
        # As if it had expired: the index still lists it.
        del store.values[store.list_sessions()[-1]]
        assert [True, False] == list_living(context, first, ended)
    second = open_browser(context)

    assert [True, True] == list_living(context, first, second)
    assert 2 == play(end_sessions(context, sub="auth0|user"))[0]


def test_no_bound(context: Context, store: PaperStore) -> None:
    """Without a bound a login doesn't look at other sessions."""
    store.calls.clear()
    browsers = [open_browser(context) for _ in range(20)]

    assert "read_index" not in store.calls
    assert [True] * 20 == list_living(context, *browsers)


@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize(
    "at", ["set", "add_to_index", "read_index", "get", "delete", "remove_from_index"]
)
def test_logins_at_once(clock: Clock, store: PaperStore, most: int, at: str) -> None:
    """If a login interrupts another, they end with the bound, and the later one stays."""
    context = build_bounded_client(clock, store, most)
    others = [open_browser(context) for _ in range(3)]
    one, two = Browser(), Browser()
    # A login during the other ends before it, at each of its commands.
    store.before[at] = lambda: log_in(context, two)
    log_in(context, one)
    store.before.clear()
    living = list_living(context, *others, one, two)

    assert 1 <= sum(living) <= most
    assert any(living[3:])


def test_store_that_cannot_list(clock: Clock) -> None:
    """Whichever command fails after the cookie is set, the user is logged in."""
    store = FaultyStore(clock)
    context = build_bounded_client(clock, store, 1)
    open_browser(context)
    store.plan()
    open_browser(context)
    commands = len(store.log)
    begun = store.log.index("read_index")
    for number in range(begun, commands):
        store.plan(number)
        browser = open_browser(context)
        store.plan()
        assert [True] == list_living(context, browser)

    last = open_browser(context)

    assert [True] == list_living(context, last)
    assert 1 == len(store.list_sessions())


@pytest.mark.parametrize("most", [0, -1, True, 1.5, "2", float("nan")])
def test_bad_bound(clock: Clock, store: PaperStore, most: Any) -> None:
    """A bound that isn't a whole number above 0 is refused."""
    with pytest.raises(ConfigurationError) as caught:
        build_bounded_client(clock, store, most)

    assert "session_policy.max_sessions" == caught.value.parameter


class StoreWithoutIndex(PaperStore):
    """A store that lists no sessions."""

    has_index = False


def test_bound_that_nobody_keeps(clock: Clock) -> None:
    """A bound needs a store that finds a user's other sessions."""
    for store in (None, CookieStore(), StoreWithoutIndex(clock)):
        with pytest.raises(ConfigurationError) as caught:
            build_bounded_client(clock, store)
        assert "session_policy.max_sessions" == caught.value.parameter


# Logging in, with a store that fails.


@pytest.mark.parametrize("seconds", [0, 1], ids=["at once", "slowly"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("most", [None, 1])
def test_login_with_a_failing_store(
    clock: Clock, when: When, seconds: int, most: int | None
) -> None:
    """Whichever command fails, there is a session that can be ended, or the old one."""
    failed, commands, number = [], 1, -1
    while number < commands:
        store = FaultyStore(clock)
        policy = SessionPolicy(max_sessions=most)
        context = build_session_client(clock, state_store=store, session_policy=policy)
        elsewhere, browser = open_browser(context), open_browser(context)
        before = dict(browser.cookies)
        flow = start(
            login_with_custom_token_exchange,
            context,
            build_login_options(),
            browser.request(),
        )
        store.plan(number, when=when, delay=lambda: clock.wait(seconds))
        try:
            play(flow, build_token_response())
        except StoreError as error:
            failed.append(error)
            assert SECRETS["access_token"] == error.response.access_token  # type: ignore[union-attr]  # noqa: PT017
            assert before == browser.cookies
        else:
            assert before[COOKIE] != browser.cookies[COOKIE]
        if number < 0:
            commands = len(store.log)
        store.plan()

        assert [True] == list_living(context, browser)
        play(
            handle_backchannel_logout(context, sign_logout_token(iat=int(clock.now))),
        )
        assert [False, False] == list_living(context, browser, elsewhere)
        number += 1

    # What is tried twice fails if the first time took long.
    assert (3 if seconds else 0) == len(failed)
    assert all(error.tokens_issued for error in failed)
