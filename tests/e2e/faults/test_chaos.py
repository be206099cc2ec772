"""Chaos runs, and finds nothing in a few schedules; the long runs are made by hand."""

from __future__ import annotations

import pytest

from tests.e2e.faults.chaos import draw_schedule, play_schedules

AT_ONCE = 12


@pytest.mark.parametrize("world", ["blocking", "asyncio"])
def test_one_batch(world: str) -> None:
    """A few clients, on sessions of both kinds, each met by a server that errs in any way."""
    schedules = [draw_schedule(1, number, world, "both") for number in range(AT_ONCE)]
    tally = play_schedules(schedules, AT_ONCE)

    assert [] == tally.findings
    assert AT_ONCE == tally.schedules
    assert {"tokens", "AmbiguousError", "NotSentError", "RefusedError"} <= {
        *tally.endings
    }
