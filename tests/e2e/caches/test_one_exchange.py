"""However many callers exchange one token at once, Auth0 sees one exchange."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from threading import Barrier
from typing import Any

import pytest
import redis
import redis.asyncio

from auth0_tx import (
    AsyncServerClient,
    CustomTokenExchangeError,
    CustomTokenExchangeOptions,
    RefusedError,
    ServerClient,
)
from auth0_tx.caches import MemoryTokenCache, RedisTokenCache
from auth0_tx.tenant import Tenant, User, faults
from tests.redis_server import RedisServer

CALLERS = 200
PROCESSES = 4
CHILD = Path(__file__).with_name("exchanging_process.py")


def build_options(
    tenant: Tenant, user: str = "auth0|alice"
) -> CustomTokenExchangeOptions:
    """Return the options of an exchange of a token of *user*."""
    return CustomTokenExchangeOptions(
        subject_token=tenant.subject_token(user),
        subject_token_type="urn:acme:legacy-token",
    )


def make_settings(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    """Return the keywords of a client of the tenant."""
    return {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        **changes,
    }


def count_exchanges(tenant: Tenant) -> int:
    """Return how many exchanges the tenant has seen."""
    return tenant.count("/oauth/token")


@contextmanager
def open_memory_cache(_url: str, _prefix: str) -> Iterator[MemoryTokenCache]:
    """Return a cache in the memory of this process."""
    yield MemoryTokenCache()


@contextmanager
def open_redis_cache(url: str, prefix: str) -> Iterator[RedisTokenCache]:
    """Return a cache in Redis for the blocking client."""
    with redis.Redis.from_url(url) as connection:
        yield RedisTokenCache(connection, prefix=prefix, timeout=20)


@asynccontextmanager
async def open_async_memory_cache(
    _url: str, _prefix: str
) -> AsyncIterator[MemoryTokenCache]:
    """Return a cache in the memory of this process."""
    yield MemoryTokenCache()


@asynccontextmanager
async def open_async_redis_cache(
    url: str, prefix: str
) -> AsyncIterator[RedisTokenCache]:
    """Return a cache in Redis for the asyncio client."""
    async with redis.asyncio.Redis.from_url(url) as connection:
        yield RedisTokenCache(connection, prefix=prefix, timeout=20)


@pytest.mark.parametrize("open_cache", [open_memory_cache, open_redis_cache])
def test_threads(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    open_cache: Callable[[str, str], Any],
) -> None:
    """Two hundred threads with one cold token make one exchange."""
    together = Barrier(CALLERS)
    wanted = build_options(auth0_tenant)
    with (
        open_cache(redis_url, redis_prefix) as cache,
        ServerClient(**make_settings(auth0_tenant, token_cache=cache)) as client,
    ):

        def ask(_: int) -> str:
            together.wait()
            return client.custom_token_exchange(wanted).access_token

        with ThreadPoolExecutor(CALLERS) as threads:
            answers = set(threads.map(ask, range(CALLERS)))

    assert 1 == len(answers)
    assert 1 == count_exchanges(auth0_tenant)


@pytest.mark.parametrize(
    "open_cache", [open_async_memory_cache, open_async_redis_cache]
)
async def test_tasks(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    open_cache: Callable[[str, str], Any],
) -> None:
    """Two hundred tasks with one cold token make one exchange."""
    wanted = build_options(auth0_tenant)
    async with (
        open_cache(redis_url, redis_prefix) as cache,
        AsyncServerClient(**make_settings(auth0_tenant, token_cache=cache)) as client,
    ):
        answers = await asyncio.gather(
            *(client.custom_token_exchange(wanted) for _ in range(CALLERS))
        )

    assert 1 == len({answer.access_token for answer in answers})
    assert 1 == count_exchanges(auth0_tenant)


def start_children(
    tenant: Tenant, url: str, prefix: str, world: str, count: int, processes: int
) -> list[Popen[str]]:
    """Start processes that are about to exchange the same token."""
    told = {
        **make_settings(tenant),
        "redis": url,
        "prefix": prefix,
        "subject_token": str(build_options(tenant).subject_token),
    }
    children = [
        Popen(
            [sys.executable, str(CHILD), world, str(count)],
            stdin=PIPE,
            stdout=PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(CHILD.parents[3])},
        )
        for _ in range(processes)
    ]
    for child in children:
        _say(child, json.dumps(told))
    for child in children:
        assert child.stdout is not None
        assert "ready\n" == child.stdout.readline()
    return children


def _say(child: Popen[str], line: str) -> None:
    assert child.stdin is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()


@pytest.mark.parametrize("world", ["blocking", "async"])
def test_processes(
    auth0_tenant: Tenant, redis_url: str, redis_prefix: str, world: str
) -> None:
    """Four processes of fifty callers each, over one Redis, make one exchange."""
    children = start_children(
        auth0_tenant,
        redis_url,
        redis_prefix,
        world,
        CALLERS // PROCESSES,
        PROCESSES,
    )
    for child in children:
        _say(child, "go")
    answers: list[str] = []
    for child in children:
        output, _ = child.communicate(timeout=60)
        answers += json.loads(output)

    assert CALLERS == len(answers)
    assert 1 == len(set(answers))
    assert 1 == count_exchanges(auth0_tenant)


def test_process_that_dies(
    auth0_tenant: Tenant, redis_url: str, redis_prefix: str
) -> None:
    """A process that is killed while it exchanges leaves nobody waiting."""
    auth0_tenant.inject(faults.silence(), path="/oauth/token", times=1)
    (child,) = start_children(
        auth0_tenant, redis_url, redis_prefix, "blocking", 1, processes=1
    )
    _say(child, "go")
    while count_exchanges(auth0_tenant) == 0:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    with (
        open_redis_cache(redis_url, redis_prefix) as cache,
        ServerClient(**make_settings(auth0_tenant, token_cache=cache)) as client,
    ):
        answer = client.custom_token_exchange(build_options(auth0_tenant))

    assert answer.access_token
    assert 2 == count_exchanges(auth0_tenant)


@pytest.mark.parametrize(
    "open_cache", [open_async_memory_cache, open_async_redis_cache]
)
async def test_cancelled(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    open_cache: Callable[[str, str], Any],
) -> None:
    """If any of the waiting callers is cancelled, the others share one response."""
    auth0_tenant.inject(faults.latency(0.2), path="/oauth/token", times=1)
    wanted = build_options(auth0_tenant)
    async with (
        open_cache(redis_url, redis_prefix) as cache,
        AsyncServerClient(**make_settings(auth0_tenant, token_cache=cache)) as client,
    ):
        tasks = [
            asyncio.create_task(client.custom_token_exchange(wanted)) for _ in range(9)
        ]
        while count_exchanges(auth0_tenant) == 0:
            await asyncio.sleep(0.01)
        for task in tasks[:5]:
            task.cancel()
        answers = await asyncio.gather(*tasks[5:])
        # All who wait go away, and so does their exchange.
        other = build_options(auth0_tenant, "auth0|bob")
        auth0_tenant.inject(faults.silence(), path="/oauth/token", times=1)
        alone = asyncio.create_task(client.custom_token_exchange(other))
        while count_exchanges(auth0_tenant) == 1:
            await asyncio.sleep(0.01)
        alone.cancel()
        await asyncio.wait([alone])
        async with asyncio.timeout(3):
            again = await client.custom_token_exchange(other)

    assert 1 == len({answer.access_token for answer in answers})
    assert again.access_token
    assert 3 == count_exchanges(auth0_tenant)


def test_shared_refusal(auth0_tenant: Tenant) -> None:
    """A token that many exchange at once is refused once, and again the next time."""
    together = Barrier(20)
    wanted = CustomTokenExchangeOptions(
        subject_token="nobody's", subject_token_type="urn:acme:legacy-token"
    )
    auth0_tenant.inject(faults.latency(0.3), path="/oauth/token", times=1)
    with ServerClient(
        **make_settings(auth0_tenant, token_cache=MemoryTokenCache())
    ) as client:

        def ask(_: int) -> CustomTokenExchangeError | None:
            together.wait()
            try:
                client.custom_token_exchange(wanted)
            except CustomTokenExchangeError as error:
                return error
            return None

        with ThreadPoolExecutor(20) as threads:
            errors = list(threads.map(ask, range(20)))
        with pytest.raises(RefusedError):
            client.custom_token_exchange(wanted)

    assert {RefusedError} == {type(error) for error in errors}
    assert 20 == len({id(error) for error in errors})
    assert 2 == count_exchanges(auth0_tenant)


def test_users_are_apart(
    auth0_tenant: Tenant, redis_url: str, redis_prefix: str
) -> None:
    """Many users at once, each many times, get their own tokens."""
    users = [f"auth0|user_{number}" for number in range(20)]
    for user in users:
        auth0_tenant.users.add(User(user))
    tokens = {user: build_options(auth0_tenant, user) for user in users}
    with (
        open_redis_cache(redis_url, redis_prefix) as cache,
        ServerClient(**make_settings(auth0_tenant, token_cache=cache)) as client,
        ThreadPoolExecutor(20) as threads,
    ):
        given = list(
            threads.map(
                lambda user: (
                    user,
                    client.custom_token_exchange(tokens[user]).access_token,
                ),
                users * 10,
            )
        )

    assert 20 == len(set(given)) == len({token for _, token in given})
    assert 20 == count_exchanges(auth0_tenant)


def test_redis_goes_down(
    auth0_tenant: Tenant,
    redis_server: Callable[[], RedisServer],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """When Redis goes down, exchanges go on without it; when it is back, so is the cache."""
    server = redis_server()
    wanted = build_options(auth0_tenant)
    with (
        caplog.at_level(logging.WARNING, "auth0_tx"),
        redis.Redis.from_url(server.url) as connection,
        ServerClient(
            **make_settings(auth0_tenant, token_cache=RedisTokenCache(connection))
        ) as client,
    ):
        client.custom_token_exchange(wanted)
        client.custom_token_exchange(wanted)
        cached = count_exchanges(auth0_tenant)
        server.kill()
        for _ in range(3):
            client.custom_token_exchange(wanted)
        without = count_exchanges(auth0_tenant) - cached
        server.start()
        # The cache is asked again after a few seconds.
        until = time.monotonic() + 20
        while client._context.cache_state.is_resting(time.monotonic()):
            assert time.monotonic() < until
            time.sleep(0.1)
        client.custom_token_exchange(wanted)
        before = count_exchanges(auth0_tenant)
        client.custom_token_exchange(wanted)

    assert 1 == cached
    assert 3 == without
    assert before == count_exchanges(auth0_tenant)
    assert ["auth0_tx.cache"] == [record.name for record in caplog.records]
