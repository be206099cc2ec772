"""The two clients behind one function."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from auth0_tx import (
    AsyncServerClient,
    CustomTokenExchangeOptions,
    ServerClient,
    TokenExchangeResponse,
)
from auth0_tx.tenant import Tenant

World = Literal["blocking", "async"]
WORLDS: tuple[World, ...] = ("blocking", "async")


def settings_of(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    """Return the keywords of a client of the tenant's."""
    return {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        **changes,
    }


def options_of(tenant: Tenant, **changes: Any) -> CustomTokenExchangeOptions:
    """Return the options of a delegated exchange."""
    return CustomTokenExchangeOptions(
        **{
            "subject_token": tenant.subject_token("auth0|alice"),
            "subject_token_type": "urn:acme:legacy-token",
            "actor_token": tenant.subject_token("auth0|bob"),
            "actor_token_type": "urn:acme:legacy-token",
            "scope": "openid offline_access",
            "authorization_params": {"session_hint": "hint-0123456789-abcdefghij"},
            **changes,
        }
    )


def exchange(
    world: World,
    settings: dict[str, Any],
    options: CustomTokenExchangeOptions,
    *,
    closed: bool = False,
) -> TokenExchangeResponse:
    """Make a client, close it first if asked to, and exchange."""
    if world == "async":
        return asyncio.run(_exchange(settings, options, closed))
    with ServerClient(**settings) as client:
        if closed:
            client.close()
        return client.custom_token_exchange(options)


async def _exchange(
    settings: dict[str, Any], options: CustomTokenExchangeOptions, closed: bool
) -> TokenExchangeResponse:
    async with AsyncServerClient(**settings) as client:
        if closed:
            await client.aclose()
        return await client.custom_token_exchange(options)
