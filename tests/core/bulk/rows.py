"""Rows, and outcomes of rows, for the tests of bulk exchanges."""

from __future__ import annotations

from auth0_tx.core.bulk.pace import Pace
from auth0_tx.core.bulk.schedule import Outcome, Read, Row, Schedule, Start, Step, Wait
from auth0_tx.errors import BlockedError, RateLimitError
from auth0_tx.results import BulkExchangeResult
from auth0_tx.values import TokenExchangeResponse
from tests.core.world import build_options

TOKENS = TokenExchangeResponse(access_token="an-access-token", token_type="Bearer")
BLOCKED = BlockedError("too many attempts", "too_many_attempts", 429)


def build_limited(retry_after: float | None = None) -> RateLimitError:
    """Build the error of a 429."""
    return RateLimitError(
        "slow down", "too_many_requests", 429, True, retry_after=retry_after
    )


class Player:
    """Performs the steps of a schedule: an input of *rows* rows, and who is in flight."""

    def __init__(
        self, rows: int, concurrency: int = 3, rate: float | None = None
    ) -> None:
        self.schedule = Schedule(concurrency, Pace(rate), lambda: 0.5)
        self.left = rows
        self.now = 1_000.0
        self.in_flight: dict[int, Row] = {}
        self.results: list[BulkExchangeResult] = []
        self.starts: list[tuple[float, int]] = []

    def advance(self) -> Step:
        """Perform what comes next until the schedule waits, or ends; return that step."""
        while True:
            step = self.schedule.find_next(self.now)
            if isinstance(step, Start):
                assert step.row.index not in self.in_flight
                self.in_flight[step.row.index] = step.row
                self.starts.append((self.now, step.row.index))
            elif isinstance(step, Read):
                self.read()
            else:
                return step

    def wait_for_start(self) -> None:
        """Let time pass until a row is in flight."""
        step = self.advance()
        while not self.in_flight:
            assert isinstance(step, Wait)
            assert step.seconds is not None
            self.now += step.seconds
            step = self.advance()

    def read(self) -> None:
        """Hand out a row of the input, or its end."""
        if self.left:
            self.left -= 1
            result = self.schedule.note_read(build_options())
            self.results += [] if result is None else [result]
        else:
            self.schedule.note_end_of_input()

    def end(self, index: int, outcome: Outcome = TOKENS) -> None:
        """End the row at *index*."""
        row = self.in_flight.pop(index)
        self.results += self.schedule.note_outcome(row, outcome, self.now)

    def take_all(self) -> list[int]:
        """Take every result, and come back; return their indexes."""
        indexes = [result.index for result in self.results]
        for _ in indexes:
            self.schedule.release()
        self.results.clear()
        return indexes
