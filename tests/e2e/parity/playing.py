"""Playing a scenario in each world, and putting what happened in comparable form."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import define, frozen

from auth0_tx import (
    AsyncServerClient,
    CustomTokenExchangeError,
    CustomTokenExchangeOptions,
    MfaRequiredError,
    ServerClient,
    TokenExchangeResponse,
)
from auth0_tx.tenant import ReceivedRequest, Tenant
from tests.e2e.parity.scenarios import MCP_TOKEN, NOON, QUICK, Scenario
from tests.observed_requests import observe_requests

Outcome = TokenExchangeResponse | CustomTokenExchangeError

_TIMES = ("iat", "exp", "nbf", "auth_time")


@define
class Clock:
    """A clock that stands still until it is moved."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now


@frozen
class Recording:
    """The outcomes of a scenario in one world, and the traffic.

    Args:
        outcomes: How its exchanges ended.
        requests: What the tenant received.
        connections: On how many connections.
    """

    outcomes: tuple[Outcome, ...]
    requests: tuple[ReceivedRequest, ...]
    connections: int


def play_blocking(
    keywords: Mapping[str, Any],
    options: CustomTokenExchangeOptions,
    steps: int,
    between: Callable[[], object],
) -> list[Outcome]:
    """Make the exchanges in this thread."""
    outcomes: list[Outcome] = []
    with ServerClient(**keywords) as client:
        for _ in range(steps):
            try:
                outcomes.append(client.custom_token_exchange(options))
            except CustomTokenExchangeError as error:
                outcomes.append(error)
            between()
    return outcomes


def play_async(
    keywords: Mapping[str, Any],
    options: CustomTokenExchangeOptions,
    steps: int,
    between: Callable[[], object],
) -> list[Outcome]:
    """Make the exchanges in a task."""

    async def play() -> list[Outcome]:
        outcomes: list[Outcome] = []
        async with AsyncServerClient(**keywords) as client:
            for _ in range(steps):
                try:
                    outcomes.append(await client.custom_token_exchange(options))
                except CustomTokenExchangeError as error:
                    outcomes.append(error)
                between()
        return outcomes

    return asyncio.run(play())


def play_observed(*arguments: Any) -> list[Outcome]:
    """Make the exchanges in a task whose requests go through a session of ``aiohttp``."""
    with observe_requests():
        return play_async(*arguments)


PLAYERS: dict[str, Callable[..., list[Outcome]]] = {
    "blocking": play_blocking,
    "async": play_async,
    "async, observed": play_observed,
}


def play(scenario: Scenario, tenant: Tenant, clock: Clock) -> dict[str, Recording]:
    """Play *scenario* in both worlds, and over both wires of asyncio, with the same options."""
    scenario.arrange(tenant)
    # Made once: the requests of both worlds must be the same to the byte.
    options = CustomTokenExchangeOptions(
        **{
            "subject_token": tenant.subject_token("auth0|alice", expires_in=10**6),
            "subject_token_type": MCP_TOKEN,
            **scenario.options(tenant),
        }
    )
    keywords = {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        "retry": QUICK,
        "clock": clock,
        **scenario.keywords(tenant),
    }
    keywords = {name: value for name, value in keywords.items() if value is not ...}
    return {
        world: record(
            scenario,
            tenant,
            clock,
            partial(player, keywords, options, len(scenario.ends)),
        )
        for world, player in PLAYERS.items()
    }


def record(
    scenario: Scenario,
    tenant: Tenant,
    clock: Clock,
    player: Callable[[Callable[[], object]], list[Outcome]],
) -> Recording:
    # Long enough for every limit of the tenant to be as at first.
    clock.now += 10_000
    tenant.clear()
    scenario.begin(tenant)
    outcomes = player(lambda: scenario.between(tenant))
    return Recording(tuple(outcomes), tenant.requests, tenant.connections)


# -- what can be compared -----------------------------------------------------------


def normalize_request(request: ReceivedRequest) -> tuple[Any, ...]:
    """Return a request without the parts that differ in each assertion."""
    return (
        request.http_version,
        request.method,
        request.path,
        request.query,
        dict(request.headers),
        normalize_body(request.body),
    )


def normalize_body(body: bytes) -> Any:
    name = b"client_assertion="
    before, found, assertion = body.partition(name)
    if not found:
        return body
    head, claims, signature = assertion.decode("ascii").split(".")
    members = decode_segment(claims)
    lifetime = members.pop("exp") - members.pop("iat")
    assert members.pop("jti")
    return before, decode_segment(head), members, lifetime, len(signature)


def decode_segment(segment: str) -> dict[str, Any]:
    """Return the JSON object of one segment of a compact JWT."""
    padding = "=" * (-len(segment) % 4)
    members = json.loads(base64.urlsafe_b64decode(segment + padding))
    assert isinstance(members, dict)
    return members


def read_claims(token: str | None) -> dict[str, Any] | str | None:
    """Return the claims of a JWT, unverified; ``"opaque"`` for other tokens."""
    if token is None:
        return None
    if token.count(".") != 2:
        return "opaque"
    return decode_segment(str(token).split(".")[1])


def normalize_outcome(outcome: Outcome) -> Any:
    """Return an outcome without the parts that differ in each token."""
    if isinstance(outcome, CustomTokenExchangeError):
        mfa = isinstance(outcome, MfaRequiredError) and outcome.mfa_token is not None
        return type(outcome), outcome.args, mfa
    error = outcome.act_error
    return {
        "access_token": normalize_claims(read_claims(outcome.access_token)),
        "token_type": outcome.token_type,
        "expires_in": outcome.expires_in,
        "scope": outcome.scope,
        "issued_token_type": outcome.issued_token_type,
        "id_token": normalize_claims(read_claims(outcome.id_token)),
        "refresh_token": outcome.refresh_token is not None,
        "act": outcome.act,
        "act_error": None if error is None else (type(error), error.args),
    }


def normalize_claims(claims: Any) -> Any:
    """Return claims without the parts that differ in each token."""
    if not isinstance(claims, dict):
        return claims
    started = claims.get("iat", 0)
    lasting = {
        name: value for name, value in claims.items() if name not in ("jti", "at_hash")
    }
    return {
        name: value - started if name in _TIMES else value
        for name, value in lasting.items()
    }
