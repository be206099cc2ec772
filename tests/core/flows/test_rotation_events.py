"""Events for subscribers when a login session gets new tokens, or is about to."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.core.session.pseudonyms import derive_pseudonym_key, make_pseudonym
from auth0_tx.events import SessionRotated
from auth0_tx.values import RetryPolicy
from tests.core.browser import (
    SECRET,
    Browser,
    PaperStore,
    build_session_client,
    build_token_response,
    log_in,
)
from tests.core.id_tokens import build_jwks_response
from tests.core.world import (
    NOW,
    Clock,
    EffectLog,
    build_options,
    build_refusal,
    build_response,
    fail,
    play,
)

DOMAIN = "tenant.us.auth0.com"
RENEWED = {
    "access_token": "a-2",
    "refresh_token": "r-2",
    "token_type": "Bearer",
    "expires_in": 3_600,
}
AGENT = {"sub": "auth0|agent"}
NO = build_refusal(403, "invalid_grant")
KEY = derive_pseudonym_key("the-client", None, [SECRET])


@pytest.fixture
def context(clock: Clock) -> Context:
    """A client that keeps sessions, and has a subscriber."""
    return build_session_client(
        clock,
        state_store=PaperStore(clock),
        retry=RetryPolicy(attempts=1),
        on_event=print,
    )


def list_rotations(asked: EffectLog) -> list[Any]:
    """Return the events about the session's rotation."""
    return [event for event in asked.events if isinstance(event, SessionRotated)]


def expect_rotation(
    by: Literal["refresh_token", "exchange"], code: str | None, state: Any
) -> SessionRotated:
    """Return the event about the session of the user in these tests."""
    return SessionRotated(
        domain=DOMAIN,
        client_id="the-client",
        subject=make_pseudonym(KEY, "subject", DOMAIN, "auth0|user"),
        session=make_pseudonym(KEY, "session", DOMAIN, state["internal"]["id"]),
        by=by,
        seconds=0.0,
        code=code,
    )


@pytest.mark.parametrize("code", [None, "invalid_grant"])
def test_refresh(context: Context, clock: Clock, code: str | None) -> None:
    """A refresh is told of when it has ended, with how it failed where it did."""
    browser = Browser()
    state = log_in(context, browser, {"refresh_token": "r-1", "expires_in": 3_600})
    clock.wait(3_600)
    flow = get_access_token(context, browser.request())
    _, asked = fail(flow, NO) if code else play(flow, build_response(RENEWED))

    assert [expect_rotation("refresh_token", code, state)] == list_rotations(asked)


@pytest.mark.parametrize("code", [None, "invalid_grant"])
def test_exchange(context: Context, clock: Clock, code: str | None) -> None:
    """So is another exchange, for a session without a refresh token."""
    browser = Browser()
    state = log_in(context, browser, {"expires_in": 3_600}, act=AGENT)
    clock.wait(3_600)
    flow = get_access_token(
        context, browser.request(), subject_token_supplier=build_options
    )
    claims = {"iat": int(NOW) + 3_600, "exp": int(NOW) + 40_000, "act": AGENT}
    replies = [
        build_token_response({"access_token": "a-2"}, **claims),
        build_jwks_response("key-1"),
    ]
    _, asked = fail(flow, NO) if code else play(flow, *replies)

    assert [expect_rotation("exchange", code, state)] == list_rotations(asked)
