"""A session that no login at Auth0 has begun: for the tests of an application."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.core.flows.local_session import TOKEN_PREFIX, begin_local_session
from auth0_tx.errors import ConfigurationError, InvalidInputError, LoginRequiredError
from auth0_tx.values import SessionPolicy
from tests.core.browser import (
    Browser,
    PaperStore,
    build_session_client,
    log_in,
    read_session,
)
from tests.core.world import Clock, build_client, fail, play

API, OTHER = "https://api.example.com", "https://other.example.com"


def begin(
    context: Context,
    browser: Browser,
    claims: dict[str, Any] | None = None,
    tokens: dict[str | None, str | None] | None = None,
) -> dict[str, Any]:
    """Begin a session; nothing is sent."""
    flow = begin_local_session(
        context,
        {"sub": "auth0|alice"} if claims is None else claims,
        tokens or {None: "openid"},
        3_600,
        browser.request(),
    )
    result, asked = play(flow)
    assert [] == asked.requests
    return result.state_data


def test_session_of_claims(clock: Clock) -> None:
    """The session is as after a login, with the claims that were given, and no refresh token."""
    context, browser = build_session_client(clock), Browser()

    made = begin(context, browser, {"sub": "auth0|alice", "name": "Alice"})
    session = read_session(context, browser)

    assert session is not None
    assert session["user"] == made["user"]
    assert ("auth0|alice", "Alice") == (session["user"]["sub"], session["user"]["name"])
    assert "https://tenant.us.auth0.com/" == session["user"]["iss"]
    assert (None, None) == (session["id_token"], session["refresh_token"])


def test_access_tokens(clock: Clock) -> None:
    """Each audience has its token, with the scope that was given, until it expires."""
    context, browser = build_session_client(clock), Browser()
    begin(context, browser, tokens={API: "read:data", OTHER: "write:data", "x": None})

    def get(audience: str | None = None, scope: str | None = None) -> str:
        flow = get_access_token(context, browser.request(), audience, scope)
        token, asked = play(flow)
        assert [] == asked.requests
        return str(token)

    assert get() == get(API) == get(API, "read:data")
    assert get() != get(OTHER) == get(OTHER, "write:data")
    assert get("x").startswith(TOKEN_PREFIX)
    clock.now += 3_600
    error, _ = fail(get_access_token(context, browser.request(), API))
    assert isinstance(error, LoginRequiredError)


def test_earlier_session_ends(clock: Clock) -> None:
    """As with a login, the browser's earlier session ends."""
    store = PaperStore(clock)
    context, browser = build_session_client(clock, state_store=store), Browser()
    log_in(context, browser)
    before = store.list_sessions()
    begin(context, browser)

    assert 1 == len(store.list_sessions())
    assert before != store.list_sessions()


def test_lifetime(clock: Clock) -> None:
    """The session lasts as the client's policy says."""
    policy = SessionPolicy(absolute_seconds=60)
    context, browser = build_session_client(clock, session_policy=policy), Browser()
    begin(context, browser)
    clock.now += 61

    assert None is read_session(context, browser)


@pytest.mark.parametrize(
    ("claims", "rule"),
    [
        ({}, "sub must be a string"),
        ({"sub": ""}, "sub must be a string"),
        ({"sub": 7}, "sub must be a string"),
        ({"sub": "auth0|alice", "session_expiry": 1}, "session_expiry has passed"),
        ({"sub": "auth0|alice", "session_expiry": "x"}, "session_expiry is not a date"),
    ],
)
def test_unfit_claims(clock: Clock, claims: dict[str, Any], rule: str) -> None:
    """Claims of which a login would make no session make none here."""
    context, browser = build_session_client(clock), Browser()

    with pytest.raises(InvalidInputError, match=rule):
        begin(context, browser, claims)
    assert {} == browser.cookies


def test_client_without_sessions(clock: Clock) -> None:
    """A client that keeps no sessions begins none."""
    with pytest.raises(ConfigurationError):
        begin(build_client(clock), Browser())


def test_no_response(clock: Clock) -> None:
    """Without a response to set cookies on, there is no session."""
    context = build_session_client(clock)
    options = Browser().request(answered=False)
    flow = begin_local_session(context, {"sub": "a"}, {None: None}, 60, options)

    error, _ = fail(flow)
    assert isinstance(error, InvalidInputError)
