"""Many callers at once on one client: what it costs, and how long the loop stands still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from statistics import median
from typing import Any

from .bench import Bench
from .by_hand import Aiohttp
from .measure import paired
from .ours import Async
from .report import Row, ratio_row

_CONNECTIONS = 100
_LONGEST_STALL = 0.2


class _Ticker:
    """Notes the longest time between two turns of the loop, and of CPU within one."""

    def __init__(self) -> None:
        self.longest = self.busiest = 0.0

    async def run(self) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        while True:
            await asyncio.sleep(0)
            wall_now, cpu_now = time.perf_counter(), time.process_time()
            self.longest = max(self.longest, wall_now - wall)
            self.busiest = max(self.busiest, cpu_now - cpu)
            wall, cpu = wall_now, cpu_now


async def _watched(
    exchange: Callable[[], Coroutine[Any, Any, object]], count: int
) -> tuple[_Ticker, int]:
    """Exchange so many times at once; give the stalls, and how many failed."""
    ticker = _Ticker()
    ticking = asyncio.ensure_future(ticker.run())
    outcomes = await asyncio.gather(
        *(exchange() for _ in range(count)), return_exceptions=True
    )
    ticking.cancel()
    return ticker, sum(isinstance(each, BaseException) for each in outcomes)


def crowd(bench: Bench) -> list[Row]:
    """Ten thousand exchanges at once, over hand-written aiohttp with 100 connections."""
    count, rounds = bench.scaled(10_000, 300), bench.scaled(5, 1)
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        ours = Async(bench, loop, timeout=120.0, max_connections=_CONNECTIONS)
        theirs = Aiohttp(bench, loop)
        measured = paired(
            ours.concurrent, theirs.concurrent, count=count, rounds=rounds
        )
        their_stalls, _ = loop.run_until_complete(_watched(theirs.exchange, count))
        theirs.close()
        # TLS says good-bye first: theirs must not be counted with ours.
        loop.run_until_complete(asyncio.sleep(1))
        bench.counts()
        watched = [
            loop.run_until_complete(_watched(ours.exchange, count))
            for _ in range(rounds)
        ]
        sockets = bench.counts()["most_open"]
        ours.close()
    what = f"{count:,} exchanges at once"
    # Of CPU: what other processes take of the machine is no stall of this loop's making.
    stall = median(ticker.busiest for ticker, _ in watched)
    wall = median(ticker.longest for ticker, _ in watched)
    return [
        ratio_row(f"{what} over hand-written aiohttp", measured, 0.75),
        _counted(f"{what}: errors", sum(failed for _, failed in watched), 0),
        _counted(f"{what}: connections", sockets, _CONNECTIONS),
        Row(
            f"{what}: longest stall of the loop",
            f"≤ {_LONGEST_STALL} s",
            f"{stall:.2f} s",
            stall <= _LONGEST_STALL,
            f"of CPU, median of {rounds} rounds; {wall:.2f} s on the wall; "
            f"by hand {their_stalls.busiest:.2f} s of CPU",
        ),
    ]


def cold(bench: Bench) -> list[Row]:
    """A thousand first calls at once, with actors, on a client that knows nothing yet."""
    count = bench.scaled(1_000, 100)
    bench.counts()
    with asyncio.Runner() as runner:
        client = Async(bench, runner.get_loop(), timeout=120.0)
        actor = {"actor_token": "agent-session", "actor_token_type": "urn:acme:agent"}
        client.concurrent(count, **actor)
        client.close()
    paths = bench.counts()["paths"]
    what = f"{count:,} first calls at once"
    return [
        _counted(
            f"{what}: discovery requests", paths["/.well-known/openid-configuration"], 1
        ),
        _counted(f"{what}: JWKS requests", paths.get("/.well-known/jwks.json", 0), 1),
    ]


def _counted(what: str, number: int, at_most: int) -> Row:
    return Row(what, f"≤ {at_most}", str(number), number <= at_most, "")
