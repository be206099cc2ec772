"""Run the benchmarks: ``python -m benchmarks [--quick] [--output FILE] [ROW ...]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from . import (
    rows_bulk,
    rows_cache,
    rows_calling,
    rows_core,
    rows_crowd,
    rows_distance,
    rows_events,
    rows_exchange,
    rows_fleet,
    rows_libraries,
    rows_peer,
    rows_process,
    rows_sessions,
)
from .bench import Bench
from .report import Row, format_table

ROWS: dict[str, Callable[[Bench], list[Row]]] = {
    "control": rows_exchange.measure_noise,
    "blocking": rows_exchange.measure_blocking,
    "async": rows_exchange.measure_async,
    "core": rows_core.measure_core,
    "peer": rows_peer.measure_peer,
    "libraries": rows_libraries.measure_libraries,
    "id-token": rows_core.measure_verification,
    "assertion": rows_core.measure_assertions,
    "sessions": rows_sessions.measure_sessions,
    "cache": rows_cache.measure_cache,
    "events": rows_events.measure_events,
    "fleet": rows_fleet.measure_fleet,
    "first": rows_process.measure_first_exchange,
    "import": rows_process.measure_imports,
    "crowd": rows_crowd.measure_crowd,
    "cold": rows_crowd.measure_cold_crowd,
    "bulk": rows_bulk.measure_bulk,
    "calling": rows_calling.measure_calling,
    "rest": rows_distance.measure_rest,
    "start": rows_distance.measure_start,
    "hour": rows_distance.measure_hour,
    "memory": rows_process.measure_memory,
}
RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    """Measure what was asked for, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument(
        "--quick", action="store_true", help="see that it works, in a few seconds"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="where to write the table; a full run writes RESULTS.md",
    )
    arguments = parser.parse_args()
    unknown = set(arguments.rows) - set(ROWS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    with Bench(quick=arguments.quick) as bench:
        for name in arguments.rows or ROWS:
            print(f"{name} …", file=sys.stderr, flush=True)
            rows += ROWS[name](bench)
    table = format_table(rows)
    print(table)
    output = arguments.output
    if output is None and not arguments.rows and not arguments.quick:
        # A part of the rows, or a quick look, must not replace the figures of a full run.
        output = RESULTS
    if output is not None:
        output.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
