"""The pace of bulk exchanges: close to a limit, and hardly ever beyond it."""

from __future__ import annotations

import pytest

from auth0_tx.core.bulk.pace import Pace
from auth0_tx.core.wire.reading import RateLimit
from tests.core.bulk.limited_server import (
    Tell,
    begin_run,
    tell_full_bucket,
    tell_next_token,
    tell_nothing,
    tell_other_counters,
)

LIMITS = pytest.mark.parametrize(("per_second", "burst"), [(4, 4), (15, 15), (4, 100)])
LATENCIES = pytest.mark.parametrize("latency", [0.02, 0.3])


@LIMITS
@LATENCIES
@pytest.mark.parametrize("tell", [tell_next_token, tell_full_bucket])
def test_shown_limit(tell: Tell, per_second: int, burst: int, latency: float) -> None:
    """With Auth0's counters, a minute brings all that the limit allows, without a 429."""
    run = begin_run(per_second, burst, tell, latency=latency)
    run.play(60.0)

    assert len(run.accepted) >= 0.97 * (60 * per_second + burst)
    assert [] == run.refused


@LIMITS
@LATENCIES
@pytest.mark.parametrize("tell", [tell_other_counters, tell_nothing])
def test_limit_that_is_not_shown(
    tell: Tell, per_second: int, burst: int, latency: float
) -> None:
    """Without them the limit is found out by the first 429s, and nearly all of it is used."""
    run = begin_run(per_second, burst, tell, latency=latency)
    run.play(60.0)
    later = [moment for moment in run.refused if moment > 5.0]

    assert len(run.accepted) >= 0.9 * (60 * per_second + burst)
    # At first, everyone in flight is refused at once, which may be twice.
    assert len(run.refused) <= 100
    assert len(later) <= 30


def test_limit_that_others_use() -> None:
    """What other clients use of a limit is left to them."""
    run = begin_run(25, 25, tell_next_token, others=15)
    run.play(60.0)

    assert len(run.accepted) >= 0.97 * (60 * 10 + 25)
    assert [] == run.refused


def test_no_limit() -> None:
    """Without a limit, all places are used all the time."""
    run = begin_run(1e9, 10**9, tell_nothing, latency=0.1)
    run.play(10.0)

    # The first row goes alone.
    assert len(run.accepted) >= (10.0 - 0.2) / 0.1 * 50
    assert 50 == run.most


@pytest.mark.parametrize("rate", [0.5, 3.0, 40.0])
def test_rate(rate: float) -> None:
    """No more rows start than the rate allows, and no fewer."""
    run = begin_run(1e9, 10**9, tell_nothing, rate=rate)
    run.play(30.0)
    gaps = [b - a for a, b in zip(run.starts, run.starts[1:], strict=False)]

    # The first row goes alone, for the tenth of a second that its answer takes.
    assert 29.9 * rate <= len(run.starts) <= 30 * rate + 1
    assert min(gaps) >= 1 / rate - 0.051


def test_late_starts_are_made_up_for() -> None:
    """A timer that is late does not make the rate lower, and an idle time not higher."""
    pace = Pace(100.0)
    now, starts = 0.0, 0
    while now < 10.0:
        now += pace.delay_before_start(now, 0) + 0.003
        pace.note_start(now, 0)
        starts += 1

    assert 990 <= starts <= 1_001

    now += 60.0
    pace.note_start(now, 0)

    assert pace.delay_before_start(now, 0) > 0.009


def test_pause() -> None:
    """Nothing starts during a pause, and the longest of two counts."""
    pace = Pace(None)
    pace.note_start(0.0, 0)
    pace.pause(10.0, 0.0, None)
    pace.pause(3.0, 1.0, None)

    assert 9.0 == pace.delay_before_start(1.0, 0)
    assert 0.0 == pace.delay_before_start(10.0, 0)


def test_used_up_counter() -> None:
    """When nothing is left the next start waits for the reset, and then one goes alone."""
    pace = Pace(None)
    pace.note_start(0.0, 0)
    limit = RateLimit(0, 2.0, None)
    pace.note_outcome(1.0, started_at=0.0, in_flight=0, limit=limit, is_accepted=True)

    assert 2.0 == pace.delay_before_start(1.0, 0)
    assert 0.0 == pace.delay_before_start(3.0, 0)

    pace.note_start(3.0, 0)

    assert 1.0 == pace.delay_before_start(3.0, 1)


def test_reset_far_away() -> None:
    """A reset is waited for only so long: then one row finds out."""
    pace = Pace(None)
    pace.note_start(0.0, 0)
    limit = RateLimit(0, 86_400.0, None)
    pace.note_outcome(0.0, started_at=0.0, in_flight=0, limit=limit, is_accepted=True)

    assert 5.0 == pace.delay_before_start(0.0, 0)


def test_answers_that_overtake_each_other() -> None:
    """The counter of an answer to an earlier row says nothing about a later one."""
    pace = Pace(None)
    pace.note_start(0.0, 0)
    pace.note_start(0.1, 1)
    pace.note_outcome(
        1.0,
        started_at=0.1,
        in_flight=1,
        limit=RateLimit(0, 2.0, None),
        is_accepted=True,
    )
    pace.note_outcome(
        1.1,
        started_at=0.0,
        in_flight=0,
        limit=RateLimit(9, 2.0, None),
        is_accepted=True,
    )

    assert pace.delay_before_start(1.1, 0) > 1.0
