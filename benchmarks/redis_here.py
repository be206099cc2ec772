"""The Redis that rows with a cache are measured on, where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex

import redis

URL = os.environ.get("AUTH0_TX_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


@contextmanager
def redis_here() -> Iterator[tuple[redis.Redis, str] | None]:
    """Give a connection and a prefix for keys, which are deleted; or nothing."""
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
