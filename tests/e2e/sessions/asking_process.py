"""A process that asks for one session's access token, many times at once."""

from __future__ import annotations

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import redis
import redis.asyncio

from auth0_tx import AsyncServerClient, ServerClient
from auth0_tx.stores import RedisStore
from tests.e2e.sessions.logins import AUDIENCE, SECRET, Browser


def main(world: str, count: int) -> list[str]:
    told = json.loads(sys.stdin.readline())
    cookies, url, prefix = told.pop("cookies"), told.pop("redis"), told.pop("prefix")
    told["secret"] = SECRET
    if world == "async":
        return asyncio.run(ask_in_tasks(told, cookies, url, prefix, count))
    store = RedisStore(redis.Redis.from_url(url), prefix=prefix, timeout=20)
    with ServerClient(**told, state_store=store) as client:
        _wait()
        with ThreadPoolExecutor(count) as threads:
            return list(
                threads.map(
                    lambda _: client.get_access_token(
                        Browser(cookies).request(), AUDIENCE
                    ),
                    range(count),
                )
            )


async def ask_in_tasks(
    told: dict[str, object], cookies: dict[str, str], url: str, prefix: str, count: int
) -> list[str]:
    connection = redis.asyncio.Redis.from_url(url)
    store = RedisStore(connection, prefix=prefix, timeout=20)
    async with AsyncServerClient(**told, state_store=store) as client:
        _wait()
        tokens = await asyncio.gather(
            *(
                client.get_access_token(Browser(cookies).request(), AUDIENCE)
                for _ in range(count)
            )
        )
    await connection.aclose()
    return tokens


def _wait() -> None:
    print("ready", flush=True)
    assert "go\n" == sys.stdin.readline()


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
