"""The lock of a session in Redis: real processes, of which some die or stand still."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any, ClassVar

import pytest
import redis
import redis.asyncio

from auth0_tx import AsyncServerClient, ServerClient
from auth0_tx.core.session.lock import LOCK_SECONDS
from auth0_tx.stores import RedisStore
from auth0_tx.tenant import Tenant, faults
from tests.e2e.sessions.logins import (
    AUDIENCE,
    Browser,
    count_refreshes,
    log_in,
    log_in_async,
    make_settings,
)
from tests.e2e.sessions.processes import AskingProcess

worlds = pytest.mark.parametrize("world", ["blocking", "async"])


class CountingRedis(redis.Redis):
    """A client that counts its commands."""

    commands: ClassVar[Counter[str]] = Counter()

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """Count a command, and execute it."""
        self.commands[str(arguments[0])] += 1
        return super().execute_command(*arguments, **options)


class AsyncCountingRedis(redis.asyncio.Redis):
    """The same for tasks."""

    commands: ClassVar[Counter[str]] = Counter()

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """Count a command, and execute it."""
        self.commands[str(arguments[0])] += 1
        return await super().execute_command(*arguments, **options)


REFRESH = {"GET": 1, "EVAL": 2}
"""Read the session; lock it; save and unlock it."""


def test_commands(auth0_tenant: Tenant, redis_url: str, redis_prefix: str) -> None:
    """A refresh costs three commands, and a token that lasts one."""
    connection = CountingRedis.from_url(redis_url)
    store = RedisStore(connection, prefix=redis_prefix)
    with (
        closing(connection),
        ServerClient(**make_settings(auth0_tenant, state_store=store)) as client,
    ):
        browser = log_in(client, auth0_tenant)
        CountingRedis.commands.clear()
        client.get_access_token(browser.request(), AUDIENCE)
        refresh = dict(CountingRedis.commands)
        CountingRedis.commands.clear()
        client.get_access_token(browser.request(), AUDIENCE)

    assert REFRESH == refresh
    assert {"GET": 1} == CountingRedis.commands


async def test_commands_of_tasks(
    auth0_tenant: Tenant, redis_url: str, redis_prefix: str
) -> None:
    """The same for tasks."""
    async with AsyncCountingRedis.from_url(redis_url) as connection:
        store = RedisStore(connection, prefix=redis_prefix)
        settings = make_settings(auth0_tenant, state_store=store)
        async with AsyncServerClient(**settings) as client:
            browser = await log_in_async(client, auth0_tenant)
            AsyncCountingRedis.commands.clear()
            await client.get_access_token(browser.request(), AUDIENCE)

    assert REFRESH == AsyncCountingRedis.commands


@pytest.fixture
def client(
    auth0_tenant: Tenant, redis_url: str, redis_prefix: str
) -> Iterator[ServerClient]:
    """A client of this process, with the default timeout."""
    with closing(redis.Redis.from_url(redis_url)) as connection:
        store = RedisStore(connection, prefix=redis_prefix)
        with ServerClient(**make_settings(auth0_tenant, state_store=store)) as client:
            yield client


@pytest.fixture
def browser(client: ServerClient, auth0_tenant: Tenant) -> Browser:
    """A browser whose access token is about to expire."""
    return log_in(client, auth0_tenant)


def start_holder(
    world: str, tenant: Tenant, url: str, prefix: str, browser: Browser, **settings: Any
) -> AskingProcess:
    """Return a process whose refresh has reached the tenant."""
    process = AskingProcess(tenant, url, prefix, browser, world, **settings)
    process.wait_until_ready()
    process.ask()
    give_up = time.monotonic() + 20
    while count_refreshes(tenant) == 0:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    return process


@worlds
def test_holder_that_is_killed(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    client: ServerClient,
    browser: Browser,
    world: str,
) -> None:
    """It is succeeded within seconds, by a call with the default timeout."""
    # The tenant never takes the holder's request.
    auth0_tenant.inject(faults.silence(), path="/oauth/token", times=1)
    holder = start_holder(world, auth0_tenant, redis_url, redis_prefix, browser)
    holder.close()
    started = time.monotonic()
    token = client.get_access_token(browser.request(), AUDIENCE)
    took = time.monotonic() - started

    assert 2 == token.count(".")
    assert 2 == count_refreshes(auth0_tenant)
    assert LOCK_SECONDS <= took < LOCK_SECONDS + 1.5


@worlds
def test_slow_server(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    browser: Browser,
    world: str,
) -> None:
    """Two processes refresh once, although the server takes longer than a dead lock lasts."""
    auth0_tenant.inject(
        faults.latency(LOCK_SECONDS + 1.5), path="/oauth/token", times=1
    )
    place = auth0_tenant, redis_url, redis_prefix, browser
    holder = start_holder(world, *place, timeout=15.0)
    other = AskingProcess(*place, world, timeout=15.0)
    other.wait_until_ready()
    other.ask()

    assert holder.read_answers() == other.read_answers()
    assert 1 == count_refreshes(auth0_tenant)


@worlds
def test_holder_that_stands_still(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    client: ServerClient,
    browser: Browser,
    world: str,
) -> None:
    """A process that stands still for two seconds keeps its lock."""
    auth0_tenant.inject(faults.latency(2.5), path="/oauth/token", times=1)
    holder = start_holder(world, auth0_tenant, redis_url, redis_prefix, browser)
    holder.send_signal(signal.SIGSTOP)
    going_on = threading.Timer(2.0, holder.send_signal, [signal.SIGCONT])
    going_on.start()
    token = client.get_access_token(browser.request(), AUDIENCE)
    going_on.join()

    assert [token] == holder.read_answers()
    assert 1 == count_refreshes(auth0_tenant)
