"""A task that is cancelled in the middle of a command leaves no reply for the next one.

CVE-2023-28858 and CVE-2023-28859: redis-py once gave a connection back with an answer under
way, and whoever came next was given what another had asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio
from redis.asyncio.sentinel import SentinelConnectionPool

from auth0_tx.stores import RedisStore
from tests.stores.both_worlds import close_client
from tests.stores.delaying_proxy import DelayingProxy

DELAY = 0.05


class Sentinel:
    """Knows where the server is, as a Redis Sentinel does."""

    def __init__(self, port: int) -> None:
        self._address = "127.0.0.1", port

    async def discover_master(self, service: str) -> tuple[str, int]:
        return self._address


@pytest.fixture(params=["pool", "sentinel"])
async def client(
    request: pytest.FixtureRequest, proxy: DelayingProxy
) -> AsyncIterator[Any]:
    """Return a client with one connection, which the next command must use too."""
    if request.param == "pool":
        client = redis.asyncio.Redis.from_url(f"{proxy.url}?db=0", max_connections=1)
    else:
        manager: Any = Sentinel(proxy.port)
        pool = SentinelConnectionPool("sessions", manager, max_connections=1)
        client = redis.asyncio.Redis(connection_pool=pool)
    yield client
    await close_client(client)


@pytest.mark.parametrize("is_connected", [True, False], ids=["kept", "new"])
@pytest.mark.parametrize("moment", [0.0, 0.2, 0.5, 0.9, 1.0, 1.1, 1.5, 2.0, 2.5])
async def test_cancelled(
    client: Any,
    proxy: DelayingProxy,
    redis_prefix: str,
    moment: float,
    is_connected: bool,
) -> None:
    """Whenever a command is cancelled, the next ones read their own replies."""
    store = RedisStore(client, prefix=redis_prefix)
    names = [f"session:{n}" for n in range(5)]
    for name in names:
        await store.set(name, name.encode(), ttl=60, expected=None)
    if not is_connected:
        await client.connection_pool.disconnect()
    proxy.delay = DELAY
    cancelled = asyncio.create_task(store.get(names[0]))
    await asyncio.sleep(DELAY * moment)
    cancelled.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await cancelled

    read = [await store.get(name) for name in names[1:]]

    assert [name.encode() for name in names[1:]] == read


async def test_many_are_cancelled(proxy: DelayingProxy, redis_prefix: str) -> None:
    """In a crowd where every third task is cancelled, the others get their own replies."""
    client = redis.asyncio.Redis(
        connection_pool=redis.asyncio.BlockingConnectionPool.from_url(
            proxy.url, max_connections=4
        )
    )
    store = RedisStore(client, prefix=redis_prefix, timeout=20)
    names = [f"session:{n}" for n in range(60)]
    for name in names:
        await store.set(name, name.encode(), ttl=60, expected=None)
    proxy.delay = 0.01
    tasks = [asyncio.create_task(store.get(name)) for name in names]
    for position, task in enumerate(tasks[::3]):
        await asyncio.sleep(0.003 * (position % 3))
        task.cancel()
    read = await asyncio.gather(*tasks, return_exceptions=True)
    await close_client(client)

    assert [
        (name, value)
        for name, value in zip(names, read, strict=True)
        if value != name.encode() and not isinstance(value, asyncio.CancelledError)
    ] == []
    assert 40 <= sum(isinstance(value, bytes) for value in read)
