"""The cost of a hit in the token cache: in memory, and in Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from auth0_tx import AsyncServerClient, ServerClient
from auth0_tx.caches import MemoryTokenCache, RedisTokenCache

from .bench import Bench
from .measure import Side, format_seconds
from .ours import build_options
from .redis_here import connect_redis
from .report import Row
from .tokens import CLIENT_ID, CLIENT_SECRET

_BURST = 200
_SPINS = 800


def measure_cache(bench: Bench) -> list[Row]:
    """Measure hits in each cache and world."""
    return [_measure_blocking(bench), _measure_async(bench), _measure_redis(bench)]


def _build_settings(bench: Bench, **more: Any) -> dict[str, Any]:
    return {
        "domain": bench.domain,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "verify": bench.ca_file,
        **more,
    }


def _build_hit_row(world: str, side: Side, limit: float) -> Row:
    seconds = median(side.cpu)
    return Row(
        f"cached exchange (hit) in memory, {world}",
        f"≤ {limit * 1e6:.0f} µs",
        format_seconds(seconds),
        seconds <= limit,
        f"minimum {format_seconds(min(side.cpu))}",
    )


def _measure_blocking(bench: Bench) -> Row:
    side, wanted = Side(), build_options()
    with ServerClient(
        **_build_settings(bench, token_cache=MemoryTokenCache())
    ) as client:

        def burst(count: int) -> None:
            for _ in range(count):
                client.custom_token_exchange(wanted)

        burst(_BURST)
        for _ in range(bench.scale(200, 2)):
            side.time(burst, _BURST)
    return _build_hit_row("blocking", side, 10e-6)


def _measure_async(bench: Bench) -> Row:
    side, wanted = Side(), build_options()

    async def main() -> None:
        keywords = _build_settings(bench, token_cache=MemoryTokenCache())
        async with AsyncServerClient(**keywords) as client:
            for number in range(1 + bench.scale(200, 2)):
                wall, cpu = time.perf_counter(), time.process_time()
                for _ in range(_BURST):
                    await client.custom_token_exchange(wanted)
                if number:
                    side.cpu.append((time.process_time() - cpu) / _BURST)
                    side.wall.append((time.perf_counter() - wall) / _BURST)

    asyncio.run(main())
    return _build_hit_row("async", side, 15e-6)


def _measure_redis(bench: Bench) -> Row:
    """Measure a hit over a bare GET of the same value, one of each in turn.

    An application does something between two calls, and a machine that has slept takes
    longer to wake: so there is a little work before each, and each is timed alone.
    """
    what, target = "cached exchange (hit) in Redis over a bare redis-py GET", "≤ 1.30"
    wanted = build_options()
    with connect_redis() as here:
        if here is None:
            return Row(what, target, "", None, "there is no Redis")
        connection, prefix = here
        kept = RedisTokenCache(connection, prefix=prefix)
        with ServerClient(**_build_settings(bench, token_cache=kept)) as client:
            client.custom_token_exchange(wanted)
            (key,) = connection.scan_iter(match=f"{prefix}*")

            def exchange() -> object:
                return client.custom_token_exchange(wanted)

            def get() -> object:
                return connection.get(key)

            hits, gets = _time_alternately(bench.scale(5_000, 50), exchange, get)
    ratio = median(hits) / median(gets)
    return Row(
        what,
        target,
        f"{ratio:.2f}",
        ratio <= 1.3,
        f"{format_seconds(median(hits))} over {format_seconds(median(gets))} on the wall; "
        f"ratio of minima {min(hits) / min(gets):.2f}",
    )


def _time_alternately(
    rounds: int, ours: Callable[[], object], theirs: Callable[[], object]
) -> tuple[list[float], list[float]]:
    taken: tuple[list[float], list[float]] = [], []
    for number in range(2 * rounds):
        turn = number % 2
        total = 0
        for spin in range(_SPINS):
            total += spin
        started = time.perf_counter()
        (theirs if turn else ours)()
        taken[turn].append(time.perf_counter() - started)
    return taken
