"""Sessions of Auth0's own SDK: read once, and from then on ours."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.core.flows.logout import logout
from auth0_tx.core.flows.session import get_user
from auth0_tx.errors import InvalidInputError
from tests.core.browser import (
    COOKIE,
    Browser,
    PaperStore,
    build_session_client,
    read_session,
)
from tests.core.legacy_cookies import SECRET, THEIRS, seal_state, split_cookies
from tests.core.world import NOW, Clock, build_options, fail, play

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


def test_taken_over(context: Context, browser: Browser) -> None:
    """The user stays logged in, by a cookie of ours; the SDK's are deleted."""
    first = read_session(context, browser)
    kept = set(browser.cookies)
    second = read_session(context, browser)

    assert "auth0|alice" == (first or {})["user"]["sub"]
    assert first == second
    assert {"theme", COOKIE} == {name.partition(".")[0] for name in kept}


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
    """A session that is over is nobody's, and its cookies are deleted."""
    clock.wait(259_200)

    assert read_session(context, browser) is None
    assert {"theme": "dark"} == browser.cookies


def test_broken(clock: Clock) -> None:
    """Cookies that hold no session are deleted, whatever they are called."""
    context = build_session_client(clock, legacy_secret=SECRET)
    names = ("_a0_session", "_a0_session_0", "_a0_session_19", "_a0_session_theme")
    browser = Browser(dict.fromkeys(names, "broken"))

    assert read_session(context, browser) is None
    assert {"_a0_session_theme"} == set(browser.cookies)


def test_logout(context: Context, browser: Browser) -> None:
    """A logout deletes the SDK's cookies too, so that they cannot log the user in again."""
    play(logout(context, browser.request(), revoke=False))

    assert {"theme": "dark"} == browser.cookies
    assert read_session(context, browser) is None


def test_not_without_its_secret(clock: Clock, browser: Browser) -> None:
    """A client that was not told of the SDK takes nothing over, and leaves its cookies."""
    context, before = build_session_client(clock), dict(browser.cookies)

    assert read_session(context, browser) is None
    assert before == browser.cookies
