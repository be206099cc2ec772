"""The tenant changes its signing key while many callers verify: none of them notices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from auth0_tx import (
    AsyncServerClient,
    CustomTokenExchangeOptions,
    ServerClient,
    TokenExchangeResponse,
)
from auth0_tx.core.jose.jws import key_id
from auth0_tx.tenant import Certificates, KeySupply, Settings, Tenant
from tests.e2e.concurrency.volume import KEYS

FLIPS = 10
# Longer than unknown key ids must wait for another fetch.
STEP = 31.0


class Clock:
    """The time of the tenant and of the client, which the test moves on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    """A clock that tells the time, until it is moved on."""
    return Clock()


@pytest.fixture
def tenant(
    clock: Clock,
    auth0_tenant_keys: KeySupply,
    auth0_tenant_certificates: Certificates,
) -> Iterator[Tenant]:
    """A tenant whose keys may be kept for long, so that only an unknown key asks anew."""
    with Tenant(
        clock=clock,
        settings=Settings(cache_control="max-age=86400"),
        keys=auth0_tenant_keys,
        certificates=auth0_tenant_certificates,
    ) as tenant:
        yield tenant


def settings(tenant: Tenant, clock: Clock) -> dict[str, Any]:
    """Return the keywords of a client of the tenant's, on the same clock."""
    return {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        "max_connections": 16,
        "timeout": 60.0,
        "clock": clock,
    }


class Load:
    """What the callers exchange, and what they found so far."""

    def __init__(self, tenant: Tenant) -> None:
        self.options = CustomTokenExchangeOptions(
            subject_token=tenant.subject_token("auth0|alice"),
            subject_token_type="urn:acme:legacy-token",
            actor_token=tenant.subject_token("auth0|bob"),
            actor_token_type="urn:acme:legacy-token",
            scope="openid",
        )
        self.verified = 0
        self.keys: set[str | None] = set()
        self.refused: list[object] = []
        self.over = False

    def note(self, response: TokenExchangeResponse) -> None:
        """Take one answer."""
        if response.act == {"sub": "auth0|bob"}:
            assert response.id_token is not None
            self.keys.add(key_id(response.id_token))
            self.verified += 1
        else:
            self.refused.append(response.act_error)


def assert_all_verified(load: Load, tenant: Tenant) -> None:
    """Every token had its actor, at the price of a fetch for each flip at the most."""
    assert [] == load.refused
    assert FLIPS + 1 == len(load.keys)
    # A key is published before it signs, so each second one is new to the client.
    assert 1 + FLIPS // 2 <= tenant.count(KEYS) <= 1 + FLIPS


def test_rotation_under_threads(tenant: Tenant, clock: Clock) -> None:
    """64 threads verify while the key flips 10 times: no good token is refused."""
    load = Load(tenant)
    with ServerClient(**settings(tenant, clock)) as client:

        def verify() -> None:
            while not load.over:
                load.note(client.custom_token_exchange(load.options))

        with ThreadPoolExecutor(64) as pool:
            callers = [pool.submit(verify) for _ in range(64)]
            try:
                for flip in range(1, FLIPS + 1):
                    while len(load.keys) < flip and not load.refused:
                        time.sleep(0.002)
                    clock.ahead += STEP
                    tenant.rotate_signing_key()
                while len(load.keys) <= FLIPS and not load.refused:
                    time.sleep(0.002)
            finally:
                load.over = True
            for caller in callers:
                caller.result()

    assert_all_verified(load, tenant)


async def test_rotation_under_tasks(tenant: Tenant, clock: Clock) -> None:
    """1,100 tasks verify while the key flips 10 times: no good token is refused."""
    load = Load(tenant)
    async with AsyncServerClient(**settings(tenant, clock)) as client:

        async def verify() -> None:
            load.note(await client.custom_token_exchange(load.options))

        tasks: list[asyncio.Task[None]] = []
        for flip in range(FLIPS + 1):
            tasks += [asyncio.create_task(verify()) for _ in range(100)]
            while len(load.keys) <= flip and not load.refused:
                await asyncio.sleep(0.002)
            # Most of the hundred are under way when the key flips.
            if flip < FLIPS:
                clock.ahead += STEP
                await asyncio.to_thread(tenant.rotate_signing_key)
        await asyncio.gather(*tasks)

    assert 1_100 == load.verified
    assert_all_verified(load, tenant)
