"""The check of a tenant in both worlds: the same requests, and the same report."""

from __future__ import annotations

import asyncio
from typing import Any

from auth0_tx import AsyncServerClient, ServerClient, TenantCheck
from auth0_tx.tenant import Tenant


def check_blocking(keywords: dict[str, Any]) -> TenantCheck:
    """Check the tenant in this thread."""
    with ServerClient(**keywords) as client:
        return client.check_tenant()


def check_async(keywords: dict[str, Any]) -> TenantCheck:
    """Check the tenant in a task."""

    async def check() -> TenantCheck:
        async with AsyncServerClient(**keywords) as client:
            return await client.check_tenant()

    return asyncio.run(check())


def test_tenant_check(auth0_tenant: Tenant) -> None:
    """Both clients fetch both documents, and report the same."""
    keywords = {
        "domain": auth0_tenant.domain,
        "client_id": auth0_tenant.client_id,
        "client_secret": auth0_tenant.client_secret,
        "verify": auth0_tenant.ca_file,
        "clock": lambda: 0.0,
    }
    blocking = check_blocking(keywords)
    first = auth0_tenant.requests
    awaited = check_async(keywords)
    second = auth0_tenant.requests[len(first) :]

    assert blocking.clock_skew is not None
    assert awaited.clock_skew is not None
    assert (auth0_tenant.issuer, 2) == (blocking.issuer, blocking.signing_keys)
    assert (blocking.issuer, blocking.signing_keys) == (
        awaited.issuer,
        awaited.signing_keys,
    )
    assert abs(blocking.clock_skew - awaited.clock_skew) < 60
    assert [(request.path, request.headers) for request in first] == [
        (request.path, request.headers) for request in second
    ]
