"""Bulk exchanges with a tenant that limits the rate: close to it, and nothing is lost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest

from auth0_tx import (
    AsyncServerClient,
    BulkExchangeResult,
    CustomTokenExchangeOptions,
    ServerClient,
)
from auth0_tx.tenant import Certificates, KeySupply, RateLimit, Tenant

PER_SECOND = 20
ROWS = 80


@pytest.fixture
def limited_tenant(
    auth0_tenant_keys: KeySupply, auth0_tenant_certificates: Certificates
) -> Iterator[Tenant]:
    """A tenant that lets in twenty requests a second."""
    limit = RateLimit(PER_SECOND)
    with Tenant(
        rate_limit=limit, keys=auth0_tenant_keys, certificates=auth0_tenant_certificates
    ) as tenant:
        yield tenant


def build_rows(tenant: Tenant) -> Iterator[CustomTokenExchangeOptions]:
    """Yield rows, each with a subject token of its own."""
    for _ in range(ROWS):
        yield CustomTokenExchangeOptions(
            subject_token=tenant.subject_token("auth0|alice"),
            subject_token_type="urn:acme:legacy-token",
        )


def exchange_in_threads(tenant: Tenant) -> list[BulkExchangeResult]:
    """Exchange all rows with the blocking client."""
    with ServerClient(**tenant.client_settings) as client:
        return [*client.exchange_many(build_rows(tenant))]


def exchange_in_tasks(tenant: Tenant) -> list[BulkExchangeResult]:
    """Exchange all rows with the asyncio client."""

    async def exchange() -> list[BulkExchangeResult]:
        async with AsyncServerClient(**tenant.client_settings) as client:
            rows = build_rows(tenant)
            return [result async for result in client.exchange_many(rows)]

    return asyncio.run(exchange())


@pytest.mark.parametrize("exchange", [exchange_in_threads, exchange_in_tasks])
def test_limited_tenant(limited_tenant: Tenant, exchange: object) -> None:
    """Each row is exchanged once, with hardly a 429, in about the time that the limit takes."""
    assert callable(exchange)
    began = time.monotonic()
    results = exchange(limited_tenant)
    seconds = time.monotonic() - began
    sent = Counter(
        parse_qs(request.body.decode())["subject_token"][0]
        for request in limited_tenant.requests
        if request.path == "/oauth/token"
    )

    assert [*range(ROWS)] == sorted(result.index for result in results)
    assert all(result.response is not None for result in results)
    assert ROWS == len(sent)
    # Sent again are those that were refused.
    assert sum(sent.values()) <= ROWS + 5
    # Less the burst at the start, this is the shortest time that the limit allows: 3 seconds.
    assert seconds < 3 * (ROWS - PER_SECOND) / PER_SECOND
