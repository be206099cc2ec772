"""What an answer from the token cache costs: in memory, and in Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from auth0_tx import AsyncServerClient, ServerClient
from auth0_tx.caches import MemoryTokenCache, RedisTokenCache

from .bench import Bench
from .measure import Side, microseconds
from .ours import options
from .redis_here import redis_here
from .report import Row
from .tokens import CLIENT_ID, CLIENT_SECRET

_BURST = 200
_SPINS = 800


def cache(bench: Bench) -> list[Row]:
    """What is promised of hits."""
    return [_blocking(bench), _async(bench), _redis(bench)]


def _settings(bench: Bench, **more: Any) -> dict[str, Any]:
    return {
        "domain": bench.domain,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "verify": bench.ca_file,
        **more,
    }


def _hit(world: str, side: Side, limit: float) -> Row:
    seconds = median(side.cpu)
    return Row(
        f"cached exchange (hit) in memory, {world}",
        f"≤ {limit * 1e6:.0f} µs",
        microseconds(seconds),
        seconds <= limit,
        f"minimum {microseconds(min(side.cpu))}",
    )


def _blocking(bench: Bench) -> Row:
    side, wanted = Side(), options()
    with ServerClient(**_settings(bench, token_cache=MemoryTokenCache())) as client:

        def burst(count: int) -> None:
            for _ in range(count):
                client.custom_token_exchange(wanted)

        burst(_BURST)
        for _ in range(bench.scaled(200, 2)):
            side.time(burst, _BURST)
    return _hit("blocking", side, 10e-6)


def _async(bench: Bench) -> Row:
    side, wanted = Side(), options()

    async def main() -> None:
        keywords = _settings(bench, token_cache=MemoryTokenCache())
        async with AsyncServerClient(**keywords) as client:
            for number in range(1 + bench.scaled(200, 2)):
                wall, cpu = time.perf_counter(), time.process_time()
                for _ in range(_BURST):
                    await client.custom_token_exchange(wanted)
                if number:
                    side.cpu.append((time.process_time() - cpu) / _BURST)
                    side.wall.append((time.perf_counter() - wall) / _BURST)

    asyncio.run(main())
    return _hit("async", side, 15e-6)


def _redis(bench: Bench) -> Row:
    """A hit over a bare GET of the same value, one of each in turn.

    An application does something between two calls, and a machine that has slept takes
    longer to wake: so there is a little work before each, and each is timed alone.
    """
    what, target = "cached exchange (hit) in Redis over a bare redis-py GET", "≤ 1.30"
    wanted = options()
    with redis_here() as here:
        if here is None:
            return Row(what, target, "", None, "there is no Redis")
        connection, prefix = here
        kept = RedisTokenCache(connection, prefix=prefix)
        with ServerClient(**_settings(bench, token_cache=kept)) as client:
            client.custom_token_exchange(wanted)
            (key,) = connection.scan_iter(match=f"{prefix}*")

            def ours() -> object:
                return client.custom_token_exchange(wanted)

            def theirs() -> object:
                return connection.get(key)

            hits, gets = _alternately(bench.scaled(5_000, 50), ours, theirs)
    ratio = median(hits) / median(gets)
    return Row(
        what,
        target,
        f"{ratio:.2f}",
        ratio <= 1.3,
        f"{microseconds(median(hits))} over {microseconds(median(gets))} on the wall; "
        f"ratio of minima {min(hits) / min(gets):.2f}",
    )


def _alternately(
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
