"""The clients of a site: one for each way of keeping sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import (
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from typing import Any

import attrs
import redis
import redis.asyncio

from auth0_tx import AsyncServerClient, ServerClient
from auth0_tx.stores import CookieStore, MemoryStore, RedisStore
from auth0_tx.tenant import Tenant

STORES = ("cookie", "chunks", "memory", "redis")
SERVER_SIDE = ("memory", "redis")


@attrs.define
class Clock:
    """The time of a tenant and its clients, which a test sets."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@attrs.frozen
class World:
    """The world of the sites.

    Attributes:
        tenant: issues tokens.
        clock: the time of tenant and clients.
        redis_url: the URL of Redis.
        prefix: the prefix of this module's keys in Redis.
    """

    tenant: Tenant
    clock: Clock
    redis_url: str
    prefix: str

    def build_settings(self) -> dict[str, Any]:
        """Return the keywords that every client shares."""
        return {
            "domain": self.tenant.domain,
            "client_id": self.tenant.client_id,
            "client_secret": self.tenant.client_secret,
            "verify": self.tenant.ca_file,
            "secret": "a secret of at least thirty-two characters",
            "clock": self.clock,
        }


def _make_local_stores() -> dict[str, Any]:
    # Chunks short enough for any session to take several.
    chunks = CookieStore(longest_chunk=700, most_chunks=20)
    return {"cookie": CookieStore(), "chunks": chunks, "memory": MemoryStore()}


@contextmanager
def open_blocking_clients(world: World) -> Iterator[Mapping[str, ServerClient]]:
    """Open a blocking client for each store."""
    with ExitStack() as stack:
        connected = stack.enter_context(redis.Redis.from_url(world.redis_url))
        stores = _make_local_stores()
        stores["redis"] = RedisStore(connected, prefix=world.prefix, timeout=20)
        yield {
            name: stack.enter_context(
                ServerClient(state_store=store, **world.build_settings())
            )
            for name, store in stores.items()
        }


@asynccontextmanager
async def open_async_clients(
    world: World,
) -> AsyncIterator[Mapping[str, AsyncServerClient]]:
    """Open an async client for each store."""
    async with AsyncExitStack() as stack:
        connected = redis.asyncio.Redis.from_url(world.redis_url)
        stack.push_async_callback(connected.aclose)
        stores = _make_local_stores()
        stores["redis"] = RedisStore(connected, prefix=world.prefix, timeout=20)
        yield {
            name: await stack.enter_async_context(
                AsyncServerClient(state_store=store, **world.build_settings())
            )
            for name, store in stores.items()
        }
