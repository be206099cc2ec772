"""On-behalf-of exchange in both worlds: the same request, and the same outcome."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from auth0_tx import AsyncServerClient, CustomTokenExchangeError, ServerClient
from auth0_tx.tenant import Api, Application, Tenant

API = "https://api.example.com"
OTHER = "https://other.example.com"


def exchange_blocking(keywords: dict[str, Any], *arguments: Any) -> Any:
    """Exchange in this thread."""
    with ServerClient(**keywords) as client:
        return client.get_token_on_behalf_of(*arguments)


def exchange_in_task(keywords: dict[str, Any], *arguments: Any) -> Any:
    """Exchange in a task."""

    async def exchange() -> Any:
        async with AsyncServerClient(**keywords) as client:
            return await client.get_token_on_behalf_of(*arguments)

    return asyncio.run(exchange())


def normalize_exchange(
    ask: Any, keywords: dict[str, Any], *arguments: Any
) -> tuple[Any, ...]:
    """Exchange, and return the outcome without the token itself, which is new each time."""
    try:
        given = ask(keywords, *arguments)
    except CustomTokenExchangeError as error:
        return type(error), error.args
    return given.scope, given.expires_in, given.token_type, given.issued_token_type


@pytest.mark.parametrize(
    ("audience", "scope", "is_good"),
    [
        (OTHER, None, True),
        (OTHER, "read:more", True),
        (OTHER, "nothing:there", False),
        (API + "/no", None, False),
        (" ", None, False),
    ],
)
def test_on_behalf_of(
    auth0_tenant: Tenant, audience: str, scope: str | None, is_good: bool
) -> None:
    """Both clients send the same, and make the same of the answer."""
    auth0_tenant.apis.add(Api(OTHER, scopes=("read:more", "write:more")))
    auth0_tenant.applications.add(
        Application("service", "secret-of-it", resource_server_identifier=API)
    )
    keywords = {
        "domain": auth0_tenant.domain,
        "client_id": "service",
        "client_secret": "secret-of-it",
        "verify": auth0_tenant.ca_file,
    }
    token = auth0_tenant.access_token("auth0|alice", API)
    outcomes = [
        normalize_exchange(ask, keywords, token, audience, scope)
        for ask in (exchange_blocking, exchange_in_task)
    ]
    bodies = [
        request.body
        for request in auth0_tenant.requests
        if request.path == "/oauth/token"
    ]

    assert outcomes[0] == outcomes[1]
    assert is_good == (not isinstance(outcomes[0][0], type))
    assert len(bodies) in (0, 2)
    assert 1 >= len(set(bodies))
