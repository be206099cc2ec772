"""Exchanges per CPU second of one core, beside every library that an exchange is written with.

A Python process has one core for its own code, so this is how many exchanges a worker does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from statistics import median
from typing import Any, Protocol
from unittest import mock

import attrs

from .bench import Bench
from .by_hand import Aiohttp, Requests
from .libraries import (
    AsyncAuthlib,
    AsyncHttpx,
    AsyncNiquests,
    Authlib,
    GoogleSts,
    Httpx,
    Niquests,
)
from .measure import Burst, measure_each_in_turns
from .ours import Async, Blocking
from .report import Row
from .rows_peer import Auth0

OURS = "auth0-tx"
_CONTROL = "hand-written requests or aiohttp, once more"


class _Blocking(Protocol):
    def exchange(self) -> object: ...

    def close(self) -> None: ...


_BLOCKING: dict[str, Callable[[Bench, int], _Blocking]] = {
    OURS: lambda bench, _: Blocking(bench),
    "requests": Requests,
    _CONTROL: Requests,
    "niquests": Niquests,
    "httpx": Httpx,
    "authlib": Authlib,
    "google-auth (STS)": GoogleSts,
}

_ASYNC: dict[str, Callable[[Bench, int], Any]] = {
    "niquests": AsyncNiquests,
    "httpx": AsyncHttpx,
    "authlib": AsyncAuthlib,
}


@attrs.frozen
class _Column:
    """Exchanges per CPU second by library, with so many threads or tasks."""

    heading: str
    rates: Mapping[str, float]

    def format_rate(self, name: str) -> str:
        """Return the figure of a library as text; nothing if it has none."""
        rate = self.rates.get(name)
        return "" if rate is None else f"{rate:,.0f}"

    @property
    def next_best(self) -> str:
        """The library that comes closest to ours."""
        others = self.rates.keys() - {OURS, _CONTROL}
        return max(others, key=self.rates.__getitem__)

    @property
    def lead(self) -> float:
        """Our figure over that of the next best."""
        return self.rates[OURS] / self.rates[self.next_best]


def measure_libraries(bench: Bench) -> list[Row]:
    """Measure each library with threads and with tasks, all in turns."""
    environment = {
        name: value
        for name, value in os.environ.items()
        # They overrule what a session is told.
        if name not in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    }
    # Auth0's SDK has no other way to learn of a CA.
    environment["SSL_CERT_FILE"] = bench.ca_file
    with mock.patch.dict(os.environ, environment, clear=True):
        columns = [
            _measure_threads(bench, 1, each=25),
            _measure_threads(bench, 8, each=10),
            _measure_threads(bench, 64, each=3),
            _measure_tasks(bench, 1, each=25),
            _measure_tasks(bench, 100, each=1),
        ]
    leads = [f"{column.lead:.2f}" for column in columns]
    nearest = [f"{column.next_best} with {column.heading}" for column in columns]
    return [
        Row(
            "exchanges per CPU second over the next best library: 1, 8, 64 threads; "
            "1, 100 tasks",
            "first in each",
            f"{', '.join(leads[:3])}; {', '.join(leads[3:])}",
            all(column.lead > 1 for column in columns),
            f"the next best: {', '.join(nearest)}",
            before="1.9, 1.4, 1.7; 1.1, 1.0",
            appendix=_format_table(columns),
        )
    ]


def _format_table(columns: Sequence[_Column]) -> str:
    lines = [
        "## Exchanges per CPU second of one core",
        "",
        "Each library has one session or client for all threads or tasks, with a pool that is",
        "large enough, as `benchmarks/by_hand.py` and `benchmarks/libraries.py` have it.",
        "",
        f"| | {' | '.join(column.heading for column in columns)} |",
        "|---|" + "--:|" * len(columns),
    ]
    for name in dict.fromkeys(name for column in columns for name in column.rates):
        rates = [column.format_rate(name) for column in columns]
        lines.append(f"| {name} | {' | '.join(rates)} |")
    return "\n".join(lines)


def _measure_threads(bench: Bench, threads: int, *, each: int) -> _Column:
    with ExitStack() as stack:
        bursts: dict[str, Burst] = {}
        for name, open_library in _BLOCKING.items():
            library = open_library(bench, threads)
            stack.callback(library.close)
            pool = stack.enter_context(ThreadPoolExecutor(threads))
            bursts[name] = _build_thread_burst(library.exchange, pool, threads)
        heading = "1 thread" if threads == 1 else f"{threads} threads"
        return _measure_column(bench, heading, bursts, threads, each)


def _build_thread_burst(
    exchange: Callable[[], object], pool: ThreadPoolExecutor, threads: int
) -> Burst:
    def exchange_in_thread(count: int) -> None:
        for _ in range(count):
            assert exchange()

    def burst(count: int) -> None:
        for _ in pool.map(exchange_in_thread, [count // threads] * threads):
            pass

    return burst


def _measure_tasks(bench: Bench, tasks: int, *, each: int) -> _Column:
    with asyncio.Runner() as runner, ExitStack() as stack:
        loop = runner.get_loop()
        # The other libraries have no limit of time, or a longer one.
        ours = Async(bench, loop, timeout=60.0)
        theirs, again = Aiohttp(bench, loop), Aiohttp(bench, loop)
        for client in (ours, theirs, again):
            stack.callback(client.close)
        exchanges: dict[str, Callable[[], Awaitable[object]]] = {
            OURS: ours.exchange,
            "aiohttp": theirs.exchange,
            _CONTROL: again.exchange,
            "auth0-server-python": _limit(Auth0(bench, loop).exchange),
        }
        for name, kind in _ASYNC.items():
            library = runner.run(_open(kind, bench))
            stack.callback(_close, runner, library)
            exchanges[name] = library.exchange
        bursts = {
            name: _build_task_burst(exchange, loop, tasks)
            for name, exchange in exchanges.items()
        }
        heading = "1 task" if tasks == 1 else f"{tasks} tasks"
        return _measure_column(bench, heading, bursts, tasks, each)


async def _open(kind: Callable[[Bench, int], Any], bench: Bench) -> Any:
    # Within the loop, which some of them look for.
    return kind(bench, 100)


def _limit(exchange: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
    """Have ten tasks exchange at a time.

    Auth0's SDK loads the CAs for each exchange, in 20 ms.  With a hundred at once, the last
    would time out before they connect, on a machine that has other work as well.
    """
    turns = asyncio.Semaphore(10)

    async def exchange_in_turn() -> None:
        async with turns:
            await exchange()

    return exchange_in_turn


def _close(runner: asyncio.Runner, library: Any) -> None:
    runner.run(library.close())


def _build_task_burst(
    exchange: Callable[[], Awaitable[object]],
    loop: asyncio.AbstractEventLoop,
    tasks: int,
) -> Burst:
    async def exchange_in_task(count: int) -> None:
        for _ in range(count):
            await exchange()

    async def exchange_all(count: int) -> None:
        await asyncio.gather(*(exchange_in_task(count // tasks) for _ in range(tasks)))

    return lambda count: loop.run_until_complete(exchange_all(count))


def _measure_column(
    bench: Bench, heading: str, bursts: Mapping[str, Burst], callers: int, each: int
) -> _Column:
    count = callers * bench.scale(each, 1)
    measured = measure_each_in_turns(bursts, count=count, rounds=bench.scale(11, 1))
    rates = {name: 1 / median(side.cpu) for name, side in measured.items()}
    return _Column(heading, rates)
