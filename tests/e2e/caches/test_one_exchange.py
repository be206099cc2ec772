"""However many ask for the same at once, Auth0 is asked once; and nobody waits for the dead."""

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


def options(tenant: Tenant, user: str = "auth0|alice") -> CustomTokenExchangeOptions:
    """Give the options of an exchange of a token of *user*'s."""
    return CustomTokenExchangeOptions(
        subject_token=tenant.subject_token(user),
        subject_token_type="urn:acme:legacy-token",
    )


def settings_of(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    """Give the keywords of a client of the tenant's."""
    return {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        **changes,
    }


def exchanges(tenant: Tenant) -> int:
    """Give how many exchanges the tenant was asked for."""
    return tenant.count("/oauth/token")


@contextmanager
def in_memory(_url: str, _prefix: str) -> Iterator[MemoryTokenCache]:
    """Give a cache of this process's."""
    yield MemoryTokenCache()


@contextmanager
def in_redis(url: str, prefix: str) -> Iterator[RedisTokenCache]:
    """Give a cache for the blocking client."""
    with redis.Redis.from_url(url) as connection:
        yield RedisTokenCache(connection, prefix=prefix, timeout=20)


@asynccontextmanager
async def in_memory_too(_url: str, _prefix: str) -> AsyncIterator[MemoryTokenCache]:
    """Give a cache of this process's."""
    yield MemoryTokenCache()


@asynccontextmanager
async def in_async_redis(url: str, prefix: str) -> AsyncIterator[RedisTokenCache]:
    """Give a cache for the asyncio client."""
    async with redis.asyncio.Redis.from_url(url) as connection:
        yield RedisTokenCache(connection, prefix=prefix, timeout=20)


@pytest.mark.parametrize("opened", [in_memory, in_redis])
def test_threads(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    opened: Callable[[str, str], Any],
) -> None:
    """Two hundred threads with one cold token make one exchange."""
    together = Barrier(CALLERS)
    wanted = options(auth0_tenant)
    with (
        opened(redis_url, redis_prefix) as cache,
        ServerClient(**settings_of(auth0_tenant, token_cache=cache)) as client,
    ):

        def ask(_: int) -> str:
            together.wait()
            return client.custom_token_exchange(wanted).access_token

        with ThreadPoolExecutor(CALLERS) as threads:
            answers = set(threads.map(ask, range(CALLERS)))

    assert 1 == len(answers)
    assert 1 == exchanges(auth0_tenant)


@pytest.mark.parametrize("opened", [in_memory_too, in_async_redis])
async def test_tasks(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    opened: Callable[[str, str], Any],
) -> None:
    """Two hundred tasks with one cold token make one exchange."""
    wanted = options(auth0_tenant)
    async with (
        opened(redis_url, redis_prefix) as cache,
        AsyncServerClient(**settings_of(auth0_tenant, token_cache=cache)) as client,
    ):
        answers = await asyncio.gather(
            *(client.custom_token_exchange(wanted) for _ in range(CALLERS))
        )

    assert 1 == len({answer.access_token for answer in answers})
    assert 1 == exchanges(auth0_tenant)


def children_of(
    tenant: Tenant, url: str, prefix: str, world: str, count: int, processes: int
) -> list[Popen[str]]:
    """Start processes that are about to exchange the same token."""
    told = {
        **settings_of(tenant),
        "redis": url,
        "prefix": prefix,
        "subject_token": str(options(tenant).subject_token),
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
    children = children_of(
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
    assert 1 == exchanges(auth0_tenant)


def test_process_that_dies(
    auth0_tenant: Tenant, redis_url: str, redis_prefix: str
) -> None:
    """A process that is killed while it exchanges strands nobody."""
    auth0_tenant.inject(faults.silence(), path="/oauth/token", times=1)
    (child,) = children_of(
        auth0_tenant, redis_url, redis_prefix, "blocking", 1, processes=1
    )
    _say(child, "go")
    while exchanges(auth0_tenant) == 0:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    with (
        in_redis(redis_url, redis_prefix) as cache,
        ServerClient(**settings_of(auth0_tenant, token_cache=cache)) as client,
    ):
        answer = client.custom_token_exchange(options(auth0_tenant))

    assert answer.access_token
    assert 2 == exchanges(auth0_tenant)


@pytest.mark.parametrize("opened", [in_memory_too, in_async_redis])
async def test_cancelled(
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    opened: Callable[[str, str], Any],
) -> None:
    """Whoever of those who wait is cancelled, the others have one answer, and the next too."""
    auth0_tenant.inject(faults.latency(0.2), path="/oauth/token", times=1)
    wanted = options(auth0_tenant)
    async with (
        opened(redis_url, redis_prefix) as cache,
        AsyncServerClient(**settings_of(auth0_tenant, token_cache=cache)) as client,
    ):
        tasks = [
            asyncio.create_task(client.custom_token_exchange(wanted)) for _ in range(9)
        ]
        while exchanges(auth0_tenant) == 0:
            await asyncio.sleep(0.01)
        for task in tasks[:5]:
            task.cancel()
        answers = await asyncio.gather(*tasks[5:])
        # All who wait go away, and so does their exchange.
        other = options(auth0_tenant, "auth0|bob")
        auth0_tenant.inject(faults.silence(), path="/oauth/token", times=1)
        alone = asyncio.create_task(client.custom_token_exchange(other))
        while exchanges(auth0_tenant) == 1:
            await asyncio.sleep(0.01)
        alone.cancel()
        await asyncio.wait([alone])
        async with asyncio.timeout(3):
            again = await client.custom_token_exchange(other)

    assert 1 == len({answer.access_token for answer in answers})
    assert again.access_token
    assert 3 == exchanges(auth0_tenant)


def test_shared_refusal(auth0_tenant: Tenant) -> None:
    """A refused token that many ask for at once is refused once, and again the next time."""
    together = Barrier(20)
    wanted = CustomTokenExchangeOptions(
        subject_token="nobody's", subject_token_type="urn:acme:legacy-token"
    )
    auth0_tenant.inject(faults.latency(0.3), path="/oauth/token", times=1)
    with ServerClient(
        **settings_of(auth0_tenant, token_cache=MemoryTokenCache())
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
    assert 2 == exchanges(auth0_tenant)


def test_users_are_apart(
    auth0_tenant: Tenant, redis_url: str, redis_prefix: str
) -> None:
    """Many users at once, each many times, are each given their own."""
    users = [f"auth0|user_{number}" for number in range(20)]
    for user in users:
        auth0_tenant.users.add(User(user))
    tokens = {user: options(auth0_tenant, user) for user in users}
    with (
        in_redis(redis_url, redis_prefix) as cache,
        ServerClient(**settings_of(auth0_tenant, token_cache=cache)) as client,
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
    assert 20 == exchanges(auth0_tenant)


def test_redis_goes_down(
    auth0_tenant: Tenant,
    redis_server: Callable[[], RedisServer],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """When Redis goes down, exchanges go on without it; when it is back, so is the cache."""
    server = redis_server()
    wanted = options(auth0_tenant)
    with (
        caplog.at_level(logging.WARNING, "auth0_tx"),
        redis.Redis.from_url(server.url) as connection,
        ServerClient(
            **settings_of(auth0_tenant, token_cache=RedisTokenCache(connection))
        ) as client,
    ):
        client.custom_token_exchange(wanted)
        client.custom_token_exchange(wanted)
        cached = exchanges(auth0_tenant)
        server.kill()
        for _ in range(3):
            client.custom_token_exchange(wanted)
        without = exchanges(auth0_tenant) - cached
        server.start()
        # The cache is asked again after a few seconds.
        until = time.monotonic() + 20
        while client._context.cache_state.is_resting(time.monotonic()):
            assert time.monotonic() < until
            time.sleep(0.1)
        client.custom_token_exchange(wanted)
        before = exchanges(auth0_tenant)
        client.custom_token_exchange(wanted)

    assert 1 == cached
    assert 3 == without
    assert before == exchanges(auth0_tenant)
    assert ["auth0_tx.cache"] == [each.name for each in caplog.records]
