"""Measure two things in turns, in short bursts: a slow machine then slows both.

CPU time is the process's own, with all its threads, so that neither the server nor the
machine's other work is in it.
"""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable, Mapping
from statistics import median
from typing import TypeAlias

import attrs

Burst: TypeAlias = Callable[[int], object]
"""Performs an operation so many times."""


@attrs.frozen
class Side:
    """Seconds for one operation, of CPU and on the wall, burst by burst."""

    cpu: list[float] = attrs.field(factory=list)
    wall: list[float] = attrs.field(factory=list)

    def time(self, burst: Burst, count: int) -> None:
        """Time one burst."""
        wall, cpu = time.perf_counter(), time.process_time()
        burst(count)
        self.cpu.append((time.process_time() - cpu) / count)
        self.wall.append((time.perf_counter() - wall) / count)


@attrs.frozen
class Comparison:
    """Our bursts, and the other side's."""

    ours: Side = attrs.field(factory=Side)
    theirs: Side = attrs.field(factory=Side)

    @property
    def ratio(self) -> float:
        """Return the ratio of the medians of the CPU times."""
        return median(self.ours.cpu) / median(self.theirs.cpu)

    def describe(self) -> str:
        """Return the figures behind the ratio, as text."""
        return (
            f"{format_seconds(median(self.ours.cpu))} over "
            f"{format_seconds(median(self.theirs.cpu))} of CPU; "
            f"ratio of minima {min(self.ours.cpu) / min(self.theirs.cpu):.2f}, "
            f"of wall time {median(self.ours.wall) / median(self.theirs.wall):.2f}"
        )


def measure_in_turns(
    ours: Burst, theirs: Burst, *, count: int, rounds: int
) -> Comparison:
    """Measure *ours* and *theirs* in turns, each first in every other round."""
    result = Comparison()
    # Both have their connections, their caches and their code warm.
    ours(count)
    theirs(count)
    for number in range(rounds):
        gc.collect()
        sides = [(result.ours, ours), (result.theirs, theirs)]
        for side, burst in sides if number % 2 else reversed(sides):
            side.time(burst, count)
    return result


def measure_each_in_turns(
    bursts: Mapping[str, Burst], *, count: int, rounds: int
) -> dict[str, Side]:
    """Measure any number of things in turns, each first in every so many rounds."""
    results = {name: Side() for name in bursts}
    order = deque(bursts.items())
    for _ in range(rounds):
        gc.collect()
        for name, burst in order:
            # A round takes seconds, after which some have closed their connections at rest.
            burst(count)
            results[name].time(burst, count)
        order.rotate(1)
    return results


def format_seconds(seconds: float) -> str:
    """Return a short time as text, in a unit that suits it."""
    if seconds < 100e-6:
        return f"{seconds * 1e6:.1f} µs"
    if seconds < 10e-3:
        return f"{seconds * 1e6:,.0f} µs"
    return f"{seconds * 1e3:.0f} ms"
