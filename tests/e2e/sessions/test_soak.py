"""The soak runs, and finds nothing in a few seconds; the long runs are made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from auth0_tx.tenant import Certificates, KeySupply
from tests.e2e.sessions.soak.run import soak_store
from tests.e2e.sessions.soak.tenant import make_tenant

KINDS = {
    "in cookies": [("cookies", False), ("cookies", True)],
    # Django's cache blocks, which the async client refuses.
    "on the server": [
        ("memory", False),
        ("memory", True),
        ("redis", False),
        ("redis", True),
        ("django", False),
    ],
}


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
async def test_two_seconds(
    redis_url: str,
    kinds: Sequence[tuple[str, bool]],
    auth0_tenant_keys: KeySupply,
    auth0_tenant_certificates: Certificates,
) -> None:
    """A few browsers over each store, in both worlds, while everything fails now and then."""
    with ExitStack() as stack:
        tenants = [
            stack.enter_context(
                make_tenant(
                    keys=auth0_tenant_keys, certificates=auth0_tenant_certificates
                )
            )
            for _ in kinds
        ]
        soaks = await asyncio.gather(
            *(
                soak_store(
                    kind,
                    tenant,
                    is_async=is_async,
                    seconds=2.0,
                    count=8,
                    seed=20,
                    redis_url=redis_url if kind == "redis" else "",
                    pace=0.2,
                    is_cut_anywhere=False,
                )
                for tenant, (kind, is_async) in zip(tenants, kinds, strict=True)
            )
        )

    assert [] == [text for soak in soaks for text in soak.violations]
    assert all(soak.operations for soak in soaks)
    assert sum(soak.watch.refreshes["good"] for soak in soaks) > 0
