"""Logging out: the session is at an end everywhere, whatever else fails."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Send
from auth0_tx.core.flows.logout import logout
from auth0_tx.errors import (
    AmbiguousError,
    ConfigurationError,
    InvalidInputError,
    NotSentError,
    StoreError,
)
from auth0_tx.values import SessionPolicy
from tests.core import legacy_cookies as legacy
from tests.core.browser import (
    COOKIE,
    SECRET,
    Browser,
    PaperStore,
    build_session_client,
    log_in,
    read_session,
)
from tests.core.faulty_store import FaultyStore, When
from tests.core.world import (
    DISCOVERY_URL,
    DOCUMENT,
    DOMAIN,
    ISSUER,
    SECRETS,
    Clock,
    build_client,
    build_response,
    fail,
    play,
)

REVOCATION = f"{ISSUER}oauth/revoke"
PUBLISHED = {**DOCUMENT, "revocation_endpoint": REVOCATION}
OFFLINE = {"refresh_token": SECRETS["refresh_token"]}


@pytest.fixture
def store(clock: Clock) -> PaperStore:
    """A store with nothing in it."""
    return PaperStore(clock)


@pytest.fixture(params=["cookies", "store"])
def context(request: pytest.FixtureRequest, clock: Clock, store: PaperStore) -> Context:
    """A client that keeps sessions, in each of the two ways."""
    keeping = {} if request.param == "cookies" else {"state_store": store}
    return build_session_client(clock, **keeping)


@pytest.fixture
def browser(context: Context) -> Browser:
    """A browser that is logged in."""
    browser = Browser({"theme": "dark"})
    log_in(context, browser)
    return browser


def test_logout(context: Context, store: PaperStore, browser: Browser) -> None:
    """The browser has no session any more, and goes to Auth0's own logout."""
    kept = browser.copy()
    url, asked = play(
        logout(context, browser.request(), return_to="https://app.example.com/?a=b")
    )
    parts = urlsplit(url)

    assert browser.is_logged_out
    assert "dark" == browser.cookies["theme"]
    assert read_session(context, browser) is None
    assert [] == asked.requests
    assert (DOMAIN, "/v2/logout") == (parts.netloc, parts.path)
    assert {
        "client_id": ["the-client"],
        "returnTo": ["https://app.example.com/?a=b"],
    } == parse_qs(parts.query)
    if store.calls:
        assert ([], None) == (store.list_sessions(), read_session(context, kept))


def test_nobody(context: Context) -> None:
    """Without a session there is still a URL to go to."""
    url, _ = play(logout(context, Browser().request()))

    assert f"{ISSUER}v2/logout?client_id=the-client" == url


@pytest.mark.parametrize(
    "return_to",
    ["", "/here", "javascript:alert(1)", "https://", "https://u@h/", "ftp://h/", 5],
)
def test_bad_return(context: Context, browser: Browser, return_to: Any) -> None:
    """Text that isn't a web URL is refused, and the session stays."""
    error, _ = fail(logout(context, browser.request(), return_to=return_to))

    assert isinstance(error, InvalidInputError)
    assert "return_to" == error.parameter
    assert read_session(context, browser) is not None


def test_no_response(context: Context, browser: Browser) -> None:
    """Without a response the cookie would stay, so it is refused."""
    error, _ = fail(logout(context, browser.request(answered=False)))

    assert isinstance(error, InvalidInputError)
    assert "store_options" == error.parameter


def test_sessions_that_are_not_kept(clock: Clock) -> None:
    """A client that keeps no sessions says so."""
    error, _ = fail(logout(build_client(clock), Browser().request()))

    assert isinstance(error, ConfigurationError)


def create_client_and_browser(clock: Clock, **keywords: Any) -> tuple[Context, Browser]:
    """Return a client that knows the revocation endpoint, and a browser with a token to revoke."""
    context = build_client(clock, secret=SECRET, knows_metadata=False, **keywords)
    browser = Browser()
    from auth0_tx.core.flows.login import login_with_custom_token_exchange
    from tests.core.browser import build_login_options, build_token_response
    from tests.core.id_tokens import build_jwks_response

    play(
        login_with_custom_token_exchange(
            context, build_login_options(), browser.request()
        ),
        build_response(PUBLISHED),
        build_token_response(OFFLINE),
        build_jwks_response("key-1"),
    )
    return context, browser


def test_revocation(clock: Clock) -> None:
    """The session's refresh token is revoked, the client authenticated (RFC 7009)."""
    context, browser = create_client_and_browser(clock)
    _, asked = play(logout(context, browser.request()), build_response(b"", 200))

    (request,) = asked.requests
    assert REVOCATION == request.url
    assert {
        "token": [SECRETS["refresh_token"]],
        "token_type_hint": ["refresh_token"],
        "client_id": ["the-client"],
        "client_secret": [SECRETS["client_secret"]],
    } == parse_qs((request.body or b"").decode())


def test_no_revocation(clock: Clock) -> None:
    """It is not where the application does not want it."""
    context, browser = create_client_and_browser(clock)
    _, asked = play(logout(context, browser.request(), revoke=False))

    assert [] == asked.requests


@pytest.mark.parametrize(
    "reply",
    [
        NotSentError("no"),
        AmbiguousError("lost"),
        build_response(b"<html>", 500),
        build_response({"error": "invalid_client"}, 401),
    ],
)
def test_revocation_that_fails(clock: Clock, reply: Any) -> None:
    """Who logs out is logged out, whatever becomes of the refresh token."""
    context, browser = create_client_and_browser(clock)
    start = clock.now
    _, asked = play(logout(context, browser.request()), reply)
    (send,) = [effect for effect in asked if hasattr(effect, "prepare")]

    assert browser.is_logged_out
    assert start + 3.0 == send.deadline


def test_revocation_after_a_slow_store(clock: Clock, store: PaperStore) -> None:
    """A store that took all of the call's time does not cost the revocation its own."""
    context, browser = create_client_and_browser(clock, state_store=store)
    store.before["delete"] = lambda: clock.wait(30.0)
    _, asked = play(logout(context, browser.request()), build_response(b"", 200))
    (send,) = [effect for effect in asked if isinstance(effect, Send)]

    assert clock.now + 3.0 == send.deadline


@pytest.mark.parametrize(
    "document", [DOCUMENT, {**DOCUMENT, "revocation_endpoint": "https://other/revoke"}]
)
def test_nowhere_to_revoke(clock: Clock, document: dict[str, Any]) -> None:
    """A tenant that says no place of its own for it is not asked."""
    context, browser = create_client_and_browser(clock)
    context.metadata.clear()
    _, asked = play(logout(context, browser.request()), build_response(document))

    assert [DISCOVERY_URL] == [request.url for request in asked.requests]


def test_no_metadata(clock: Clock) -> None:
    """Without metadata nothing is revoked, and the user is logged out."""
    context, browser = create_client_and_browser(clock)
    clock.wait(3_600)
    context.metadata.clear()
    _, asked = play(logout(context, browser.request()), build_response(b"gone", 404))

    assert browser.is_logged_out
    assert 1 == len(asked.requests)


@pytest.mark.parametrize("seconds", [0, 1], ids=["at once", "slowly"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_any_command_that_fails(clock: Clock, when: When, seconds: int) -> None:
    """Whichever command fails, the cookies are gone, and so is the refresh token."""
    failed, commands, number = [], 1, -1
    while number < commands:
        store = FaultyStore(clock)
        context, browser = create_client_and_browser(clock, state_store=store)
        before = browser.copy()
        store.plan(number, when=when, delay=lambda: clock.wait(seconds))
        flow = logout(context, browser.request())
        # A session that cannot be read leads to no refresh token.
        revoked = [] if number == 0 else [build_response(b"", 200)]
        try:
            play(flow, *revoked)
        except StoreError:
            failed.append(store.log[number])
        if number < 0:
            commands = len(store.log)
        store.plan()

        assert {} == browser.cookies
        if failed != ["delete"] or when == "after":
            assert read_session(context, before) is None
        number += 1

    assert ["delete"] * seconds == failed


def test_store_that_stays_down(clock: Clock) -> None:
    """A store that is down is asked to delete twice, and the token is revoked."""
    store = FaultyStore(clock)
    context, browser = create_client_and_browser(clock, state_store=store)
    store.plan(1, 2)
    flow = logout(context, browser.request())
    with pytest.raises(StoreError):
        play(flow, build_response(b"", 200))

    assert ["get", "delete", "delete"] == store.log
    assert {} == browser.cookies


def test_index(clock: Clock, store: PaperStore) -> None:
    """A session that has ended is listed under none of its labels."""
    context, browser, other = (
        build_session_client(clock, state_store=store),
        Browser(),
        Browser(),
    )
    for visitor in (browser, other):
        log_in(context, visitor, sid="s-1")
    play(logout(context, browser.request(), revoke=False))
    (left,) = store.list_sessions()

    assert [[left], [left]] == [list(keys) for keys in store.index.values()]


def test_resolver_that_fails(clock: Clock, store: PaperStore) -> None:
    """If nobody knows the tenant, the browser is logged out all the same."""

    def resolve(_: Any) -> str:
        raise RuntimeError("no such host")

    context, browser = build_session_client(clock, state_store=store), Browser()
    log_in(context, browser)
    for configured in ({}, {"state_store": store}):
        visitor = browser.copy()
        unsure = build_session_client(clock, domain=resolve, **configured)
        with pytest.raises(RuntimeError):
            play(logout(unsure, visitor.request()))

        assert visitor.is_logged_out


def test_store_that_raises_another_error(clock: Clock, store: PaperStore) -> None:
    """A store of the library's own may say what is wrong with the set-up."""
    policy = SessionPolicy(store_failure="no_session")
    context = build_session_client(clock, state_store=store, session_policy=policy)
    browser = Browser()
    log_in(context, browser)

    def refuse() -> None:
        raise ConfigurationError("no middleware", parameter="state_store")

    store.before["delete"] = refuse
    error, _ = fail(logout(context, browser.request()))

    assert isinstance(error, ConfigurationError)
    assert {} == browser.cookies


def test_legacy_session(clock: Clock, store: PaperStore) -> None:
    """A session of Auth0's own SDK ends without becoming one of ours."""
    context, _ = create_client_and_browser(clock, legacy_secret=legacy.SECRET)
    browser = Browser(legacy.split_cookies(legacy.seal_state(legacy.THEIRS)))
    _, asked = play(logout(context, browser.request()), build_response(b"", 200))

    assert browser.is_logged_out
    assert {0: "", 259_200: "none"} == {
        cookie.max_age: cookie.value for cookie in browser.told
    }
    assert REVOCATION == asked.requests[0].url


def test_store_that_cannot_delete_and_need_not(clock: Clock, store: PaperStore) -> None:
    """Where the policy makes little of a store that fails, the user still gets to Auth0."""
    policy = SessionPolicy(store_failure="no_session")
    context = build_session_client(clock, state_store=store, session_policy=policy)
    browser = Browser()
    log_in(context, browser)
    store.failing = ["delete", "delete"]
    url, _ = play(logout(context, browser.request()))

    assert {} == browser.cookies
    assert url.startswith(f"{ISSUER}v2/logout?")


def test_store_that_cannot_be_read(clock: Clock, store: PaperStore) -> None:
    """Where the session cannot be read it is deleted all the same."""
    context, browser = build_session_client(clock, state_store=store), Browser()
    log_in(context, browser)
    store.failing = ["get"]
    play(logout(context, browser.request()))

    assert ({}, []) == (browser.cookies, store.list_sessions())


def test_broken_cookie(context: Context) -> None:
    """A cookie without a session in it is deleted too."""
    browser = Browser({COOKIE: "broken"})
    play(logout(context, browser.request()))

    assert browser.is_logged_out
