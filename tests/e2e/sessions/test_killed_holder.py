"""The holder of a session's lock is killed: the next caller gets a token, in one call."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

import redis
import redis.asyncio

from auth0_tx import LoginRequiredError
from auth0_tx.stores import RedisStore
from auth0_tx.tenant import Certificates, Fault, KeySupply, Tenant, faults
from auth0_tx.tenant.connection import Hold, Step
from auth0_tx.tenant.faults import Exchange
from tests.e2e.sessions.logins import AUDIENCE, Browser, count_refreshes
from tests.e2e.sessions.visits import (
    LOGIN,
    Visit,
    build_options,
    close,
    list_reuses,
    make_client,
    read_claims,
    visit,
)
from tests.stores.both_worlds import close_client

CHILD = Path(__file__).with_name("holding_process.py")
ALICE = "auth0|alice"
LONGEST = 8.0
"""Seconds: a dead holder's lock is taken over after four, and a machine may be busy."""


def act_and_hold() -> Fault:
    """Return a fault that processes the request, and never answers."""

    def deliver(exchange: Exchange) -> Iterator[Step]:
        exchange.process()
        yield Hold()

    return Fault("act_and_hold()", deliver)


@contextmanager
def kill_holder(tenant: Tenant, world: str, told: dict[str, Any]) -> Iterator[None]:
    """Run a process until its refresh has reached the tenant, and kill it."""
    child = Popen(
        [sys.executable, str(CHILD), world],
        stdin=PIPE,
        stdout=DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHILD.parents[3])},
    )
    try:
        assert child.stdin is not None
        child.stdin.write(json.dumps(told) + "\n")
        child.stdin.flush()
        while count_refreshes(tenant) == 0:
            assert child.poll() is None, "the process ended before it held the lock"
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        yield
    finally:
        child.kill()
        child.communicate()


async def ask_after_kill(
    tenant: Tenant, fault: Fault, world: str, redis_url: str, prefix: str
) -> tuple[Visit, float]:
    """Kill a holder; return how the next caller's one call went, and how long it took."""
    is_async = world == "async"
    kind: Any = redis.asyncio if is_async else redis
    connection = kind.Redis.from_url(redis_url)
    store = RedisStore(connection, prefix=f"{prefix}{tenant.domain}:")
    client = make_client(tenant, store, is_async=is_async)
    browser = Browser()
    done = await visit(client, browser, LOGIN, build_options(tenant, ALICE))
    browser.take(done.answer)
    tenant.inject(fault)
    told = {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        "redis": redis_url,
        "prefix": f"{prefix}{tenant.domain}:",
        "cookies": browser.cookies,
    }
    with kill_holder(tenant, world, told):
        started = time.monotonic()
        done = await visit(client, browser, "get_access_token", AUDIENCE)
        took = time.monotonic() - started
    await close(client)
    await close_client(connection)
    return done, took


async def test_killed_holders(
    redis_url: str,
    redis_prefix: str,
    auth0_tenant_keys: KeySupply,
    auth0_tenant_certificates: Certificates,
) -> None:
    """With the default timeout one call is enough: a token, or the news that it is spent.

    If the tenant had acted on the dead holder's request, nobody has the refresh token that
    followed, and the user must log in.
    """
    cases = list(itertools.product(("blocking", "async"), ("before", "after")))
    with ExitStack() as stack:
        tenants = [
            stack.enter_context(
                Tenant(keys=auth0_tenant_keys, certificates=auth0_tenant_certificates)
            )
            for _ in cases
        ]
        for tenant in tenants:
            # It has expired before the process asks for it.
            tenant.apis.change(AUDIENCE, token_lifetime=1)

        def run(tenant: Tenant, world: str, moment: str) -> tuple[Visit, float]:
            fault = faults.silence() if moment == "before" else act_and_hold()
            return asyncio.run(
                ask_after_kill(tenant, fault, world, redis_url, redis_prefix)
            )

        # Each in its thread, as each waits for some seconds.
        ended = await asyncio.gather(
            *(
                asyncio.to_thread(run, tenant, *case)
                for tenant, case in zip(tenants, cases, strict=True)
            )
        )
        for tenant, (_, moment), (done, took) in zip(
            tenants, cases, ended, strict=True
        ):
            assert took < LONGEST
            assert 2 == count_refreshes(tenant)
            if moment == "before":
                assert done.error is None
                assert ALICE == read_claims(done.value)["sub"]
                assert [] == list_reuses(tenant)
            else:
                assert isinstance(done.error, LoginRequiredError)
