"""Both clients, one table: what they send is equal to the byte, and so is how it ends."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import attrs
import pytest

from auth0_tx import (
    AsyncServerClient,
    Auth0Error,
    CustomTokenExchangeOptions,
    MfaRequiredError,
    ServerClient,
    TokenExchangeResponse,
)
from auth0_tx.tenant import Certificates, KeySupply, ReceivedRequest, Tenant

from .scenarios import SCENARIOS, Scenario, options_of

Outcome = TokenExchangeResponse | Auth0Error


def play_blocking(
    keywords: dict[str, Any],
    asked: list[CustomTokenExchangeOptions],
    between: Callable[[], object],
) -> list[Outcome]:
    """Play a scenario with the blocking client."""
    outcomes: list[Outcome] = []
    try:
        with ServerClient(**keywords) as client:
            for options in asked:
                try:
                    outcomes.append(client.custom_token_exchange(options))
                except Auth0Error as error:
                    outcomes.append(error)
                between()
    except Auth0Error as error:
        outcomes.append(error)
    return outcomes


def play_async(
    keywords: dict[str, Any],
    asked: list[CustomTokenExchangeOptions],
    between: Callable[[], object],
) -> list[Outcome]:
    """Play a scenario with the asyncio client."""

    async def play() -> list[Outcome]:
        outcomes: list[Outcome] = []
        try:
            async with AsyncServerClient(**keywords) as client:
                for options in asked:
                    try:
                        outcomes.append(await client.custom_token_exchange(options))
                    except Auth0Error as error:
                        outcomes.append(error)
                    between()
        except Auth0Error as error:
            outcomes.append(error)
        return outcomes

    return asyncio.run(play())


class TenantClock:
    """The tenant's clock: the system's, and what has been added to it."""

    def __init__(self) -> None:
        self.added = 0.0

    def __call__(self) -> float:
        return time.time() + self.added


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_both_worlds_are_alike(
    scenario: Scenario,
    auth0_tenant_keys: KeySupply,
    auth0_tenant_certificates: Certificates,
) -> None:
    """Each world sends the same requests, and ends as the table says and as the other."""
    clock = TenantClock()
    played = []
    with Tenant(
        clock=clock, keys=auth0_tenant_keys, certificates=auth0_tenant_certificates
    ) as tenant:
        scenario.prepare(tenant)
        options = options_of(scenario, tenant)
        for play in (play_blocking, play_async):
            tenant.clear()
            scenario.before(tenant)
            outcomes = play(
                keywords_of(scenario, tenant),
                [options] * len(scenario.endings),
                partial(scenario.between, tenant),
            )
            sent = [comparable(request) for request in tenant.requests]
            played.append((sent, outcomes, tenant.count("/oauth/token")))
            clock.added += scenario.rest
    (sent, outcomes, sends), (sent_async, outcomes_async, sends_async) = played

    assert sent == sent_async
    assert [scenario.sends] * 2 == [sends, sends_async]
    assert [parts(each) for each in outcomes] == [
        parts(each) for each in outcomes_async
    ]
    for ending, outcome in zip(scenario.endings, outcomes, strict=True):
        assert (ending.error or TokenExchangeResponse) is type(outcome)
        assert dict(ending.parts) == {
            name: getattr(outcome, name) for name in ending.parts
        }


def keywords_of(scenario: Scenario, tenant: Tenant) -> dict[str, Any]:
    """Make a client's keywords."""
    return {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        **scenario.keywords(tenant),
    }


def comparable(request: ReceivedRequest) -> tuple[Any, ...]:
    """Give all of a request that was sent, an assertion's own id, times and signature apart."""
    body: Any = request.body
    if b"client_assertion=" in body:
        body = [
            (name, asserted(value) if name == "client_assertion" else value)
            for name, value in parse_qsl(body.decode(), strict_parsing=True)
        ]
    headers = dict(request.headers)
    if body is not request.body:
        # A signature by ECDSA, like an id, differs in value and never in length.
        headers.pop("content-length")
    return request.method, request.path, request.query, headers, body


def asserted(assertion: str) -> tuple[Any, Any]:
    """Decode an assertion, without what must differ between two of them."""
    header, payload, _ = assertion.split(".")
    claims = json.loads(urlsafe_b64decode(payload + "=="))
    lifetime = claims.pop("exp") - claims.pop("iat")
    assert {"jti"} < set(claims)
    claims.pop("jti")
    return json.loads(urlsafe_b64decode(header + "==")), claims | {"lifetime": lifetime}


def parts(outcome: Outcome) -> Any:
    """Give what must be equal: all of an error; of a response all but the tokens' text."""
    if isinstance(outcome, Auth0Error):
        has_token = isinstance(outcome, MfaRequiredError) and bool(outcome.mfa_token)
        return type(outcome), outcome.args, has_token
    return {
        field.name: (
            type(value)
            if field.name.endswith("_token")
            else (type(value), getattr(value, "args", value))
        )
        for field in attrs.fields(TokenExchangeResponse)
        for value in [getattr(outcome, field.name)]
    }
