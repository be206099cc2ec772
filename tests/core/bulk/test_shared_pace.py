"""A row of a bulk exchange whose pace several processes share: when it is sent, and if at all."""

from __future__ import annotations

import attrs
import pytest

from auth0_tx.core.bulk.pace import Pace
from auth0_tx.core.bulk.plan import BulkPlan, exchange_many
from auth0_tx.core.bulk.schedule import Row, is_shared_by_all
from auth0_tx.core.bulk.shared_pace import Turn
from auth0_tx.core.effects import Flow, Send, Sleep, Warn
from auth0_tx.core.wire.reading import RateLimit
from auth0_tx.errors import ConfigurationError, InvalidInputError, NotSentError
from auth0_tx.values import TokenExchangeResponse
from tests.core.world import (
    Clock,
    build_client,
    build_options,
    build_refusal,
    build_response,
    fail,
    play,
)


@attrs.define
class PaceOnPaper:
    """A pace that gives the turns that a test wrote down."""

    turns: list[Turn | Exception]
    longest_wait: float = 900.0
    failure: Exception | None = None
    asked: list[int] = attrs.field(factory=list)
    pauses: list[float] = attrs.field(factory=list)

    def take_turn(self, booked: int) -> Turn:
        self.asked.append(booked)
        turn = self.turns.pop(0)
        if isinstance(turn, Exception):
            raise turn
        return turn

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if self.failure is not None:
            raise self.failure


def make_plan(clock: Clock, pace: PaceOnPaper) -> BulkPlan:
    return exchange_many(build_client(clock), [], pace=pace)


def make_row(plan: BulkPlan) -> Flow[TokenExchangeResponse]:
    return plan.run_row(Row(0, build_options()))


def test_turn_at_once(clock: Clock) -> None:
    """A row whose turn is now is sent without a wait."""
    pace = PaceOnPaper([(0.0, 17)])
    tokens, asked = play(make_row(make_plan(clock, pace)), build_response())

    assert "needle-of-the-access.token" == tokens.access_token
    assert [] == asked.waits
    assert [0] == pace.asked


def test_turn_is_confirmed_after_its_wait(clock: Clock) -> None:
    """A row asks again when it wakes up, and may have to wait for longer."""
    pace = PaceOnPaper([(0.25, 17), (0.5, 21), (0.0, 21)])
    started = clock()
    _, asked = play(make_row(make_plan(clock, pace)), build_response(), clock=clock)

    assert [0.25, 0.5] == asked.waits
    assert [0, 17, 21] == pace.asked
    assert 0.75 == pytest.approx(clock() - started)


def test_wait_takes_no_time_of_the_row(clock: Clock) -> None:
    """A row's deadline begins when it is sent, however long it waited for its turn."""
    pace = PaceOnPaper([(300.0, 17), (0.0, 17)])
    _, asked = play(make_row(make_plan(clock, pace)), build_response(), clock=clock)

    assert [1.0] * 300 == asked.waits
    sent = [effect for effect in asked if isinstance(effect, Send)]
    assert [10.0] == pytest.approx([send.deadline - clock() for send in sent])


def test_turn_that_is_too_far_away(clock: Clock) -> None:
    """A row is not sent if it would wait too long, and then no other row is."""
    pace = PaceOnPaper([(61.0, 17)], longest_wait=60.0)
    error, asked = fail(make_row(make_plan(clock, pace)), clock=clock)

    assert ("NotSentError", "rate_limited") == (type(error).__name__, error.code)
    assert (True, 61.0) == (error.retry_safe, error.retry_after)
    assert [] == asked.requests
    assert is_shared_by_all(error)


def test_waits_add_up(clock: Clock) -> None:
    """A row whose turn is put off again and again is not sent in the end."""
    pace = PaceOnPaper([(40.0, 17), (21.0, 99)], longest_wait=60.0)
    error, asked = fail(make_row(make_plan(clock, pace)), clock=clock)

    assert 21.0 == error.retry_after
    assert [] == asked.requests


def test_pace_that_fails(clock: Clock) -> None:
    """If the pace cannot be asked, nothing is sent; its error, which may tell much, is dropped."""
    pace = PaceOnPaper([OSError("needle-of-the-redis")])
    error, asked = fail(make_row(make_plan(clock, pace)))

    assert ("NotSentError", "store_failed") == (type(error).__name__, error.code)
    assert error.retry_safe
    assert None is error.__context__
    assert "needle" not in str(error)
    assert [] == asked.requests
    assert is_shared_by_all(error)


def test_pace_of_the_other_world(clock: Clock) -> None:
    """An error of ours, as for a pace whose methods would have to be awaited, is raised as it is."""
    refusal = ConfigurationError("async")
    error, asked = fail(make_row(make_plan(clock, PaceOnPaper([refusal]))))

    assert refusal is error
    assert [] == asked.requests


def test_stop_while_a_row_waits(clock: Clock) -> None:
    """A row that waits for its turn when the bulk exchange is stopped is not sent."""
    pace = PaceOnPaper([(300.0, 17)])
    plan = make_plan(clock, pace)
    flow = make_row(plan)
    effects = [next(flow)]
    effects.append(flow.send((300.0, 17)))
    plan.schedule.stop(clock())
    clock.wait(1.0)
    with pytest.raises(NotSentError, match="stopped"):
        flow.send(None)

    assert isinstance(effects[1], Sleep)


def test_turn_of_another_row_that_is_too_far_away(clock: Clock) -> None:
    """A row that has its turn is sent, though a later one has none and nothing more is read."""
    pace = PaceOnPaper([(0.5, 17), (61.0, 99), (0.0, 17)], longest_wait=60.0)
    plan = make_plan(clock, pace)
    schedule = plan.schedule
    schedule.in_flight, schedule.next_index = 2, 2
    flow = make_row(plan)
    next(flow)
    flow.send(pace.take_turn(0))
    error, _ = fail(make_row(plan))
    schedule.note_outcome(Row(1, build_options()), error, clock())
    clock.wait(1.0)
    effect = flow.send(None)

    assert schedule.is_stopped
    assert (pace.take_turn, (17,)) == (effect.function, effect.arguments)


def test_rate_limit_pauses_everyone(clock: Clock) -> None:
    """A 429 of one row pauses all who share the pace, for as long as the server asks."""
    pace = PaceOnPaper([(0.0, 17)])
    answer = build_refusal(429, "too_many_requests", **{"Retry-After": "7"})
    error, asked = fail(make_row(make_plan(clock, pace)), answer)

    assert [7.0] == pace.pauses
    assert 1 == len(asked.requests)
    assert 429 == error.status


def test_block_pauses_everyone(clock: Clock) -> None:
    """A block of the source address, which names no end, pauses all for the policy's time."""
    pace = PaceOnPaper([(0.0, 17)])
    answer = build_refusal(429, "too_many_attempts")
    error, _ = fail(make_row(make_plan(clock, pace)), answer)

    assert "BlockedError" == type(error).__name__
    assert [build_client(clock).settings.retry.blocked_seconds] == pace.pauses


def test_other_refusals_pause_nobody(clock: Clock) -> None:
    """A refusal of one token says nothing about the pace."""
    pace = PaceOnPaper([(0.0, 17)])
    fail(make_row(make_plan(clock, pace)), build_refusal(400, "invalid_request"))

    assert [] == pace.pauses


def test_pause_that_fails(clock: Clock) -> None:
    """The row has its outcome although the pace could not be told; that is logged."""
    pace = PaceOnPaper([(0.0, 17)], failure=OSError("needle-of-the-redis"))
    answer = build_refusal(429, "too_many_requests")
    error, asked = fail(make_row(make_plan(clock, pace)), answer)

    assert 429 == error.status
    warnings = [effect.message for effect in asked if isinstance(effect, Warn)]
    assert ["the shared pace could not be paused: OSError"] == warnings


def test_bad_row_takes_no_turn(clock: Clock) -> None:
    """A row that breaks a rule leaves its turn to others."""
    pace = PaceOnPaper([])
    plan = make_plan(clock, pace)
    row = Row(0, build_options(subject_token=" in spaces "))
    error, _ = fail(plan.run_row(row))

    assert "InvalidInputError" == type(error).__name__
    assert [] == pace.asked


@pytest.mark.parametrize("pace", [4.0, "fast", object()])
def test_pace_of_another_kind(clock: Clock, pace: object) -> None:
    """Whatever is not a pace is refused, by its name."""
    with pytest.raises(InvalidInputError) as refused:
        exchange_many(build_client(clock), [], pace=pace)  # type: ignore[arg-type]

    assert "pace" == refused.value.parameter


def test_counter_of_nothing_says_all() -> None:
    """After a refusal whose counter is at 0, the pause alone holds the next row back."""
    pace = Pace(None)
    pace.pause(2.0, 100.0, RateLimit(0, 2.0, None))

    assert 2.0 == pace.delay_before_start(100.0, 0)
    assert 0.0 == pace.delay_before_start(102.0, 0)
