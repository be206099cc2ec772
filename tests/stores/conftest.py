"""The stores that the contract tests run against."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis
import redis.asyncio

from auth0_tx.stores import MemoryStore, RedisStore
from tests.stores.both_worlds import close_client
from tests.stores.delaying_proxy import DelayingProxy
from tests.stores.own_stores import OwnAsyncStore, OwnStore
from tests.stores.store_under_test import StoreUnderTest

KINDS = (
    "memory",
    "redis",
    "redis.asyncio",
    "fakeredis",
    "fakeredis.asyncio",
    "own",
    "own async",
    "documented",
    "documented async",
)


def read_documented_stores() -> dict[str, Any]:
    """Return the stores that ``docs/sessions.md`` shows as examples, by name."""
    page = Path(__file__).parents[2] / "docs" / "sessions.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    namespace: dict[str, Any] = {"Any": Any}
    for block in blocks:
        if re.search(r"^class (Async)?SqliteStore:", block, re.MULTILINE):
            exec("from __future__ import annotations\n" + block, namespace)
    return namespace


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[StoreUnderTest]:
    """Return a fresh store of each kind."""
    kind = request.param
    if kind == "memory":
        yield StoreUnderTest(MemoryStore(), False)
    elif kind == "own":
        yield StoreUnderTest(OwnStore(), False)
    elif kind == "own async":
        yield StoreUnderTest(OwnAsyncStore(), True)
    elif kind.startswith("documented"):
        path = str(request.getfixturevalue("tmp_path") / "sessions")
        name = "AsyncSqliteStore" if kind == "documented async" else "SqliteStore"
        yield StoreUnderTest(read_documented_stores()[name](path), "async" in kind)
    elif kind.startswith("fakeredis"):
        is_async = kind == "fakeredis.asyncio"
        fake = fakeredis.FakeAsyncRedis() if is_async else fakeredis.FakeRedis()
        yield StoreUnderTest(RedisStore(fake, timeout=20), is_async)
    else:
        is_async = kind == "redis.asyncio"
        url = request.getfixturevalue("redis_url")
        prefix = request.getfixturevalue("redis_prefix")
        client: Any = (redis.asyncio if is_async else redis).Redis.from_url(url)
        yield StoreUnderTest(RedisStore(client, prefix=prefix, timeout=20), is_async)
        await close_client(client)


@pytest.fixture(params=["blocking", "asyncio"])
async def redis_store(
    request: pytest.FixtureRequest,
) -> AsyncIterator[Callable[..., StoreUnderTest]]:
    """Return a function that makes Redis stores of one world, with redis-py's keywords."""
    is_async = request.param == "asyncio"
    clients: list[Any] = []

    def make(
        url: str, prefix: str = "faults:", timeout: float = 1.0, **keywords: Any
    ) -> StoreUnderTest:
        kind = (redis.asyncio if is_async else redis).Redis
        clients.append(kind.from_url(url, **keywords))
        store = RedisStore(clients[-1], prefix=prefix, timeout=timeout)
        return StoreUnderTest(store, is_async)

    yield make
    for client in clients:
        await close_client(client)


@pytest.fixture
def proxy(redis_url: str) -> Iterator[DelayingProxy]:
    """Return a proxy in front of the shared Redis."""
    proxy = DelayingProxy(redis_url)
    yield proxy
    proxy.close()
