"""Many callers at once on one client: their cost, and the longest stall of the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from statistics import median
from typing import Any

from .bench import Bench
from .by_hand import Aiohttp
from .measure import measure_in_turns
from .ours import Async
from .report import Row, build_ratio_row

_CONNECTIONS = 100
_LONGEST_STALL = 0.2


class _Ticker:
    """Records the longest time between two turns of the loop, and the most CPU in one."""

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


async def _watch_exchanges(
    exchange: Callable[[], Coroutine[Any, Any, object]], count: int
) -> tuple[_Ticker, int]:
    """Exchange so many times at once; return the stalls and the number of failures."""
    ticker = _Ticker()
    ticking = asyncio.ensure_future(ticker.run())
    outcomes = await asyncio.gather(
        *(exchange() for _ in range(count)), return_exceptions=True
    )
    ticking.cancel()
    return ticker, sum(isinstance(outcome, BaseException) for outcome in outcomes)


def measure_crowd(bench: Bench) -> list[Row]:
    """Measure ten thousand exchanges at once, over aiohttp by hand with 100 connections."""
    count, rounds = bench.scale(10_000, 300), bench.scale(5, 1)
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        ours = Async(bench, loop, timeout=120.0, max_connections=_CONNECTIONS)
        theirs = Aiohttp(bench, loop)
        measured = measure_in_turns(
            ours.exchange_concurrently,
            theirs.exchange_concurrently,
            count=count,
            rounds=rounds,
        )
        their_stalls, _ = loop.run_until_complete(
            _watch_exchanges(theirs.exchange, count)
        )
        theirs.close()
        # The other side closes TLS first: its connections must not be counted with ours.
        loop.run_until_complete(asyncio.sleep(1))
        bench.take_counts()
        watched = [
            loop.run_until_complete(_watch_exchanges(ours.exchange, count))
            for _ in range(rounds)
        ]
        sockets = bench.take_counts()["most_open"]
        ours.close()
    what = f"{count:,} exchanges at once"
    # In CPU time: a stall that other processes cause is not the loop's doing.
    stall = median(ticker.busiest for ticker, _ in watched)
    wall = median(ticker.longest for ticker, _ in watched)
    return [
        build_ratio_row(f"{what} over hand-written aiohttp", measured, 0.75, "1.05"),
        _build_count_row(f"{what}: errors", sum(failed for _, failed in watched), 0),
        _build_count_row(f"{what}: connections", sockets, _CONNECTIONS),
        Row(
            f"{what}: longest stall of the loop",
            f"≤ {_LONGEST_STALL} s",
            f"{stall:.2f} s",
            stall <= _LONGEST_STALL,
            f"of CPU, median of {rounds} rounds; {wall:.2f} s on the wall; "
            f"by hand {their_stalls.busiest:.2f} s of CPU",
            before="0.3-0.5 s",
        ),
    ]


def measure_cold_crowd(bench: Bench) -> list[Row]:
    """Measure a thousand first calls at once, with actors, on a new client."""
    count = bench.scale(1_000, 100)
    bench.take_counts()
    with asyncio.Runner() as runner:
        client = Async(bench, runner.get_loop(), timeout=120.0)
        actor = {"actor_token": "agent-session", "actor_token_type": "urn:acme:agent"}
        client.exchange_concurrently(count, **actor)
        client.close()
    paths = bench.take_counts()["paths"]
    what = f"{count:,} first calls at once"
    return [
        _build_count_row(
            f"{what}: discovery requests", paths["/.well-known/openid-configuration"], 1
        ),
        _build_count_row(
            f"{what}: JWKS requests", paths.get("/.well-known/jwks.json", 0), 1
        ),
    ]


def _build_count_row(what: str, number: int, at_most: int) -> Row:
    return Row(what, f"≤ {at_most}", str(number), number <= at_most, "")
