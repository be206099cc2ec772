"""One soak over one store, and its figures."""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

from auth0_tx import SessionPolicy
from auth0_tx.tenant import Tenant
from tests.e2e.sessions.soak.application import (
    ABSOLUTE_SECONDS,
    IDLE_SECONDS,
    TIMEOUT,
    Soak,
)
from tests.e2e.sessions.soak.browser import SoakBrowser
from tests.e2e.sessions.soak.tenant import TenantWatch
from tests.e2e.sessions.visits import add_user, make_client
from tests.stores.every_store import open_store
from tests.stores.failing_store import FailingStore

LOST_BY_TENANT = 0.05

CLIENTS = 4


async def soak_store(
    kind: str,
    tenant: Tenant,
    *,
    is_async: bool,
    seconds: float,
    count: int,
    seed: int,
    redis_url: str = "",
    pace: float = 1.7,
    is_cut_anywhere: bool = True,
) -> Soak:
    """Let *count* browsers run over a store for some *seconds*, and return the figures.

    Args:
        kind: the kind of store.
        tenant: a tenant of ``make_tenant``, which runs.
        is_async: whether the clients are asyncio's.
        seconds: how long browsers begin something new.
        count: how many browsers there are.
        seed: makes chance the same, as far as threads and tasks are.
        redis_url: where the Redis is, for stores that need one.
        pace: seconds between two things that a browser does, on average.
        is_cut_anywhere: whether blocking calls are interrupted at random instants.  An
            interrupt may then leave a lock of another library locked, as that of ``logging``.
    """
    random = Random(seed)
    policy = SessionPolicy(idle_seconds=IDLE_SECONDS, absolute_seconds=ABSOLUTE_SECONDS)
    async with contextlib.AsyncExitStack() as stack:
        watch = TenantWatch(tenant, random, LOST_BY_TENANT)
        store = await stack.enter_async_context(
            open_store(kind, is_async=is_async, redis_url=redis_url)
        )
        if kind != "cookies":
            store = FailingStore(store, awaits=is_async and kind in ("redis", "own"))

        def make() -> Any:
            return make_client(
                tenant,
                store,
                is_async=is_async,
                session_policy=policy,
                timeout=TIMEOUT,
            )

        pool = stack.enter_context(ThreadPoolExecutor(64))
        # Others that run at the same time are set up before this one begins.
        await asyncio.sleep(0)
        until = time.monotonic() + seconds
        is_cut_in_store = not is_async and (kind == "django" or not is_cut_anywhere)
        soak = Soak(
            kind,
            is_async,
            tenant,
            watch,
            make,
            random,
            pace,
            until,
            pool,
            is_cut_in_store,
        )
        soak.clients = [make() for _ in range(CLIENTS)]
        stack.push_async_callback(soak.close)
        restarts = None
        if kind != "cookies":
            store.plan(soak.choose_failure)
            restarts = asyncio.create_task(soak.restart_clients())
        browsers = [
            SoakBrowser(
                soak,
                number,
                (
                    add_user(tenant, f"{number}-a"),
                    add_user(tenant, f"{number}-b"),
                ),
            )
            for number in range(count)
        ]
        await asyncio.gather(*(browser.run() for browser in browsers))
        soak.is_faulty, watch.loss = False, 0.0
        if restarts is not None:
            restarts.cancel()
        await asyncio.gather(*(browser.look_once_more() for browser in browsers))
    return soak


def report(soak: Soak, seconds: float) -> None:
    """Print the figures of one store."""
    world = "async" if soak.is_async else "blocking"
    total = sum(soak.operations.values())
    print(f"\n{soak.kind}, {world}: {total:,} operations in {seconds:.0f} s")
    print(f"  slowest call {soak.slowest:.1f} s")
    for name, counter in (
        ("operations", soak.operations),
        ("refreshes at the tenant", soak.watch.refreshes),
        ("sessions lost or ended, by cause", soak.losses),
    ):
        print(f"  {name}:")
        for what, number in sorted(counter.items()):
            print(f"    {number:>8,}  {what}")
    print(f"  violations: {len(soak.violations)}")
    for text in soak.violations[:30]:
        print(f"    {text}")
