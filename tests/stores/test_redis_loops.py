"""One client of redis.asyncio on several event loops, one after another and at once."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import fakeredis
import pytest
import redis.asyncio

from auth0_tx import CachePolicy, CustomTokenExchangeOptions
from auth0_tx.caches import RedisTokenCache
from auth0_tx.integrations.celery import AsyncSubjectTokenVault
from auth0_tx.stores import RedisStore
from auth0_tx.tenant import Tenant
from tests.e2e.sessions.visits import close, make_client

SECRET = "of a vault, and long enough: 0123456789"


def make_redis(kind: str, url: str) -> Any:
    """Return a client of redis.asyncio, with one kind of pool."""
    if kind == "fakeredis":
        return fakeredis.FakeAsyncRedis()
    if kind == "blocking":
        pool = redis.asyncio.BlockingConnectionPool.from_url(url, max_connections=2)
        return redis.asyncio.Redis(connection_pool=pool)
    return redis.asyncio.Redis.from_url(url)


@pytest.fixture(params=["plain", "blocking", "fakeredis"])
def client(request: pytest.FixtureRequest, redis_url: str) -> Iterator[Any]:
    """A client that no loop has used yet; what it leaves open is a failure."""
    client = make_redis(request.param, redis_url)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        yield client
        del client
        gc.collect()


def test_store_and_vault_in_each_run(client: Any, redis_prefix: str) -> None:
    """A store and a vault work in each ``asyncio.run``, with what earlier ones have kept."""
    store = RedisStore(client, prefix=redis_prefix)
    vault = AsyncSubjectTokenVault(client, secret=SECRET, prefix=redis_prefix)
    handles: list[str] = []

    async def use(number: int) -> list[bytes | None]:
        key = f"key-{number}"
        assert await store.set(key, b"%d" % number, ttl=60, expected=None)
        handles.append(await vault.put(f"token {number}", ttl=60))
        return [await store.get(f"key-{earlier}") for earlier in range(number + 1)]

    for number in range(4):
        kept = asyncio.run(use(number))
        assert [b"%d" % earlier for earlier in range(number + 1)] == kept

    async def take_all() -> list[str]:
        return [await vault.take(handle) for handle in handles]

    assert [f"token {number}" for number in range(4)] == asyncio.run(take_all())


def test_cache_in_each_run(
    client: Any, redis_prefix: str, auth0_tenant: Tenant
) -> None:
    """A cached token serves each ``asyncio.run``, and a cache that fails would raise."""
    auth0 = make_client(
        auth0_tenant,
        None,
        is_async=True,
        token_cache=RedisTokenCache(client, prefix=redis_prefix),
        cache_policy=CachePolicy(failure="raise"),
    )
    options = CustomTokenExchangeOptions(
        subject_token=auth0_tenant.subject_token("auth0|alice"),
        subject_token_type="urn:acme:legacy-token",
    )

    async def exchange() -> None:
        await auth0.custom_token_exchange(options)

    for _ in range(4):
        asyncio.run(exchange())
    asyncio.run(close(auth0))

    assert 1 == auth0_tenant.count("/oauth/token")


def test_loops_at_once(client: Any, redis_prefix: str) -> None:
    """Loops of several threads share a client, each with a crowd that has to wait for it."""
    store = RedisStore(client, prefix=redis_prefix)
    problems: list[BaseException] = []

    async def crowd(name: str) -> None:
        async def use(number: int) -> None:
            key = f"{name}-{number}"
            assert await store.set(key, b"value", ttl=60, expected=None)
            assert b"value" == await store.get(key)

        await asyncio.gather(*(use(number) for number in range(20)))

    def run(name: str) -> None:
        try:
            for number in range(3):
                asyncio.run(crowd(f"{name}-{number}"))
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == problems


def test_connections_end_with_their_loop(redis_url: str, redis_prefix: str) -> None:
    """No connection is left in the application's pool that belongs to a loop that has ended."""
    client = redis.asyncio.Redis.from_url(redis_url)
    store = RedisStore(client, prefix=redis_prefix)

    async def use() -> None:
        assert await store.set("key", b"value", ttl=60, expected=None)

    asyncio.run(use())

    async def use_it_as_the_application() -> Any:
        try:
            return await client.ping()
        finally:
            await client.aclose()

    assert asyncio.run(use_it_as_the_application())


async def test_pool_of_the_application_is_used(
    redis_url: str, redis_prefix: str
) -> None:
    """On the loop that comes first, connections are taken from the application's pool."""
    client = redis.asyncio.Redis.from_url(redis_url)
    taken: list[Any] = []
    get: Callable[..., Any] = client.connection_pool.get_connection

    async def note(*arguments: Any, **keywords: Any) -> Any:
        taken.append(await get(*arguments, **keywords))
        return taken[-1]

    client.connection_pool.get_connection = note  # type: ignore[method-assign]
    store = RedisStore(client, prefix=redis_prefix)
    assert await store.set("key", b"value", ttl=60, expected=None)
    await client.aclose()

    assert 1 == len(taken)
