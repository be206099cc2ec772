"""However many callers ask for an expired token, Auth0 sees one refresh."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import Barrier
from typing import Any

import pytest
import redis
import redis.asyncio

from auth0_tx import AsyncServerClient, ServerClient
from auth0_tx.stores import MemoryStore, RedisStore
from auth0_tx.tenant import Tenant
from tests.e2e.sessions.logins import (
    AUDIENCE,
    Browser,
    count_refreshes,
    log_in,
    log_in_async,
    make_settings,
)
from tests.e2e.sessions.processes import AskingProcess

CALLERS = 64
PROCESSES = 4


def _keep_in_cookies(url: str, prefix: str) -> None:
    return None


def _keep_in_memory(url: str, prefix: str) -> MemoryStore:
    return MemoryStore()


def _keep_in_redis(url: str, prefix: str) -> RedisStore:
    return RedisStore(redis.Redis.from_url(url), prefix=prefix, timeout=20)


@asynccontextmanager
async def _open_async_redis(url: str, prefix: str) -> AsyncIterator[RedisStore]:
    async with redis.asyncio.Redis.from_url(url) as connection:
        yield RedisStore(connection, prefix=prefix, timeout=20)


@asynccontextmanager
async def _open_cookies(url: str, prefix: str) -> AsyncIterator[None]:
    yield None


@asynccontextmanager
async def _open_memory(url: str, prefix: str) -> AsyncIterator[MemoryStore]:
    yield MemoryStore()


@pytest.mark.parametrize("store", [_keep_in_cookies, _keep_in_memory, _keep_in_redis])
def test_threads(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    store: Callable[[str, str], Any],
) -> None:
    """Threads with one session's cookies share a refresh and its tokens."""
    keeping = store(redis_url, redis_prefix)
    with ServerClient(**make_settings(auth0_tenant, state_store=keeping)) as client:
        browser, together = log_in(client, auth0_tenant), Barrier(CALLERS)

        def ask(_: int) -> tuple[str, dict[str, str]]:
            mine = Browser(dict(browser.cookies))
            options = mine.request()
            together.wait()
            token = client.get_access_token(options, AUDIENCE)
            mine.take(options)
            return token, mine.cookies

        with ThreadPoolExecutor(CALLERS) as threads:
            answers = list(threads.map(ask, range(CALLERS)))
        kept = {read_refresh_token(client, cookies) for _, cookies in answers}

    assert 1 == count_refreshes(auth0_tenant)
    assert 1 == len({token for token, _ in answers})
    assert 1 == len(kept)


def read_refresh_token(client: ServerClient, cookies: dict[str, str]) -> str:
    session = client.get_session(Browser(cookies).request())
    assert session is not None
    return str(session["refresh_token"])


@pytest.mark.parametrize("opened", [_open_cookies, _open_memory, _open_async_redis])
async def test_tasks(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    opened: Callable[[str, str], Any],
) -> None:
    """Tasks with one session's cookies share a refresh and its tokens."""
    async with (
        opened(redis_url, redis_prefix) as store,
        AsyncServerClient(**make_settings(auth0_tenant, state_store=store)) as client,
    ):
        browser = await log_in_async(client, auth0_tenant)

        async def ask() -> str:
            return await client.get_access_token(
                Browser(dict(browser.cookies)).request(), AUDIENCE
            )

        tokens = await asyncio.gather(*(ask() for _ in range(CALLERS)))

    assert 1 == count_refreshes(auth0_tenant)
    assert 1 == len(set(tokens))


async def test_leader_that_is_cancelled(auth0_tenant: Tenant) -> None:
    """A refresh whose first caller is cancelled goes on for the others, and is sent once."""
    keywords = make_settings(auth0_tenant, state_store=MemoryStore())
    async with AsyncServerClient(**keywords) as client:
        browser = await log_in_async(client, auth0_tenant)

        async def ask() -> str:
            return await client.get_access_token(
                Browser(dict(browser.cookies)).request(), AUDIENCE
            )

        leader, *others = [asyncio.create_task(ask()) for _ in range(8)]
        while count_refreshes(auth0_tenant) == 0:
            await asyncio.sleep(0)
        leader.cancel()
        tokens = await asyncio.gather(*others)

    assert leader.cancelled()
    assert 1 == count_refreshes(auth0_tenant)
    assert 1 == len(set(tokens))


async def test_audiences(auth0_tenant: Tenant) -> None:
    """Callers for several audiences take turns with the refresh token: none is reused."""
    keywords = make_settings(auth0_tenant)
    async with AsyncServerClient(**keywords) as client:
        browser = await log_in_async(client, auth0_tenant)

        async def ask(scope: str | None) -> str:
            return await client.get_access_token(
                Browser(dict(browser.cookies)).request(), AUDIENCE, scope
            )

        scopes = [None, "read:data", "openid"] * 4
        tokens = await asyncio.gather(*(ask(scope) for scope in scopes))

    assert 12 == len(tokens)
    assert 1 <= count_refreshes(auth0_tenant) <= 3
    assert [] == [log for log in auth0_tenant.logs if log.type == "ferrt"]


@pytest.mark.parametrize("world", ["blocking", "async"])
def test_processes(
    auth0_tenant: Tenant, redis_url: str, redis_prefix: str, world: str
) -> None:
    """Four processes of sixteen callers each, over one Redis, refresh once."""
    store = RedisStore(redis.Redis.from_url(redis_url), prefix=redis_prefix, timeout=20)
    with ServerClient(**make_settings(auth0_tenant, state_store=store)) as client:
        browser = log_in(client, auth0_tenant)
        place = auth0_tenant, redis_url, redis_prefix, browser
        processes = [
            AskingProcess(*place, world, CALLERS // PROCESSES) for _ in range(PROCESSES)
        ]
        for process in processes:
            process.wait_until_ready()
        for process in processes:
            process.ask()
        answers = [answer for process in processes for answer in process.read_answers()]

    assert CALLERS == len(answers)
    assert 1 == len(set(answers))
    assert 1 == count_refreshes(auth0_tenant)
