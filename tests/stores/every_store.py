"""Every kind of store that a client may keep sessions in, in either world."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from secrets import token_hex
from typing import Any

import redis
import redis.asyncio

from auth0_tx.stores import CookieStore, MemoryStore, RedisStore
from tests.stores.both_worlds import close_client
from tests.stores.django_databases import (
    IN_MEMORY,
    CalledInThreads,
    open_database,
)
from tests.stores.own_stores import OwnAsyncStore, OwnStore

ON_THE_SERVER = ("memory", "redis", "django", "django database", "own")
EVERY_KIND = ("cookies", *ON_THE_SERVER)

BLOCKING = ("django", "django database")
"""Django's cache and database block, which the async client refuses."""


@asynccontextmanager
async def open_store(
    kind: str, *, is_async: bool, redis_url: str
) -> AsyncIterator[Any]:
    """Yield a fresh store of a kind; Django's cache is in the Redis too, if one is given."""
    if kind == "redis":
        client: Any = (redis.asyncio if is_async else redis).Redis.from_url(redis_url)
        prefix = f"auth0_tx-test:{token_hex(8)}:"
        try:
            yield RedisStore(client, prefix=prefix, timeout=20)
        finally:
            await close_client(client)
            with redis.Redis.from_url(redis_url) as admin:
                for key in admin.scan_iter(match=f"{prefix}*", count=1000):
                    admin.delete(key)
    elif kind == "django":
        with open_django_cache(redis_url) as store:
            yield store
    elif kind == "django database":
        with open_django_database() as store:
            yield store
    elif kind == "own":
        yield OwnAsyncStore() if is_async else OwnStore()
    else:
        yield {"memory": MemoryStore, "cookies": CookieStore}[kind]()


@contextmanager
def open_django_database() -> Iterator[Any]:
    """Yield a store in a database of Django's, in memory, which one thread uses."""
    with (
        ThreadPoolExecutor(1) as threads,
        open_database(IN_MEMORY, threads) as alias,
    ):
        from auth0_tx.integrations.django import DjangoDatabaseStore

        yield CalledInThreads(DjangoDatabaseStore(alias), threads)


@contextmanager
def open_django_cache(redis_url: str = "") -> Iterator[Any]:
    """Yield a store in a cache of Django's: in a Redis, or in the memory of this process."""
    # Not at the top: it sets up Django, which most tests do without.
    from tests.frameworks import django_settings  # noqa: F401, I001
    from django.test import override_settings

    from auth0_tx.integrations.django.cache_store import DjangoCacheStore

    backends = "django.core.cache.backends"
    in_memory = {
        "BACKEND": f"{backends}.locmem.LocMemCache",
        "LOCATION": token_hex(8),
        # By default it forgets what is used least as soon as there are 300 entries.
        "OPTIONS": {"MAX_ENTRIES": 10**6},
    }
    in_redis = {
        "BACKEND": f"{backends}.redis.RedisCache",
        "LOCATION": redis_url,
        "KEY_PREFIX": f"auth0_tx-test:{token_hex(8)}",
    }
    with override_settings(CACHES={"default": in_redis if redis_url else in_memory}):
        yield DjangoCacheStore()
