"""Run the benchmarks: ``python -m benchmarks [--quick] [--output FILE] [ROW ...]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from . import (
    rows_cache,
    rows_core,
    rows_crowd,
    rows_events,
    rows_exchange,
    rows_fleet,
    rows_peer,
    rows_process,
    rows_sessions,
)
from .bench import Bench
from .report import Row, markdown

ROWS: dict[str, Callable[[Bench], list[Row]]] = {
    "control": rows_exchange.control,
    "blocking": rows_exchange.blocking,
    "async": rows_exchange.asynchronous,
    "core": rows_core.core,
    "peer": rows_peer.peer,
    "id-token": rows_core.verification,
    "assertion": rows_core.assertion,
    "sessions": rows_sessions.sessions,
    "cache": rows_cache.cache,
    "events": rows_events.events,
    "fleet": rows_fleet.fleet,
    "first": rows_process.first,
    "import": rows_process.imports,
    "crowd": rows_crowd.crowd,
    "cold": rows_crowd.cold,
    "memory": rows_process.memory,
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
    table = markdown(rows)
    print(table)
    output = arguments.output
    if output is None and not arguments.rows and not arguments.quick:
        # A part of the rows, or a quick look, must not replace the figures of a full run.
        output = RESULTS
    if output is not None:
        output.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
