"""A hundred thousand rows: over a loop written by hand that keeps as many in flight.

By hand means a thread pool, or as many tasks that take rows from one iterator.  Neither paces,
keeps count, or waits for whoever takes its results.  Memory is measured in a process of its
own, as its growth after the first rows.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

from .bench import ROOT, Bench
from .bulk import ByHandAsync, ByHandBlocking, OursAsync, OursBlocking
from .measure import measure_in_turns
from .report import Row, build_ratio_row

_CONCURRENCY = 50
_MEMORY = 4 * 2**20


def measure_bulk(bench: Bench) -> list[Row]:
    """Measure the throughput in both worlds, and the memory and losses of a long run."""
    count, rounds = bench.scale(2_000, 100), bench.scale(8, 1)
    blocking = measure_in_turns(
        OursBlocking(bench, _CONCURRENCY).exchange,
        ByHandBlocking(bench, _CONCURRENCY).exchange,
        count=count,
        rounds=rounds,
    )
    with asyncio.Runner() as runner:
        ours = OursAsync(bench, _CONCURRENCY, runner)
        theirs = ByHandAsync(bench, _CONCURRENCY, runner)
        tasks = measure_in_turns(
            ours.exchange, theirs.exchange, count=count, rounds=rounds
        )
        theirs.close()
        ours.close()
    return [
        build_ratio_row(
            "bulk, blocking, over a hand-written thread pool of requests",
            blocking,
            0.80,
        ),
        build_ratio_row("bulk, async, over hand-written aiohttp workers", tasks, 1.25),
        *_measure_long_run(bench, "blocking"),
        *_measure_long_run(bench, "async"),
    ]


def _measure_long_run(bench: Bench, world: str) -> list[Row]:
    count = bench.scale(100_000, 1_000)
    bench.take_counts()
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.bulk", world, bench.domain),
            *(bench.ca_file, str(_CONCURRENCY), str(count)),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    told, counts = json.loads(ran.stdout), bench.take_counts()
    what = f"bulk, {world}, {count:,} rows"
    sent = counts["paths"]["/oauth/token"]
    return [
        Row(
            f"{what}: lost, failed or sent twice",
            "0",
            str(told["lost"] + told["failed"] + sent - count),
            told["lost"] == told["failed"] == sent - count == 0,
            f"{count / told['seconds']:,.0f} a second on the wall",
        ),
        Row(
            f"{what}: memory",
            f"< {_MEMORY // 2**20} MiB",
            f"{told['grown'] / 2**20:.1f} MiB",
            told["grown"] < _MEMORY,
            "growth of the peak of RSS after the first tenth",
        ),
        Row(
            f"{what}: connections",
            f"≤ {_CONCURRENCY}",
            str(counts["most_open"]),
            counts["most_open"] <= _CONCURRENCY,
            "",
        ),
    ]
