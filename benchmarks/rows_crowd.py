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
    """Notes the longest time between two turns of the loop."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            self.longest = max(self.longest, now - last)
            last = now


async def _watched(
    exchange: Callable[[], Coroutine[Any, Any, object]], count: int
) -> tuple[float, int]:
    """Exchange so many times at once; give the longest stall, and how many failed."""
    ticker = _Ticker()
    ticking = asyncio.ensure_future(ticker.run())
    outcomes = await asyncio.gather(
        *(exchange() for _ in range(count)), return_exceptions=True
    )
    ticking.cancel()
    return ticker.longest, sum(isinstance(each, BaseException) for each in outcomes)


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
        theirs.close()
        bench.counts()
        watched = [
            loop.run_until_complete(_watched(ours.exchange, count))
            for _ in range(rounds)
        ]
        sockets = bench.counts()["most_open"]
        ours.close()
    what = f"{count:,} exchanges at once"
    stalls = [stall for stall, _ in watched]
    failed = sum(failures for _, failures in watched)
    return [
        ratio_row(f"{what} over hand-written aiohttp", measured, 0.75),
        _counted(f"{what}: errors", failed, 0),
        _counted(f"{what}: connections", sockets, _CONNECTIONS),
        Row(
            f"{what}: longest stall of the loop",
            f"≤ {_LONGEST_STALL} s",
            f"{median(stalls):.2f} s",
            median(stalls) <= _LONGEST_STALL,
            f"median of {len(stalls)} rounds; the worst {max(stalls):.2f} s",
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
