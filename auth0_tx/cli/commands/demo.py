"""`auth0-tx demo`: the library's main job, end to end, on a tenant of its own."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ...errors import RefusedError
from ...events import Event
from ...token_types import TokenType
from ...values import CustomTokenExchangeOptions, TokenExchangeResponse
from ..arguments import Parser
from ..console import Console
from ..rendering.demo_report import (
    Demonstration,
    Exchange,
    demo_members,
    demo_text,
)
from ..signals import run_coroutine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...tenant import ReceivedRequest, Reply, Tenant

    Received = list[tuple[ReceivedRequest, Reply]]

DESCRIPTION = """\
Exchange a token on a local Auth0 tenant, with the blocking and the async client: what
was sent, what came back, who acts, and what a refusal looks like.
It needs no account and no network; the tenant ends with the command."""
EPILOG = ""

_LEGACY = "urn:acme:legacy-token"
# What a newcomer sends first, and what Auth0 keeps for itself.
_REFUSED_TYPE = str(TokenType.ACCESS_TOKEN)


def add_arguments(parser: Parser) -> None:
    """Declare what the command takes: nothing of its own."""


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do the exchanges, then show them.

    Raises:
        UsageError: this machine cannot run a local tenant.
        CustomTokenExchangeError: an exchange that should succeed did not.
    """
    demonstration = _demonstrated(console)
    if arguments.json:
        console.write_json(demo_members(demonstration))
    else:
        console.write(demo_text(demonstration, console.style))
    return 0


def _demonstrated(console: Console) -> Demonstration:
    from ..running_tenant import started_tenant

    received: Received = []
    tenant = started_tenant(lambda *pair: received.append(pair))
    try:
        options = _options(tenant)
        blocking = _exchanged(tenant, options, received)
        asynchronous = run_coroutine(_exchanged_async(tenant, options, received))
        first, second = (request for request, _ in _grants(received))
        return Demonstration(
            issuer=tenant.issuer,
            blocking=blocking,
            asynchronous=asynchronous,
            same_request=(first.headers, first.body) == (second.headers, second.body),
            refused_type=_REFUSED_TYPE,
            refusal=_refusal(tenant),
            now=console.clock(),
        )
    finally:
        tenant.close()


def _options(tenant: Tenant) -> CustomTokenExchangeOptions:
    # The support engineer acted before the agent did, so the agent's token says so.
    agent = tenant.subject_token("agent|copilot", act={"sub": "auth0|support_agent"})
    return CustomTokenExchangeOptions(
        subject_token=tenant.subject_token("auth0|alice"),
        subject_token_type=_LEGACY,
        audience="https://api.example.com",
        scope="openid read:data",
        actor_token=agent,
        actor_token_type=_LEGACY,
    )


def _exchanged(
    tenant: Tenant,
    options: CustomTokenExchangeOptions,
    received: Received,
) -> Exchange:
    from ...client import ServerClient

    events: list[Event] = []
    with ServerClient(**_keywords(tenant), on_event=events.append) as client:
        response = client.custom_token_exchange(options)
    return _seen("ServerClient", "blocking", response, events, received)


async def _exchanged_async(
    tenant: Tenant,
    options: CustomTokenExchangeOptions,
    received: Received,
) -> Exchange:
    from ...aio import AsyncServerClient

    events: list[Event] = []
    async with AsyncServerClient(**_keywords(tenant), on_event=events.append) as client:
        response = await client.custom_token_exchange(options)
    return _seen("AsyncServerClient", "asyncio", response, events, received)


def _seen(
    client: str,
    world: str,
    response: TokenExchangeResponse,
    events: Sequence[Event],
    received: Received,
) -> Exchange:
    request, reply = _grants(received)[-1]
    return Exchange(
        client=client,
        world=world,
        form=request.form,
        size=len(request.body),
        status=reply.status,
        response=response,
        events=tuple(events),
    )


def _grants(received: Received) -> Received:
    # Discovery comes before the exchange, and the keys for its ID token after it.
    return [pair for pair in received if pair[0].path == "/oauth/token"]


def _refusal(tenant: Tenant) -> RefusedError:
    from ...client import ServerClient

    options = CustomTokenExchangeOptions(
        subject_token=tenant.subject_token("auth0|alice"),
        subject_token_type=_REFUSED_TYPE,
    )
    with ServerClient(**_keywords(tenant)) as client:
        try:
            client.custom_token_exchange(options)
        except RefusedError as error:
            return error
    raise AssertionError("a reserved type was exchanged")  # pragma: no cover


def _keywords(tenant: Tenant) -> dict[str, Any]:
    return {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
    }
