"""The Redis for the rows with a cache, if there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex

import redis

URL = os.environ.get("AUTH0_TX_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


@contextmanager
def connect_redis() -> Iterator[tuple[redis.Redis, str] | None]:
    """Yield a connection and a prefix for keys, which are deleted later; ``None`` without Redis."""
    prefix = f"auth0_tx-bench:{token_hex(8)}:"
    with redis.Redis.from_url(URL) as connection:
        try:
            connection.ping()
        except redis.RedisError:
            yield None
            return
        yield connection, prefix
        for key in connection.scan_iter(match=f"{prefix}*", count=1000):
            connection.delete(key)
