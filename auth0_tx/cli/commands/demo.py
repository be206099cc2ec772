"""``auth0-tx demo``: an exchange from end to end, on a local tenant.

Both clients exchange the same tokens, then one sends a request that Auth0 refuses. The
tenant records what it received, so that the report shows what was on the wire and not what
the client meant to send.
"""

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
    demo_to_json,
    format_demo,
)
from ..signals import run_coroutine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...tenant import ReceivedRequest, Reply, Tenant

    Received = list[tuple[ReceivedRequest, Reply]]

DESCRIPTION = """\
Exchange a token on a local Auth0 tenant, with the blocking and the async client: what
was sent, what came back, who acts, and what a refusal looks like.
It needs no account and no network; the tenant stops with the command."""
EPILOG = ""

_LEGACY = "urn:acme:legacy-token"
# The type that newcomers try first. Auth0 reserves it, and refuses it.
_REFUSED_TYPE = str(TokenType.ACCESS_TOKEN)


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments: none but the common ones."""


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the exchanges, then show them.

    Raises:
        CommandError: this machine cannot run a local tenant.
        CustomTokenExchangeError: an exchange that should succeed did not.
    """
    demonstration = _run_exchanges(console)
    if arguments.json:
        console.write_json(demo_to_json(demonstration))
    else:
        console.write(format_demo(demonstration, console.style))
    return 0


def _run_exchanges(console: Console) -> Demonstration:
    from ..running_tenant import start_tenant

    received: Received = []
    tenant = start_tenant(lambda request, reply: received.append((request, reply)))
    try:
        options = _make_options(tenant)
        blocking = _exchange(tenant, options, received)
        asynchronous = run_coroutine(_exchange_async(tenant, options, received))
        first, second = (request for request, _ in _select_grants(received))
        return Demonstration(
            issuer=tenant.issuer,
            blocking=blocking,
            asynchronous=asynchronous,
            same_request=(first.headers, first.body) == (second.headers, second.body),
            refused_type=_REFUSED_TYPE,
            refusal=_provoke_refusal(tenant),
            now=console.clock(),
        )
    finally:
        tenant.close()


def _make_options(tenant: Tenant) -> CustomTokenExchangeOptions:
    # RFC 8693 section 4.1: the agent's own token names who acted before the agent did.
    agent = tenant.subject_token("agent|copilot", act={"sub": "auth0|support_agent"})
    return CustomTokenExchangeOptions(
        subject_token=tenant.subject_token("auth0|alice"),
        subject_token_type=_LEGACY,
        audience="https://api.example.com",
        scope="openid read:data",
        actor_token=agent,
        actor_token_type=_LEGACY,
    )


def _exchange(
    tenant: Tenant,
    options: CustomTokenExchangeOptions,
    received: Received,
) -> Exchange:
    from ...client import ServerClient

    events: list[Event] = []
    with ServerClient(**_make_keywords(tenant), on_event=events.append) as client:
        response = client.custom_token_exchange(options)
    return _record("ServerClient", "blocking", response, events, received)


async def _exchange_async(
    tenant: Tenant,
    options: CustomTokenExchangeOptions,
    received: Received,
) -> Exchange:
    from ...aio import AsyncServerClient

    events: list[Event] = []
    async with AsyncServerClient(
        **_make_keywords(tenant), on_event=events.append
    ) as client:
        response = await client.custom_token_exchange(options)
    return _record("AsyncServerClient", "asyncio", response, events, received)


def _record(
    client: str,
    world: str,
    response: TokenExchangeResponse,
    events: Sequence[Event],
    received: Received,
) -> Exchange:
    request, reply = _select_grants(received)[-1]
    return Exchange(
        client=client,
        world=world,
        form=request.form,
        size=len(request.body),
        status=reply.status,
        response=response,
        events=tuple(events),
    )


def _select_grants(received: Received) -> Received:
    # Discovery comes before the exchange, and the keys to verify its ID token after it.
    return [pair for pair in received if pair[0].path == "/oauth/token"]


def _provoke_refusal(tenant: Tenant) -> RefusedError:
    from ...client import ServerClient

    options = CustomTokenExchangeOptions(
        subject_token=tenant.subject_token("auth0|alice"),
        subject_token_type=_REFUSED_TYPE,
    )
    with ServerClient(**_make_keywords(tenant)) as client:
        try:
            client.custom_token_exchange(options)
        except RefusedError as error:
            return error
    raise AssertionError("a reserved type was exchanged")  # pragma: no cover


def _make_keywords(tenant: Tenant) -> dict[str, Any]:
    return {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
    }
