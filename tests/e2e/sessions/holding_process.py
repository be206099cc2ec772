"""A process that refreshes a session's token, and is killed while it has the session's lock."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import redis
import redis.asyncio

from auth0_tx import AsyncServerClient, ServerClient
from auth0_tx.stores import RedisStore
from tests.e2e.sessions.logins import AUDIENCE, SECRET, Browser


def hold(settings: dict[str, Any], cookies: dict[str, str], *place: str) -> None:
    """Refresh in the blocking world."""
    url, prefix = place
    store = RedisStore(redis.Redis.from_url(url), prefix=prefix)
    with ServerClient(**settings, state_store=store) as client:
        client.get_access_token(Browser(cookies).request(), AUDIENCE)


async def hold_in_task(
    settings: dict[str, Any], cookies: dict[str, str], *place: str
) -> None:
    """Refresh in a task."""
    url, prefix = place
    async with redis.asyncio.Redis.from_url(url) as connection:
        store = RedisStore(connection, prefix=prefix)
        async with AsyncServerClient(**settings, state_store=store) as client:
            await client.get_access_token(Browser(cookies).request(), AUDIENCE)


def main(world: str) -> None:
    """Read what to do, and do it."""
    told = json.loads(sys.stdin.readline())
    cookies, place = told.pop("cookies"), (told.pop("redis"), told.pop("prefix"))
    told["secret"] = SECRET
    if world == "async":
        asyncio.run(hold_in_task(told, cookies, *place))
    else:
        hold(told, cookies, *place)


if __name__ == "__main__":
    main(sys.argv[1])
