"""A session's access token that an API refused is renewed, once for all and not for ever."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Response
from auth0_tx.core.flows.api_tokens import SessionTokens
from auth0_tx.core.flows.logout import logout
from auth0_tx.errors import LoginRequiredError, RateLimitError
from auth0_tx.secret import secret
from auth0_tx.values import RetryPolicy
from tests.core.browser import Browser, PaperStore, build_session_client, log_in
from tests.core.stepping import World
from tests.core.world import (
    SECRETS,
    Clock,
    build_options,
    build_refusal,
    build_response,
    fail,
    play,
)

FIRST: str = secret(SECRETS["access_token"])
OFFLINE = {"refresh_token": "r-1", "expires_in": 3_600}


@pytest.fixture(params=["cookies", "store"])
def context(request: pytest.FixtureRequest, clock: Clock) -> Context:
    """A client that keeps sessions in either of the two ways."""
    store = PaperStore(clock) if request.param == "store" else None
    return build_session_client(clock, retry=RetryPolicy(attempts=1), state_store=store)


@pytest.fixture
def browser(context: Context) -> Browser:
    """A browser whose user is logged in, with a refresh token."""
    browser = Browser()
    log_in(context, browser, OFFLINE)
    return browser


def tokens_of(browser: Browser, **wanted: Any) -> SessionTokens:
    """Return the tokens of a browser's session, for one request of it."""
    given = {"audience": None, "scope": None, "supplier": None, **wanted}
    return SessionTokens(browser.request(), **given)


def obtain(
    context: Context, browser: Browser, *replies: Any, refused: str | None = None
) -> str:
    """Return the access token that is attached now."""
    flow = tokens_of(browser).obtain(context, refused)
    return play(flow, *replies)[0].access_token


def refresh(number: int, **changes: Any) -> Response:
    """Return the response to a refresh."""
    return build_response(
        {
            "access_token": f"a-{number}",
            "refresh_token": f"r-{number}",
            "token_type": "Bearer",
            "expires_in": 3_600,
            **changes,
        }
    )


def test_session_has_it(context: Context, browser: Browser) -> None:
    """The session's token is attached, and nothing is kept beside the session."""
    assert FIRST == obtain(context, browser)
    assert None is tokens_of(browser).find_current(context)
    tokens_of(browser).start_over()


def test_renewed(context: Context, browser: Browser) -> None:
    """A refused token is renewed with the refresh token, and the session keeps the new one."""
    assert "a-2" == obtain(context, browser, refresh(2), refused=FIRST)
    assert "a-2" == obtain(context, browser)
    assert "a-2" == obtain(context, browser, refused=FIRST)


def test_without_rotation(context: Context, browser: Browser) -> None:
    """It is renewed where refresh tokens are not rotated, too."""
    same = {"refresh_token": "r-1"}

    assert "a-2" == obtain(context, browser, refresh(2, **same), refused=FIRST)
    assert "a-2" == obtain(context, browser)


def test_always_refused(context: Context, browser: Browser, clock: Clock) -> None:
    """An API that refuses every token does not cost a refresh with each request."""
    obtain(context, browser, refresh(2), refused=FIRST)

    assert "a-2" == obtain(context, browser, refused="a-2")
    clock.wait(30)
    assert "a-3" == obtain(context, browser, refresh(3), refused="a-2")
    clock.wait(59)
    assert "a-3" == obtain(context, browser, refused="a-3")


def test_other_users(context: Context, browser: Browser) -> None:
    """That one user's token was renewed is no reason to refuse another user the same."""
    other = Browser()
    log_in(context, other, {**OFFLINE, "refresh_token": "r-9"}, sub="auth0|bob")
    obtain(context, browser, refresh(2), refused=FIRST)

    assert "a-10" == obtain(context, other, refresh(10), refused=FIRST)


def test_nothing_to_renew_it_with(context: Context) -> None:
    """Without a refresh token the refused token stays, and with it the API's 401."""
    browser = Browser()
    log_in(context, browser)

    assert FIRST == obtain(context, browser, refused=FIRST)


def test_supplier(context: Context) -> None:
    """A function that returns options of another exchange renews it."""
    browser = Browser()
    log_in(context, browser)
    tokens = tokens_of(browser, supplier=build_options)
    from tests.core.browser import build_token_response

    answer = build_token_response({"access_token": "a-2"})
    token, _ = play(tokens.obtain(context, FIRST), answer)

    assert "a-2" == token.access_token


def test_refresh_fails(context: Context, browser: Browser, clock: Clock) -> None:
    """The error of a refresh that a 401 caused is the caller's, and not asked for again soon."""
    flow = tokens_of(browser).obtain(context, FIRST)
    error, _ = fail(flow, build_refusal(429, "too_many_requests"))

    assert isinstance(error, RateLimitError)
    assert FIRST == obtain(context, browser, refused=FIRST)


def test_refresh_refused(context: Context, browser: Browser) -> None:
    """A refresh token that is worth nothing any more asks for a login."""
    flow = tokens_of(browser).obtain(context, FIRST)
    error, _ = fail(flow, build_refusal(403, "invalid_grant"))

    assert isinstance(error, LoginRequiredError)


def test_logged_out(context: Context, browser: Browser) -> None:
    """Nothing is attached for a user who has logged out."""
    play(logout(context, browser.request(), revoke=False))
    error, _ = fail(tokens_of(browser).obtain(context))

    assert isinstance(error, LoginRequiredError)


def test_refused_at_once(clock: Clock) -> None:
    """Of many requests of one session that are refused at once, one refreshes."""
    context = build_session_client(clock, state_store=PaperStore(clock))
    browser, asked = Browser(), []
    log_in(context, browser, OFFLINE)

    def serve(request: Any) -> Response:
        asked.append(request)
        return refresh(1 + len(asked))

    world = World(clock, serve)
    process = world.add(context)
    runs = [process.start(tokens_of(browser).obtain(context, FIRST)) for _ in range(10)]
    world.finish()

    assert ["a-2"] * 10 == [run.result.access_token for run in runs]
    assert 1 == len(asked)


def test_another_process_was_faster(clock: Clock) -> None:
    """A process that finds the session refreshed does not refresh it again."""
    store = PaperStore(clock)
    first, second = (build_session_client(clock, state_store=store) for _ in range(2))
    browser = Browser()
    log_in(first, browser, OFFLINE)
    obtain(first, browser, refresh(2), refused=FIRST)

    assert "a-2" == obtain(second, browser, refused=FIRST)
