"""Reading sessions: while they last, with the secrets there are, and never an error."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.core.flows.session import get_session, get_user
from auth0_tx.core.session.cookies import CookieStore
from auth0_tx.errors import InvalidInputError, StoreError
from auth0_tx.values import SessionPolicy
from tests.core.browser import (
    COOKIE,
    OLD_SECRET,
    SECRET,
    Browser,
    PaperStore,
    build_session_client,
    log_in,
    read_session,
)
from tests.core.world import TOKENS, Clock, build_response, fail, play

DAY = 86_400.0


@pytest.fixture
def browser() -> Browser:
    """A browser that has been nowhere."""
    return Browser()


@pytest.fixture
def store(clock: Clock) -> PaperStore:
    """A store with nothing in it."""
    return PaperStore(clock)


@pytest.fixture(params=["cookies", "store"])
def keeping(request: pytest.FixtureRequest, store: PaperStore) -> dict[str, Any]:
    """The keywords of each of the two ways to keep sessions."""
    return {} if request.param == "cookies" else {"state_store": store}


@pytest.fixture
def context(clock: Clock, keeping: dict[str, Any]) -> Context:
    """A client that keeps sessions."""
    return build_session_client(clock, **keeping)


def test_nobody(context: Context, browser: Browser) -> None:
    """A browser without cookies has no session, and is told nothing."""
    assert read_session(context, browser) is None
    assert [] == browser.told


def test_idle(context: Context, clock: Clock, browser: Browser) -> None:
    """A session that nobody uses ends, and one that is used goes on."""
    log_in(context, browser)
    for _ in range(2):
        clock.wait(DAY * 0.9)
        assert read_session(context, browser) is not None
    unused = browser.copy()
    clock.wait(DAY)

    assert read_session(context, browser) is None
    assert read_session(context, unused) is None


def test_absolute(context: Context, clock: Clock, browser: Browser) -> None:
    """However much it is used, a session ends."""
    log_in(context, browser)
    for _ in range(5):
        clock.wait(DAY / 2)
        assert read_session(context, browser) is not None
    clock.wait(DAY / 2)

    assert read_session(context, browser) is None


def test_replay_of_an_expired_cookie(
    context: Context, clock: Clock, browser: Browser
) -> None:
    """A cookie kept beyond its time is worthless: the time is inside the seal."""
    log_in(context, browser)
    kept = browser.copy()
    clock.wait(3 * DAY)

    assert read_session(context, kept) is None


def test_shorter_policy(
    clock: Clock, keeping: dict[str, Any], browser: Browser
) -> None:
    """A policy that is made shorter holds for sessions that are there already."""
    log_in(build_session_client(clock, **keeping), browser)
    clock.wait(3_600)
    policy = SessionPolicy(absolute_seconds=1_800.0)

    assert (
        read_session(
            build_session_client(clock, session_policy=policy, **keeping), browser
        )
        is None
    )


def test_use_is_noted_now_and_then(
    context: Context, clock: Clock, store: PaperStore, browser: Browser
) -> None:
    """A use is written down only when the last note is old."""
    log_in(context, browser)
    browser.told.clear()
    store.calls.clear()
    read_session(context, browser)
    once = (list(browser.told), list(store.calls))
    clock.wait(DAY / 10)
    read_session(context, browser)

    assert ([], "set" in once[1]) == (once[0], False)
    assert browser.told or "set" in store.calls


def test_use_without_a_response(clock: Clock, browser: Browser) -> None:
    """Without a response a use of cookies cannot be noted, and is none the worse."""
    context = build_session_client(clock)
    log_in(context, browser)
    clock.wait(DAY / 2)
    user, _ = play(get_user(context, browser.request(answered=False)))

    assert user is not None


def test_use_that_cannot_be_noted(
    clock: Clock, store: PaperStore, browser: Browser
) -> None:
    """A store that cannot be written does not take a session away that was read."""
    context = build_session_client(clock, state_store=store)
    log_in(context, browser)
    clock.wait(DAY / 2)
    store.failing = ["set", "set"]

    assert read_session(context, browser) is not None


def test_use_that_others_note(
    clock: Clock, store: PaperStore, browser: Browser
) -> None:
    """Of two who note a use at once, one does, and both have the session."""
    context = build_session_client(clock, state_store=store)
    log_in(context, browser)
    clock.wait(DAY / 2)
    store.before["set"] = lambda: read_session(context, browser.copy())

    assert read_session(context, browser) is not None


def test_rotated_secrets(
    clock: Clock, keeping: dict[str, Any], browser: Browser
) -> None:
    """An older secret still opens; the next write seals anew, and then it can go."""
    old = build_session_client(clock, secret=OLD_SECRET, **keeping)
    log_in(old, browser, {"refresh_token": "rt-1", "expires_in": 3_600})
    both = build_session_client(clock, secret=[SECRET, OLD_SECRET], **keeping)
    new = build_session_client(clock, secret=SECRET, **keeping)
    before = read_session(both, browser)

    assert before is not None
    # A read is a write in a store alone.
    assert (before if keeping else None) == read_session(new, browser.copy())
    clock.wait(4_000)
    play(get_access_token(both, browser.request()), build_response(TOKENS))
    assert before["user"] == (read_session(new, browser) or {})["user"]


def test_another_secret(
    clock: Clock, keeping: dict[str, Any], browser: Browser
) -> None:
    """A cookie sealed with another secret does not open."""
    log_in(build_session_client(clock, secret=OLD_SECRET, **keeping), browser)

    assert read_session(build_session_client(clock, **keeping), browser) is None


def test_another_cookie(
    clock: Clock, keeping: dict[str, Any], browser: Browser
) -> None:
    """A value sealed for one cookie does not open as another."""
    log_in(build_session_client(clock, **keeping), browser)
    other = build_session_client(
        clock, session_policy=SessionPolicy(cookie_name="other"), **keeping
    )
    renamed = {
        name.replace("auth0_tx", "other"): value
        for name, value in browser.cookies.items()
    }

    assert read_session(other, Browser(renamed)) is None


@pytest.mark.parametrize(
    "value", ["", "x", "A" * 42, "A" * 44, "A" * 42 + "=", "a.b.c.d.e", "é" * 43]
)
def test_broken_cookie(context: Context, value: str) -> None:
    """A cookie with other contents is not a session, and a read leaves it there."""
    browser = Browser({COOKIE: value, f"{COOKIE}.7": "left over", "theme": "dark"})

    assert read_session(context, browser) is None
    assert [] == browser.told
    log_in(context, browser)
    assert read_session(context, browser) is not None
    assert f"{COOKIE}.7" not in browser.cookies


def test_broken_cookie_without_a_response(context: Context) -> None:
    """Without a response a broken cookie stays, but is still not a session."""
    browser = Browser({COOKIE: "broken"})
    user, _ = play(get_user(context, browser.request(answered=False)))

    assert (None, {COOKIE: "broken"}) == (user, browser.cookies)


def test_flipped_characters(clock: Clock, browser: Browser) -> None:
    """A cookie with any character changed is not a session."""
    context = build_session_client(clock)
    log_in(context, browser)
    whole = browser.cookies[COOKIE]
    for place in range(0, len(whole), 37):
        other = "A" if whole[place] != "A" else "B"
        changed = whole[:place] + other + whole[place + 1 :]
        assert read_session(context, Browser({COOKIE: changed})) is None


def test_chunks_of_two_sessions(clock: Clock, browser: Browser) -> None:
    """Cookies of two sessions do not make one."""
    context = build_session_client(
        clock, state_store=CookieStore(longest_chunk=500, most_chunks=40)
    )
    log_in(context, browser)
    other = Browser()
    log_in(context, other, sub="auth0|other")
    mixed = {**browser.cookies, f"{COOKIE}.1": other.cookies[f"{COOKIE}.1"]}

    assert read_session(context, browser) is not None
    assert read_session(context, Browser(mixed)) is None


def test_id_of_a_session_that_is_gone(
    clock: Clock, store: PaperStore, browser: Browser
) -> None:
    """An id whose session is gone stays: it may by now be another request's new one."""
    context = build_session_client(clock, state_store=store)
    log_in(context, browser)
    store.values.clear()

    assert read_session(context, browser) is None
    assert COOKIE in browser.cookies


@pytest.mark.parametrize(
    "stored",
    [b"", b"\xff\xfe", b"sealed by nobody", pickle.dumps({"user": {}}), "text", 5, []],
    ids=[
        "nothing",
        "octets",
        "text in octets",
        "a pickle",
        "text",
        "a number",
        "a list",
    ],
)
def test_store_with_something_else(
    clock: Clock, store: PaperStore, browser: Browser, stored: Any
) -> None:
    """Other bytes under a session's key in the store are not a session."""
    context = build_session_client(clock, state_store=store)
    log_in(context, browser)
    (key,) = store.list_sessions()
    store.values[key] = (stored, clock.now + 100)

    assert read_session(context, browser) is None


def test_store_that_mixes_up_keys(clock: Clock, store: PaperStore) -> None:
    """A store that gives one user's session for another's id gives nothing."""
    context = build_session_client(clock, state_store=store)
    first, second = Browser(), Browser()
    log_in(context, first)
    log_in(context, second, sub="auth0|second")
    one, other = store.list_sessions()
    store.values[one], store.values[other] = store.values[other], store.values[one]

    assert [None, None] == [
        read_session(context, browser) for browser in (first, second)
    ]


def test_store_that_fails(clock: Clock, store: PaperStore, browser: Browser) -> None:
    """A store that cannot be read is an error, or no session where the policy says so."""
    context = build_session_client(clock, state_store=store)
    lenient = build_session_client(
        clock,
        state_store=store,
        session_policy=SessionPolicy(store_failure="no_session"),
    )
    log_in(context, browser)
    store.failing = ["get", "get"]
    error, _ = fail(get_user(context, browser.request()))
    user, _ = play(get_user(lenient, browser.request()))

    assert isinstance(error, StoreError)
    assert ("the session store failed: ConnectionError", True) == (
        error.message,
        error.retry_safe,
    )
    assert (None, None) == (error.__cause__, error.__context__)
    assert user is None
    assert COOKIE in browser.cookies


def test_errors_of_ours_pass_a_store(
    clock: Clock, store: PaperStore, browser: Browser
) -> None:
    """One of our errors that a store, or its driver, raises is passed on as it is."""
    context = build_session_client(clock, state_store=store)
    log_in(context, browser)

    def refuse() -> None:
        raise InvalidInputError("wrong store")

    store.before["get"] = refuse
    error, _ = fail(get_session(context, browser.request()))

    assert "wrong store" == error.message
