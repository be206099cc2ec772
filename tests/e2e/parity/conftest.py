"""Tenants for the scenarios, on a clock that stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from auth0_tx.tenant import Certificates, KeySupply, Tenant
from tests.e2e.parity.playing import Clock


@pytest.fixture
def clock() -> Clock:
    """The clock of tenants and clients."""
    return Clock()


@pytest.fixture
def new_tenant(
    auth0_tenant_keys: KeySupply, auth0_tenant_certificates: Certificates, clock: Clock
) -> Iterator[Callable[..., Tenant]]:
    """A factory of running tenants."""
    made: list[Tenant] = []

    def start_tenant(**settings: Any) -> Tenant:
        defaults = {
            "keys": auth0_tenant_keys,
            "certificates": auth0_tenant_certificates,
            "clock": clock,
        }
        made.append(Tenant(**{**defaults, **settings}).start())
        return made[-1]

    yield start_tenant
    for tenant in made:
        tenant.close()
