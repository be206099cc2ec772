"""A worker of the fleet: exchanges tokens of many users in threads, and times each call."""

from __future__ import annotations

import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis

from auth0_tx import CustomTokenExchangeOptions, ServerClient
from auth0_tx.caches import RedisTokenCache

THREADS = 10


def main() -> list[float]:
    """Make the calls that standard input describes; return the seconds of each."""
    told: dict[str, Any] = json.loads(sys.stdin.readline())
    keywords = told["keywords"]
    if told["redis"] is not None:
        connection = redis.Redis.from_url(told["redis"])
        keywords["token_cache"] = RedisTokenCache(
            connection, prefix=told["prefix"], timeout=20
        )
    chance = random.Random(told["seed"])
    users = [chance.randrange(told["users"]) for _ in range(told["calls"])]
    wanted = [
        CustomTokenExchangeOptions(
            subject_token=f"token-of-user-{user}-{'x' * 600}",
            subject_token_type="urn:acme:legacy-token",
        )
        for user in range(told["users"])
    ]
    with ServerClient(**keywords) as client:
        client.prepare()
        print("ready", flush=True)
        sys.stdin.readline()

        def call(user: int) -> float:
            started = time.perf_counter()
            client.custom_token_exchange(wanted[user])
            return time.perf_counter() - started

        with ThreadPoolExecutor(THREADS) as threads:
            return list(threads.map(call, users))


if __name__ == "__main__":
    print(json.dumps(main()))
