"""Ten thousand exchanges, one in ten of which goes wrong; prints what the process gained.

The first of them are to fill what is filled once: caches, pools, arenas.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
from collections import Counter
from typing import Any

from auth0_tx import AsyncServerClient, CustomTokenExchangeError, ServerClient
from auth0_tx import CustomTokenExchangeOptions as Options
from tests.e2e.concurrency.volume import in_tasks, in_threads, options

CALLERS = 10
WARM_UP, MEASURED = 1_500, 8_500
FAULTS = ("reset", "lost", "cut", "busy", "unavailable", "broken", "denied", "page")


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def resources() -> dict[str, int]:
    """Return what this process has of memory and threads."""
    gc.collect()
    with open("/proc/self/statm") as sizes:
        resident = int(sizes.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {"resident": resident, "threads": threading.active_count()}


def report(
    before: dict[str, int], after: dict[str, int], left: int, outcomes: Counter[str]
) -> dict[str, Any]:
    """Return what the exchanges brought, and what was gained meanwhile."""
    return {
        "growth": after["resident"] - before["resident"],
        "threads": after["threads"] - before["threads"],
        "descriptors": left,
        "outcomes": outcomes,
    }


def plan(caller: int, number: int) -> Options:
    """Return what is exchanged: every tenth goes wrong, and every tenth has an actor."""
    if number % 10 == 3:
        fault = FAULTS[number // 10 % len(FAULTS)]
        return options(f"fault-{fault}.{caller}-{number}")
    return options(f"{caller}-{number}", "actor" if number % 10 == 7 else None)


def in_the_blocking_world(settings: dict[str, Any]) -> dict[str, Any]:
    """Run it in threads."""
    outcomes: Counter[str] = Counter()

    def exchange(client: ServerClient, caller: int, count: int) -> None:
        for number in range(count // CALLERS):
            given = plan(caller, number)
            try:
                answer = client.custom_token_exchange(given)
            except CustomTokenExchangeError as error:
                outcomes[type(error).__name__] += 1
            else:
                own = answer.access_token == f"for.{given.subject_token}"
                outcomes["own" if own else "another's"] += 1

    at_first = descriptors()
    with ServerClient(**settings) as client:
        in_threads(CALLERS, lambda caller: exchange(client, caller, WARM_UP))
        before = resources()
        in_threads(CALLERS, lambda caller: exchange(client, caller, MEASURED))
        after = resources()
    return report(before, after, descriptors() - at_first, outcomes)


async def in_the_async_world(settings: dict[str, Any]) -> dict[str, Any]:
    """Run it in tasks."""
    outcomes: Counter[str] = Counter()

    async def exchange(client: AsyncServerClient, caller: int, count: int) -> None:
        for number in range(count // CALLERS):
            given = plan(caller, number)
            try:
                answer = await client.custom_token_exchange(given)
            except CustomTokenExchangeError as error:
                outcomes[type(error).__name__] += 1
            else:
                own = answer.access_token == f"for.{given.subject_token}"
                outcomes["own" if own else "another's"] += 1

    at_first = descriptors()
    async with AsyncServerClient(**settings) as client:
        await in_tasks(CALLERS, lambda caller: exchange(client, caller, WARM_UP))
        before = resources()
        await in_tasks(CALLERS, lambda caller: exchange(client, caller, MEASURED))
        after = resources()
    return report(before, after, descriptors() - at_first, outcomes)


def main(world: str, settings: dict[str, Any]) -> None:
    """Run it in one of the worlds."""
    if world == "blocking":
        print(json.dumps(in_the_blocking_world(settings)))
    else:
        print(json.dumps(asyncio.run(in_the_async_world(settings))))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
