"""Sessions of Auth0's own SDK: used as they are, and ours from the next write on."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.core.flows.logout import end_sessions, logout
from auth0_tx.core.flows.session import get_session, get_user
from auth0_tx.errors import InvalidInputError, StoreError
from tests.core.browser import (
    COOKIE,
    CURRENT,
    Browser,
    PaperStore,
    build_session_client,
    log_in,
    read_session,
)
from tests.core.faulty_store import FaultyStore, When
from tests.core.legacy_cookies import SECRET, THEIRS, seal_state, split_cookies
from tests.core.world import (
    NOW,
    TOKENS,
    Clock,
    build_options,
    build_response,
    fail,
    play,
)

SESSION = {
    **THEIRS,
    "internal": {"sid": "sid-1", "created_at": int(NOW), "session_expires_at": None},
}


@pytest.fixture
def store(clock: Clock) -> PaperStore:
    """A store with nothing in it."""
    return PaperStore(clock)


@pytest.fixture(params=["cookies", "store"])
def context(request: pytest.FixtureRequest, clock: Clock, store: PaperStore) -> Context:
    """A client that takes such sessions over, and keeps its own in each of the two ways."""
    keeping = {} if request.param == "cookies" else {"state_store": store}
    return build_session_client(clock, legacy_secret=SECRET, **keeping)


@pytest.fixture
def browser() -> Browser:
    """A browser whose user was logged in by the SDK."""
    return Browser({"theme": "dark", **split_cookies(seal_state(SESSION))})


RENEWED = {**TOKENS, "access_token": "at-2", "refresh_token": "rt-2"}


def test_read(clock: Clock, browser: Browser) -> None:
    """In cookies, a read uses the session and leaves it the SDK's: nothing is written."""
    context = build_session_client(clock, legacy_secret=SECRET)
    before = dict(browser.cookies)

    assert "auth0|alice" == (read_session(context, browser) or {})["user"]["sub"]
    clock.wait(3_000)
    assert "auth0|alice" == (read_session(context, browser) or {})["user"]["sub"]
    assert ([], before) == (browser.told, browser.cookies)


def test_refreshed(clock: Clock, browser: Browser) -> None:
    """In cookies, a refresh takes the session over: ours are set, the SDK's are deleted."""
    context = build_session_client(clock, legacy_secret=SECRET)
    clock.wait(4_000)
    play(get_access_token(context, browser.request()), build_response(RENEWED))
    session = read_session(context, browser) or {}

    assert {"theme", COOKIE} == {name.partition(".")[0] for name in browser.cookies}
    assert CURRENT not in browser.cookies
    assert ("auth0|alice", "rt-2") == (
        session["user"]["sub"],
        session["refresh_token"],
    )
    token, _ = play(get_access_token(context, browser.request()))
    assert "at-2" == token


def test_after_a_logout(context: Context, clock: Clock, browser: Browser) -> None:
    """Who logs in through the SDK after a logout here is logged in, and stays so."""
    browser.cookies[CURRENT] = "none"
    clock.wait(4_000)

    assert read_session(context, browser) is not None
    play(get_access_token(context, browser.request()), build_response(RENEWED))
    assert read_session(context, browser) is not None
    assert not {name for name in browser.cookies if name.startswith("_a0_")}


def test_login_over_it(context: Context, browser: Browser) -> None:
    """A login deletes the SDK's cookies: its session must not come back later."""
    log_in(context, browser)

    assert not {name for name in browser.cookies if name.startswith("_a0_")}


def test_taken_into_a_store(clock: Clock, store: PaperStore, browser: Browser) -> None:
    """In a store the first request takes the session over, by a cookie of ours."""
    context = build_session_client(clock, legacy_secret=SECRET, state_store=store)
    first = read_session(context, browser)
    second = read_session(context, browser)

    assert "auth0|alice" == (first or {})["user"]["sub"]
    assert first == second
    assert {"theme", COOKIE} == set(browser.cookies)
    assert 1 == len(store.list_sessions())


def test_two_requests_at_once(
    clock: Clock, store: PaperStore, browser: Browser
) -> None:
    """Several requests take over one session, and find what became of it by then."""
    context = build_session_client(clock, legacy_secret=SECRET, state_store=store)
    late, unanswered = browser.copy(), browser.copy()
    read_session(context, browser)
    clock.wait(4_000)
    play(get_access_token(context, browser.request()), build_response(RENEWED))

    assert "rt-2" == (read_session(context, late) or {})["refresh_token"]
    assert browser.cookies == late.cookies
    session, _ = play(get_session(context, unanswered.request(answered=False)))
    assert "rt-2" == (session or {})["refresh_token"]
    assert 1 == len(store.list_sessions())
    # Not even with the store can anybody work out the id without the SDK's cookie.
    other = Browser(split_cookies(seal_state(SESSION)))
    read_session(context, other)
    assert other.cookies[COOKIE] != browser.cookies[COOKIE]


def test_two_secrets(clock: Clock, store: PaperStore, browser: Browser) -> None:
    """A session that was taken over with a secret that is unknown here is none."""
    new, old = (
        build_session_client(
            clock, legacy_secret=SECRET, state_store=store, secret=secret
        )
        for secret in ("a new secret, and long enough: 01", "x" * 32)
    )
    late = browser.copy()
    read_session(new, browser)

    assert read_session(old, late) is None
    assert read_session(new, browser) is not None


@pytest.mark.parametrize("seconds", [0, 1], ids=["at once", "slowly"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_take_over_with_a_failing_store(
    clock: Clock, browser: Browser, when: When, seconds: int
) -> None:
    """Whichever command fails, the next request has the session, and Auth0 can end it."""
    failures, commands, number = [], 1, -1
    while number < commands:
        store, visitor = FaultyStore(clock), browser.copy()
        context = build_session_client(clock, legacy_secret=SECRET, state_store=store)
        store.plan(number, when=when, delay=lambda: clock.wait(seconds))
        try:
            read_session(context, visitor)
        except StoreError:
            failures.append(store.log[number])
        if number < 0:
            commands = len(store.log)
        store.plan()

        assert "auth0|alice" == (read_session(context, visitor) or {})["user"]["sub"]
        assert COOKIE in visitor.cookies
        assert 1 == len(store.list_sessions())
        assert 1 == play(end_sessions(context, sub="auth0|alice"))[0]
        assert read_session(context, Browser({COOKIE: visitor.cookies[COOKIE]})) is None
        number += 1

    # What fails at once is tried again.
    assert (commands if seconds else 0) == len(failures)


def test_late_take_over(context: Context, clock: Clock, browser: Browser) -> None:
    """A request of before a logout takes nothing over that would count after it."""
    late = browser.copy()
    play(logout(context, browser.request(), revoke=False))
    clock.wait(4_000)
    play(get_access_token(context, late.request()), build_response(RENEWED))
    browser.take(late)

    assert COOKIE in browser.cookies
    assert read_session(context, browser) is None


def test_logout_during_a_take_over(
    clock: Clock, store: PaperStore, browser: Browser
) -> None:
    """A logout also ends what another request has taken over, whose answer is on its way."""
    context = build_session_client(clock, legacy_secret=SECRET, state_store=store)
    late = browser.copy()
    read_session(context, late)
    play(logout(context, browser.request(), revoke=False))

    assert [] == store.list_sessions()
    assert read_session(context, Browser({COOKIE: late.cookies[COOKIE]})) is None


def test_without_a_response(context: Context, browser: Browser) -> None:
    """Without a response the session is read, and stays the SDK's."""
    before = dict(browser.cookies)
    user, _ = play(get_user(context, browser.request(answered=False)))

    assert "auth0|alice" == (user or {})["sub"]
    assert before == browser.cookies


@pytest.mark.parametrize("supplier", [None, build_options])
def test_renewal_without_a_response(
    context: Context, clock: Clock, browser: Browser, supplier: Any
) -> None:
    """Without a response there is nothing that its tokens could be renewed in."""
    state = SESSION if supplier is None else {**SESSION, "refresh_token": None}
    browser = Browser(split_cookies(seal_state(state)))
    clock.wait(4_000)
    error, asked = fail(
        get_access_token(
            context, browser.request(answered=False), subject_token_supplier=supplier
        )
    )

    assert isinstance(error, InvalidInputError)
    assert ("store_options", []) == (error.parameter, asked.requests)


def test_past_its_time(context: Context, clock: Clock, browser: Browser) -> None:
    """A session that is over is nobody's; its cookies stay until the next write."""
    clock.wait(259_200)

    assert read_session(context, browser) is None
    assert [] == browser.told


def test_broken(clock: Clock) -> None:
    """Cookies that hold no session are deleted by a login, those that the SDK may have set."""
    context = build_session_client(clock, legacy_secret=SECRET)
    names = ("_a0_session", "_a0_session_0", "_a0_session_15", "_a0_session_theme")
    browser = Browser(dict.fromkeys(names, "broken"))

    assert read_session(context, browser) is None
    assert set(names) == set(browser.cookies)
    log_in(context, browser)
    assert {"_a0_session_theme", COOKIE, CURRENT} == set(browser.cookies)


def test_logout(context: Context, browser: Browser) -> None:
    """A logout deletes the SDK's cookies too, so that they cannot log the user in again."""
    play(logout(context, browser.request(), revoke=False))

    assert browser.is_logged_out
    assert "dark" == browser.cookies["theme"]
    assert read_session(context, browser) is None


def test_not_without_its_secret(clock: Clock, browser: Browser) -> None:
    """A client that was not told of the SDK takes nothing over, and leaves its cookies."""
    context, before = build_session_client(clock), dict(browser.cookies)

    assert read_session(context, browser) is None
    assert before == browser.cookies
