"""Every order of a few events, and random orders of many: no row is lost or sent twice."""

from __future__ import annotations

from itertools import product

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from auth0_tx.core.bulk.pace import Pace
from auth0_tx.core.bulk.schedule import (
    End,
    Outcome,
    Read,
    Row,
    Schedule,
    Start,
    Step,
    Wait,
)
from auth0_tx.errors import AmbiguousError, RefusedError
from auth0_tx.results import BulkExchangeResult
from tests.core.bulk.rows import BLOCKED, TOKENS, build_limited
from tests.core.world import build_options

CONCURRENCY = 2
OUTCOMES: dict[str, Outcome] = {
    "ok": TOKENS,
    "refused": RefusedError("no", "invalid_request", 400),
    "lost": AmbiguousError("lost"),
    "limited": build_limited(),
    "limited long": build_limited(7.0),
    "blocked": BLOCKED,
}


class Model:
    """A schedule, and what may be said of it from outside."""

    def __init__(self, rate: float | None = None) -> None:
        self.schedule = Schedule(CONCURRENCY, Pace(rate), lambda: 0.5)
        self.now = 1_000.0
        self.read = 0
        self.in_flight: list[Row] = []
        self.results: list[BulkExchangeResult] = []
        self.seen: list[int] = []
        self.sent_after: dict[int, float] = {}
        self.paused_until = 0.0
        self.is_stopped = False
        self.is_reading = False
        self.has_ended = False

    def step(self) -> Step:
        """Perform one step."""
        step = self.schedule.find_next(self.now)
        match step:
            case Start(row):
                assert not self.is_stopped
                assert self.now >= self.paused_until
                assert row not in self.in_flight
                assert row.index not in self.seen
                self.in_flight.append(row)
            case Read():
                assert not self.is_stopped
                assert not self.is_reading
                assert self.now >= self.paused_until
                self.is_reading = True
            case End():
                self.has_ended = True
            case Wait():
                pass
        return step

    def note(self, results: list[BulkExchangeResult]) -> None:
        """Take results in, as the shell does."""
        self.results += results
        self.seen += [result.index for result in results]

    def hand_out(self) -> None:
        """End the read that is under way, with a row."""
        self.is_reading = False
        self.read += 1
        result = self.schedule.note_read(build_options())
        self.note([] if result is None else [result])

    def end_input(self) -> None:
        """End the read that is under way, with the input's end."""
        self.is_reading = False
        self.schedule.note_end_of_input()

    def end_row(self, row: Row, outcome: Outcome) -> None:
        """End a row that is in flight."""
        self.in_flight.remove(row)
        self.note(self.schedule.note_outcome(row, outcome, self.now))
        if outcome is OUTCOMES["limited long"] and not self.is_stopped:
            self.paused_until = self.now + 7.0
        self.is_stopped |= outcome is BLOCKED

    def stop(self) -> None:
        """Stop."""
        self.is_stopped = True
        self.note(self.schedule.stop(self.now))

    def take(self) -> None:
        """Come back for another result."""
        self.results.pop(0)
        self.schedule.release()

    def check(self) -> None:
        """Check what always holds."""
        assert len(self.in_flight) == self.schedule.in_flight
        held = len(self.in_flight) + len(self.results) + self.is_reading
        assert held <= self.schedule.occupied <= CONCURRENCY
        assert len(self.seen) == len(set(self.seen))
        assert self.read == self.schedule.next_index
        assert self.read - len(self.seen) <= CONCURRENCY

    def finish(self) -> None:
        """Let everything come to its end, and check that each row has its result."""
        for _ in range(1_000):
            step = self.step()
            if isinstance(step, End):
                break
            if isinstance(step, Wait):
                if self.in_flight:
                    self.end_row(self.in_flight[0], TOKENS)
                elif self.is_reading:
                    self.end_input()
                elif self.results:
                    self.take()
                else:
                    assert step.seconds is not None
                    self.now += step.seconds
            self.check()

        assert self.has_ended
        assert [*range(self.read)] == sorted(self.seen)


def perform(model: Model, event: str) -> None:
    """Perform an event, if it can happen now."""
    if event == "step":
        for _ in range(3):
            model.step()
    elif event == "row" and model.is_reading:
        model.hand_out()
    elif event == "take" and model.results:
        model.take()
    elif event == "stop":
        model.stop()
    elif event == "time":
        model.now += 8.0
    elif event in OUTCOMES and model.in_flight:
        model.end_row(model.in_flight[-1], OUTCOMES[event])


def test_every_order() -> None:
    """After any few events, everything ends, and each row that was read has one result."""
    events = ("step", "row", "ok", "limited long", "blocked", "take", "stop", "time")
    for order in product(events, repeat=4):
        model = Model()
        # Two rows are in flight.
        for event in ("step", "row", "step", "time", "step", "row", "step"):
            perform(model, event)
        for event in order:
            perform(model, event)
            model.check()
        model.finish()


class RandomOrders(RuleBasedStateMachine):
    """Any events in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()

    @rule()
    def step(self) -> None:
        """Ask what comes next, and do it."""
        self.model.step()

    @precondition(lambda self: self.model.is_reading)
    @rule(ends=st.booleans())
    def read(self, ends: bool) -> None:
        """The input has a row, or none."""
        if ends:
            self.model.end_input()
        else:
            self.model.hand_out()

    @precondition(lambda self: self.model.in_flight)
    @rule(outcome=st.sampled_from([*OUTCOMES]), place=st.integers(0, CONCURRENCY))
    def end_row(self, outcome: str, place: int) -> None:
        """A row ends."""
        rows = self.model.in_flight
        self.model.end_row(rows[place % len(rows)], OUTCOMES[outcome])

    @precondition(lambda self: self.model.results)
    @rule()
    def take(self) -> None:
        """The consumer comes back."""
        self.model.take()

    @rule(seconds=st.sampled_from([0.0, 0.3, 1.0, 8.0, 61.0]))
    def pass_time(self, seconds: float) -> None:
        """Time passes."""
        self.model.now += seconds

    @rule()
    def stop(self) -> None:
        """The application stops it."""
        self.model.stop()

    @invariant()
    def check(self) -> None:
        """What always holds, holds."""
        self.model.check()

    def teardown(self) -> None:
        """Everything comes to its end."""
        self.model.finish()


TestRandomOrders = RandomOrders.TestCase
TestRandomOrders.settings = settings(max_examples=60, stateful_step_count=40)
