"""A process that exchanges many times and prints its growth.

Run as ``python -m benchmarks.steady blocking|async DOMAIN CA_FILE COUNT``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

_PAGE = os.sysconf("SC_PAGE_SIZE")
_BURST = 100


def main(world: str, domain: str, ca_file: str, count: str) -> None:
    """Warm up, exchange, and print the growth as JSON."""
    bench = SimpleNamespace(domain=domain, ca_file=ca_file)
    with asyncio.Runner() as runner:
        from .ours import Async, Blocking

        burst: Callable[[int], None]
        if world == "blocking":
            burst = Blocking(bench).exchange_serially  # type: ignore[arg-type]
        else:
            burst = Async(bench, runner.get_loop()).exchange_concurrently  # type: ignore[arg-type]
        _exchange_in_bursts(burst, int(count) // 10)
        rss, descriptors = _read_rss(), _count_descriptors()
        _exchange_in_bursts(burst, int(count))
        grown = {
            "rss": _read_rss() - rss,
            "descriptors": _count_descriptors() - descriptors,
        }
    print(json.dumps(grown))


def _exchange_in_bursts(burst: Callable[[int], None], count: int) -> None:
    for _ in range(0, count, _BURST):
        burst(_BURST)
    gc.collect()


def _read_rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


if __name__ == "__main__":
    main(*sys.argv[1:])
