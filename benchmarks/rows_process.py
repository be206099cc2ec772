"""What a process pays: to import, to exchange for the first time, and for a long life."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

from .bench import ROOT, Bench
from .measure import Paired, Side
from .report import Row, ratio_row

_LIBRARIES = ("aiohttp", "authlib", "cryptography", "joserfc", "requests", "urllib3")
_MEGABYTE = 2**20

_TIMED_IMPORT = """\
import time
start = time.process_time()
import {module}
print(time.process_time() - start)
"""
_LOADED = "import auth0_tx, sys; print(*sorted(sys.modules))"


def first(bench: Bench) -> list[Row]:
    """The first exchange of a fresh process, from ``python`` to its exit."""
    rounds = bench.scaled(25, 1)

    def whole(side: Side, script: str) -> None:
        arguments = [f"benchmarks/fresh/{script}", bench.domain, bench.ca_file]
        _time_process(side, arguments)

    blocking = _in_turns("ours_blocking.py", "theirs_requests.py", whole, rounds)
    asynchronous = _in_turns("ours_async.py", "theirs_aiohttp.py", whole, rounds)
    return [
        ratio_row("first exchange of a process, over requests", blocking, 1.10),
        ratio_row("first exchange of a process, over aiohttp", asynchronous, 1.10),
    ]


def imports(bench: Bench) -> list[Row]:
    """``import auth0_tx`` over ``import attrs``, and what the former brings along."""

    def timed(side: Side, module: str) -> None:
        started = time.perf_counter()
        output = _python("-c", _TIMED_IMPORT.format(module=module))
        side.wall.append(time.perf_counter() - started)
        side.cpu.append(float(output))

    measured = _in_turns("auth0_tx", "attrs", timed, bench.scaled(40, 2))
    loaded = set(_python("-c", _LOADED).split()) & set(_LIBRARIES)
    return [
        ratio_row("import auth0_tx over import attrs", measured, 2.0),
        Row(
            "HTTP and JOSE libraries that import auth0_tx loads",
            "none",
            ", ".join(sorted(loaded)) or "none",
            not loaded,
            f"of {', '.join(_LIBRARIES)}",
        ),
    ]


def memory(bench: Bench) -> list[Row]:
    """What fifty thousand exchanges leave behind, after a warm-up."""
    count = bench.scaled(50_000, 200)
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
        grown = json.loads(_python(*script))
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


def _in_turns(
    ours: str, theirs: str, measure: Callable[[Side, str], None], rounds: int
) -> Paired:
    result = Paired()
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
    child = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=_environment())
    _, status, usage = os.wait4(child.pid, 0)
    side.wall.append(time.perf_counter() - started)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{arguments[0]} failed")
    side.cpu.append(usage.ru_utime + usage.ru_stime)


def _python(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=_environment(),
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def _environment() -> dict[str, str]:
    """Give an environment in which the package is found, and compiled but once."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(ROOT)}
