"""A fleet: four workers exchange tokens of the same fifty users, with and without a cache."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import quantiles
from typing import Any

from .bench import ROOT, Bench
from .redis_here import URL, connect_redis
from .report import Row
from .tokens import CLIENT_ID, CLIENT_SECRET

_WORKERS = 4
_CALLS = 1_000
_USERS = 50


def measure_fleet(bench: Bench) -> list[Row]:
    """Measure the requests to the tenant, and how long callers wait."""
    with connect_redis() as here:
        rows = [_measure(bench, None, "")]
        if here is not None:
            rows.append(_measure(bench, URL, here[1]))
    return rows


def _measure(bench: Bench, redis_url: str | None, prefix: str) -> Row:
    calls = bench.scale(_CALLS, 20)
    bench.take_counts()
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fleet_worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(_WORKERS)
    ]
    keywords = {
        "domain": bench.domain,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "verify": bench.ca_file,
    }
    for seed, worker in enumerate(workers):
        told: dict[str, Any] = {
            "keywords": keywords,
            "redis": redis_url,
            "prefix": prefix,
            "users": _USERS,
            "calls": calls,
            "seed": seed,
        }
        _write_line(worker, json.dumps(told))
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    started = time.perf_counter()
    for worker in workers:
        _write_line(worker, "go")
    taken: list[float] = []
    for worker in workers:
        output, _ = worker.communicate(timeout=300)
        taken += json.loads(output)
    seconds = time.perf_counter() - started
    requests = bench.take_counts()["paths"].get("/oauth/token", 0)
    cuts = quantiles(taken, n=100)
    cached = redis_url is not None
    most = _USERS if cached else _WORKERS * calls
    return Row(
        f"a fleet of {_WORKERS} workers, {calls:,} exchanges each over {_USERS} users, "
        + ("a cache in Redis" if cached else "no cache")
        + ": requests to the tenant",
        f"≤ {most:,}",
        f"{requests:,}",
        requests <= most,
        f"p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms for a call; "
        f"{seconds:.1f} s in all, 10 threads a worker",
    )


def _write_line(worker: subprocess.Popen[str], line: str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(line + "\n")
    worker.stdin.flush()
