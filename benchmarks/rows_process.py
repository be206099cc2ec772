"""The cost for a process: to import, to exchange once, and to run for long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

from .bench import ROOT, Bench
from .measure import Comparison, Side
from .report import Row, build_ratio_row

_LIBRARIES = ("aiohttp", "authlib", "cryptography", "joserfc", "requests", "urllib3")
_MEGABYTE = 2**20

_TIMED_IMPORT = """\
import time
start = time.process_time()
import {module}
print(time.process_time() - start)
"""
_LOADED = "import auth0_tx, sys; print(*sorted(sys.modules))"


def measure_first_exchange(bench: Bench) -> list[Row]:
    """Measure the first exchange of a new process, from ``python`` to its exit."""
    rounds = bench.scale(25, 1)

    def time_script(side: Side, script: str) -> None:
        arguments = [f"benchmarks/fresh/{script}", bench.domain, bench.ca_file]
        _time_process(side, arguments)

    blocking = _measure_in_turns(
        "ours_blocking.py", "theirs_requests.py", time_script, rounds
    )
    asynchronous = _measure_in_turns(
        "ours_async.py", "theirs_aiohttp.py", time_script, rounds
    )
    return [
        build_ratio_row(
            "first exchange of a process, over requests", blocking, 1.30, "1.46"
        ),
        build_ratio_row(
            "first exchange of a process, over aiohttp", asynchronous, 1.15, "1.19-1.31"
        ),
    ]


def measure_imports(bench: Bench) -> list[Row]:
    """Measure ``import auth0_tx`` over ``import attrs``, and list the libraries it loads."""

    def time_import(side: Side, module: str) -> None:
        started = time.perf_counter()
        output = _run_python("-c", _TIMED_IMPORT.format(module=module))
        side.wall.append(time.perf_counter() - started)
        side.cpu.append(float(output))

    measured = _measure_in_turns("auth0_tx", "attrs", time_import, bench.scale(40, 2))
    loaded = set(_run_python("-c", _LOADED).split()) & set(_LIBRARIES)
    return [
        build_ratio_row("import auth0_tx over import attrs", measured, 2.0),
        Row(
            "HTTP and JOSE libraries that import auth0_tx loads",
            "none",
            ", ".join(sorted(loaded)) or "none",
            not loaded,
            f"of {', '.join(_LIBRARIES)}",
        ),
    ]


def measure_memory(bench: Bench) -> list[Row]:
    """Measure the growth in memory and descriptors by fifty thousand exchanges."""
    count = bench.scale(50_000, 200)
    rows = []
    for world in ("blocking", "async"):
        script = (
            "-m",
            "benchmarks.steady",
            world,
            bench.domain,
            bench.ca_file,
            str(count),
        )
        grown = json.loads(_run_python(*script))
        what = f"{count:,} {world} exchanges"
        rss, descriptors = grown["rss"] / _MEGABYTE, grown["descriptors"]
        rows += [
            Row(
                f"{what}: memory", "< 4 MiB", f"{rss:.1f} MiB", rss < 4, "growth of RSS"
            ),
            Row(
                f"{what}: descriptors",
                "0",
                str(descriptors),
                descriptors == 0,
                "growth",
            ),
        ]
    return rows


def _measure_in_turns(
    ours: str, theirs: str, measure: Callable[[Side, str], None], rounds: int
) -> Comparison:
    result = Comparison()
    # Once for nothing: files are then in the page cache, and compiled.
    measure(Side(), ours)
    measure(Side(), theirs)
    for number in range(rounds):
        sides = [(result.ours, ours), (result.theirs, theirs)]
        for side, what in sides if number % 2 else reversed(sides):
            measure(side, what)
    return result


def _time_process(side: Side, arguments: list[str]) -> None:
    started = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=_build_environment()
    )
    _, status, usage = os.wait4(child.pid, 0)
    side.wall.append(time.perf_counter() - started)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{arguments[0]} failed")
    side.cpu.append(usage.ru_utime + usage.ru_stime)


def _run_python(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=_build_environment(),
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def _build_environment() -> dict[str, str]:
    """Return an environment that finds the package, and compiles it only once."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(ROOT)}
