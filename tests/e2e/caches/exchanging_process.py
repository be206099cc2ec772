"""A process that exchanges one token many times at once, over a cache in Redis."""

from __future__ import annotations

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
import redis.asyncio

from auth0_tx import AsyncServerClient, CustomTokenExchangeOptions, ServerClient
from auth0_tx.caches import RedisTokenCache


def main(world: str, count: int) -> list[str]:
    """Exchange in *count* threads or tasks, and return the access tokens."""
    told = json.loads(sys.stdin.readline())
    url, prefix = told.pop("redis"), told.pop("prefix")
    options = CustomTokenExchangeOptions(
        subject_token=told.pop("subject_token"),
        subject_token_type="urn:acme:legacy-token",
    )
    if world == "async":
        return asyncio.run(exchange_in_tasks(told, url, prefix, options, count))
    cache = RedisTokenCache(redis.Redis.from_url(url), prefix=prefix, timeout=20)
    with ServerClient(**told, token_cache=cache) as client:
        _wait()
        with ThreadPoolExecutor(count) as threads:
            answers = threads.map(
                lambda _: client.custom_token_exchange(options), range(count)
            )
            return [answer.access_token for answer in answers]


async def exchange_in_tasks(
    told: dict[str, Any],
    url: str,
    prefix: str,
    options: CustomTokenExchangeOptions,
    count: int,
) -> list[str]:
    async with redis.asyncio.Redis.from_url(url) as connection:
        cache = RedisTokenCache(connection, prefix=prefix, timeout=20)
        async with AsyncServerClient(**told, token_cache=cache) as client:
            _wait()
            answers = await asyncio.gather(
                *(client.custom_token_exchange(options) for _ in range(count))
            )
    return [answer.access_token for answer in answers]


def _wait() -> None:
    print("ready", flush=True)
    assert "go\n" == sys.stdin.readline()


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
