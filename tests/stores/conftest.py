"""The stores that the contract is held against, each on its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import fakeredis
import pytest
import redis
import redis.asyncio
from both_worlds import closed
from delaying_proxy import DelayingProxy
from own_stores import OwnAsyncStore, OwnStore
from tried_store import Tried

from auth0_tx.stores import MemoryStore, RedisStore

KINDS = (
    "memory",
    "redis",
    "redis.asyncio",
    "fakeredis",
    "fakeredis.asyncio",
    "own",
    "own async",
)


@pytest.fixture(params=KINDS)
async def tried(request: pytest.FixtureRequest) -> AsyncIterator[Tried]:
    """A fresh store of each kind."""
    kind = request.param
    if kind == "memory":
        yield Tried(MemoryStore(), False)
    elif kind == "own":
        yield Tried(OwnStore(), False)
    elif kind == "own async":
        yield Tried(OwnAsyncStore(), True)
    elif kind.startswith("fakeredis"):
        is_async = kind == "fakeredis.asyncio"
        fake = fakeredis.FakeAsyncRedis() if is_async else fakeredis.FakeRedis()
        yield Tried(RedisStore(fake, timeout=20), is_async)
    else:
        is_async = kind == "redis.asyncio"
        url = request.getfixturevalue("redis_url")
        prefix = request.getfixturevalue("redis_prefix")
        client: Any = (redis.asyncio if is_async else redis).Redis.from_url(url)
        yield Tried(RedisStore(client, prefix=prefix, timeout=20), is_async)
        await closed(client)


@pytest.fixture(params=["blocking", "asyncio"])
async def redis_store(
    request: pytest.FixtureRequest,
) -> AsyncIterator[Callable[..., Tried]]:
    """Make Redis stores of one world, of clients with the keywords of redis-py."""
    is_async = request.param == "asyncio"
    clients: list[Any] = []

    def make(
        url: str, prefix: str = "faults:", timeout: float = 1.0, **keywords: Any
    ) -> Tried:
        kind = (redis.asyncio if is_async else redis).Redis
        clients.append(kind.from_url(url, **keywords))
        store = RedisStore(clients[-1], prefix=prefix, timeout=timeout)
        return Tried(store, is_async)

    yield make
    for client in clients:
        await closed(client)


@pytest.fixture
def proxy(redis_url: str) -> Iterator[DelayingProxy]:
    """A proxy before the Redis that all share."""
    proxy = DelayingProxy(redis_url)
    yield proxy
    proxy.close()
