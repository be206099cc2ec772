"""An agent of a support desk logs in elsewhere as a customer, through both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from auth0_tx import (
    AsyncServerClient,
    Auth0Error,
    CustomTokenExchangeError,
    ServerClient,
    SessionTransferToken,
    build_session_transfer_redirect,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Profile, Tenant
from tests.e2e.sessions.logins import Browser, log_in, log_in_async, make_settings

CASE = "urn:acme:support-case"
AGENT = "auth0|support_agent"
Ask = Callable[..., SessionTransferToken]


def permit_transfer(event: Any, api: Any) -> None:
    """Let the agent act for the customer of the case."""
    api.authentication.set_user_by_id(event.transaction.subject_token)
    actor = event.transaction.actor_token_user
    if actor is not None:
        api.authentication.set_actor({"sub": actor.user_id})


@pytest.fixture
def tenant(auth0_tenant: Tenant) -> Tenant:
    """Return a tenant whose application may request session transfer tokens."""
    auth0_tenant.profiles.add(Profile(subject_token_type=CASE, action=permit_transfer))
    auth0_tenant.applications.change(
        auth0_tenant.client_id, can_create_session_transfer_token=True
    )
    return auth0_tenant


@pytest.fixture(params=["blocking", "async"])
def ask(request: pytest.FixtureRequest, tenant: Tenant) -> Ask:
    """Return a function that requests a session transfer token, as a logged-in agent or not."""
    settings = make_settings(tenant, state_store=MemoryStore())

    def ask_blocking(*arguments: str, logged_in: bool = True, **named: Any) -> Any:
        with ServerClient(**settings) as client:
            browser = log_in(client, tenant, AGENT) if logged_in else Browser()
            return client.request_session_transfer_token(
                *arguments, store_options=browser.request(), **named
            )

    async def ask_in_task(*arguments: str, logged_in: bool = True, **named: Any) -> Any:
        async with AsyncServerClient(**settings) as client:
            browser = (
                await log_in_async(client, tenant, AGENT) if logged_in else Browser()
            )
            return await client.request_session_transfer_token(
                *arguments, store_options=browser.request(), **named
            )

    if request.param == "blocking":
        return ask_blocking
    return lambda *arguments, **named: asyncio.run(ask_in_task(*arguments, **named))


def expect_refusal(ask: Ask, **named: Any) -> Auth0Error:
    """Return the error that a request ends with."""
    with pytest.raises(CustomTokenExchangeError) as caught:
        ask("auth0|alice", CASE, **named)
    return caught.value


def test_agent_who_is_logged_in(tenant: Tenant, ask: Ask) -> None:
    """The agent's session names the actor, and the token logs in once, as the customer."""
    token = ask("auth0|alice", CASE)
    url = build_session_transfer_redirect("https://shop.example.com/login?a=b", token)
    (handed,) = parse_qs(urlsplit(url).query)["session_transfer_token"]
    found = tenant.redeem_session_transfer_token(handed)

    assert ("auth0|alice", {"sub": AGENT}) == (found.user_id, found.actor)
    assert ("N_A", 60) == (token.token_type, token.expires_in)
    with pytest.raises(ValueError, match="used"):
        tenant.redeem_session_transfer_token(handed)


def test_actor_that_is_given(tenant: Tenant, ask: Ask) -> None:
    """An actor's own ID token needs no session."""
    actor = tenant.id_token("auth0|bob", audience=tenant.client_id)
    token = ask("auth0|alice", CASE, logged_in=False, actor_token=actor)
    found = tenant.redeem_session_transfer_token(str(token.session_transfer_token))

    assert {"sub": "auth0|bob"} == found.actor


def test_nobody(tenant: Tenant, ask: Ask) -> None:
    """Without a login nobody can act for another, and nothing is sent."""
    error = expect_refusal(ask, logged_in=False)

    assert "actor_unavailable" == error.code
    assert 0 == tenant.count("/oauth/token")


def test_action_that_sets_no_actor(tenant: Tenant, ask: Ask) -> None:
    """An Action that sets no actor fails with the code that Auth0 documents."""
    tenant.profiles.change(
        CASE,
        action=lambda event, api: api.authentication.set_user_by_id("auth0|alice"),
    )

    assert "setactor_required" == expect_refusal(ask).code


def test_application_that_may_not(tenant: Tenant, ask: Ask) -> None:
    """An application that may not request such tokens fails with Auth0's code too."""
    tenant.applications.change(
        tenant.client_id, can_create_session_transfer_token=False
    )

    assert "session_transfer_disabled" == expect_refusal(ask).code
