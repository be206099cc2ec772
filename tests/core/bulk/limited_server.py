"""A server with a rate limit, in time that passes only when it is told to."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count
from typing import TypeAlias

import attrs

from auth0_tx.core.bulk.pace import Pace
from auth0_tx.core.bulk.schedule import (
    End,
    Outcome,
    Read,
    Row,
    Schedule,
    Start,
    Wait,
)
from auth0_tx.core.wire.reading import RateLimit
from tests.core.bulk.rows import TOKENS, build_limited
from tests.core.world import build_options

Tell: TypeAlias = Callable[["LimitedServer", float, bool], RateLimit]
"""Makes what an answer tells of the limit, at a time, to a row that is let in or not."""


@attrs.define
class LimitedServer:
    """A token bucket, as Auth0's.

    Args:
        per_second: how many requests a second are let in in the long run.
        burst: how many may come at once.
        tell: what its answers tell.
        others: requests a second that other clients make.
    """

    per_second: float
    burst: int
    tell: Tell
    others: float = 0.0
    left: float = 0.0
    updated_at: float = 0.0

    def answer(self, now: float) -> tuple[bool, RateLimit]:
        """Count a request; return whether it is let in, and what its answer tells."""
        passed, self.updated_at = now - self.updated_at, now
        refill = passed * (self.per_second - self.others)
        self.left = min(self.burst, self.left + refill)
        is_let_in = self.left >= 1
        self.left -= is_let_in
        return is_let_in, self.tell(self, now, is_let_in)


def tell_next_token(server: LimitedServer, now: float, is_let_in: bool) -> RateLimit:
    """Tell when the next request is let in, in whole seconds."""
    wait = max(0.0, (1 - server.left) / server.per_second)
    return _tell_reset(server, now, now + wait)


def tell_full_bucket(server: LimitedServer, now: float, is_let_in: bool) -> RateLimit:
    """Tell when the bucket is full again, in whole seconds."""
    wait = (server.burst - server.left) / server.per_second
    return _tell_reset(server, now, now + wait)


def _tell_reset(server: LimitedServer, now: float, reset: float) -> RateLimit:
    # The moment is measured by the Date of the answer, which is in whole seconds too.
    seconds = math.ceil(reset) - math.floor(now)
    return RateLimit(int(server.left), seconds or None, None)


def tell_other_counters(
    server: LimitedServer, now: float, is_let_in: bool
) -> RateLimit:
    """Tell the tenant's counters, and ``Retry-After``, as a custom policy does."""
    return RateLimit(90, 1.0, None if is_let_in else 1.0)


def tell_nothing(server: LimitedServer, now: float, is_let_in: bool) -> RateLimit:
    """Tell nothing at all."""
    return RateLimit(None, None, None)


@attrs.define
class Run:
    """A bulk exchange with a limited server, and its figures.

    Attributes:
        accepted: the moments of the rows that were let in.
        refused: the moments of the 429s.
        most: the most that was in flight.
    """

    server: LimitedServer
    schedule: Schedule
    latency: float
    now: float = 0.0
    accepted: list[float] = attrs.field(factory=list)
    refused: list[float] = attrs.field(factory=list)
    starts: list[float] = attrs.field(factory=list)
    most: int = 0

    def play(self, seconds: float, rows: float = math.inf) -> None:
        """Let so much time pass, or as much as *rows* rows take."""
        number, answers = count(), list[tuple[float, int, Row, Outcome]]()
        while self.now < seconds:
            step = self.schedule.find_next(self.now)
            match step:
                case Start(row):
                    self.starts.append(self.now)
                    outcome = self._answer(row)
                    arrival = self.now + self.latency
                    heapq.heappush(answers, (arrival, next(number), row, outcome))
                    self.most = max(self.most, len(answers))
                case Read():
                    if self.schedule.next_index < rows:
                        self.schedule.note_read(build_options())
                    else:
                        self.schedule.note_end_of_input()
                case Wait(wait):
                    times = [] if wait is None else [self.now + wait]
                    self.now = min([*times, *(answer[0] for answer in answers[:1])])
                    while answers and answers[0][0] <= self.now:
                        _, _, row, outcome = heapq.heappop(answers)
                        for _ in self.schedule.note_outcome(row, outcome, self.now):
                            self.schedule.release()
                case End():
                    return

    def _answer(self, row: Row) -> Outcome:
        # Counted as it is sent; the answer takes the whole latency.
        is_let_in, row.limit = self.server.answer(self.now)
        if is_let_in:
            self.accepted.append(self.now)
            return TOKENS
        self.refused.append(self.now)
        return build_limited(row.limit.retry_after or row.limit.reset_in)


def begin_run(
    per_second: float,
    burst: int,
    tell: Tell,
    *,
    concurrency: int = 50,
    latency: float = 0.1,
    rate: float | None = None,
    others: float = 0.0,
) -> Run:
    """Begin a bulk exchange with a server whose bucket is full."""
    server = LimitedServer(per_second, burst, tell, others, burst)
    return Run(server, Schedule(concurrency, Pace(rate), lambda: 0.5), latency)
