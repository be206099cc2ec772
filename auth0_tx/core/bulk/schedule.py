"""The order of a bulk exchange: the next step, and the meaning of an outcome for the rest.

A schedule has *concurrency* places.  A place is taken when a row is to be read from the input,
and it is free again when the consumer, who was handed the row's result, comes back for another
one.  So whoever writes a result down before asking for the next has it on disk before another
row takes its place, and memory is bounded by the places, however long the input is.

1. A row is read only when a place is free and the pace would let it start.  There is one read
   at a time.
2. A row that was read is sent.  Its outcome is its result, a failure too.
3. A 429 is not an outcome: the server did not act on the row (RFC 6585 section 4).  Everyone
   pauses, and the row is sent again, before any other is read.
4. Failures that every further row would share stop the schedule: the source address is blocked,
   the client's credentials are refused, the client is closed, a pause would be too long.
5. After a stop nothing is sent.  Rows that were read and not sent have a result too, an error
   that says so: the input still has all the rest, and nothing is lost between the two.

So each row that was read has exactly one result, or is in flight.  Only a row that the input
hands out after the end has none.

Time and chance are arguments, and nothing here does I/O: the shells, of threads and of
tasks, perform what ``find_next`` returns, and tell what happened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import TypeAlias

import attrs

from ...errors import (
    BlockedError,
    BulkStoppedError,
    ClientClosedError,
    ConfigurationError,
    CustomTokenExchangeError,
    MfaRequiredError,
    NotSentError,
    RateLimitError,
    RefusedError,
)
from ...results import BulkExchangeResult
from ...secret import Unpicklable
from ...values import CustomTokenExchangeOptions, TokenExchangeResponse
from ..wire.reading import RateLimit
from .pace import Pace
from .shared_pace import is_pace_code, is_pace_error, is_turn_too_far

LONGEST_PAUSE = 900.0
"""Seconds of the longest pause.  If the server asks for a longer one, the schedule stops."""

MOST_REFUSALS = 10
"""How often a row is sent that is refused with 429 each time."""

LONGEST_READ = 1.0
"""Seconds for which a read that is under way at a stop is waited for."""

# The pace may have changed by then, a timer of months overflows, and a machine may sleep.
_LONGEST_WAIT = 5.0
_LONGEST_BACKOFF = 60.0
_BACKOFF = 1.0


@attrs.define(eq=False)
class Row(Unpicklable):
    """A row that was read.

    Attributes:
        index: its place in the input.
        options: the exchange.
        started_at: when it was sent last.
        refusals: how often it was refused with 429.
        refusal: the last of these errors.
        limit: what its last answer told of the server's limit.
    """

    index: int
    options: CustomTokenExchangeOptions = attrs.field(repr=False)
    started_at: float = 0.0
    refusals: int = 0
    refusal: CustomTokenExchangeError | None = None
    limit: RateLimit | None = None


@attrs.frozen
class Start:
    """Send *row*."""

    row: Row


@attrs.frozen
class Read:
    """Take the next row from the input."""


@attrs.frozen
class Wait:
    """Do nothing for *seconds*, or until something happens; ``None`` for as long as it takes."""

    seconds: float | None = None


@attrs.frozen
class End:
    """Nothing is in flight, and nothing comes any more."""


Step: TypeAlias = Start | Read | Wait | End
Outcome: TypeAlias = TokenExchangeResponse | CustomTokenExchangeError

_READ, _WAIT, _END = Read(), Wait(), End()


@attrs.define(eq=False)
class Schedule:
    """The state of one bulk exchange.

    Attributes:
        concurrency: the places.
        pace: how fast rows are sent.
        random: returns a number at least 0 and less than 1.
        sends_again: whether a row that is refused with 429 is; otherwise the refusal is its
            result, and the others pause all the same.
        next_index: how many rows were read.
        in_flight: how many rows are being sent.
        unreleased: results whose place is not free yet.
        is_reading: whether a read is under way.
        is_stopped: whether no further row starts.
        gives_up_turns: whether rows that wait for their turn, at a shared pace, are not sent.
        failure: what the consumer is to be raised at the end.
    """

    concurrency: int
    pace: Pace
    random: Callable[[], float]
    sends_again: bool = True
    next_index: int = attrs.field(init=False, default=0)
    in_flight: int = attrs.field(init=False, default=0)
    unreleased: int = attrs.field(init=False, default=0)
    is_reading: bool = attrs.field(init=False, default=False)
    is_stopped: bool = attrs.field(init=False, default=False)
    gives_up_turns: bool = attrs.field(init=False, default=False)
    failure: BaseException | None = attrs.field(init=False, default=None)
    _has_ended_input: bool = attrs.field(init=False, default=False)
    # Rows that were read, in the order in which they are to be sent.
    _to_send: deque[Row] = attrs.field(init=False, factory=deque)
    _stopped_at: float = attrs.field(init=False, default=0.0)
    # Pauses since the last success, and when the latest began, for the backoff.
    _pauses_in_turn: int = attrs.field(init=False, default=0)
    _paused_at: float = attrs.field(init=False, default=-inf)

    @property
    def occupied(self) -> int:
        """The places that are not free."""
        return self.in_flight + len(self._to_send) + self.is_reading + self.unreleased

    def find_next(self, now: float) -> Step:
        """Return what is to be done now; call again until it is to wait, or the end.

        A row that is to start, and a read, count as begun.
        """
        if self._to_send:
            delay = self.pace.delay_before_start(now, self.in_flight)
            if delay > 0:
                return Wait(min(delay, _LONGEST_WAIT))
            row = self._to_send.popleft()
            self.pace.note_start(now, self.in_flight)
            self.in_flight += 1
            row.started_at, row.limit = now, None
            return Start(row)
        if self.is_stopped or self._has_ended_input:
            return self._find_end(now)
        if self.is_reading or self.occupied >= self.concurrency:
            return _WAIT
        delay = self.pace.delay_before_start(now, self.in_flight)
        if delay > 0:
            return Wait(min(delay, _LONGEST_WAIT))
        self.is_reading = True
        return _READ

    def _find_end(self, now: float) -> Step:
        if self.in_flight:
            return _WAIT
        left = self._stopped_at + LONGEST_READ - now if self.is_reading else 0.0
        return Wait(left) if left > 0 else _END

    def note_read(
        self, options: CustomTokenExchangeOptions
    ) -> BulkExchangeResult | None:
        """Note the row that a read brought; return its result if it is not to be sent."""
        row = Row(self.next_index, options)
        self.is_reading = False
        self.next_index += 1
        if self.is_stopped:
            return self._give_up(row)
        self._to_send.append(row)
        return None

    def note_end_of_input(self, failure: BaseException | None = None) -> None:
        """Note that the input has no more rows, or has failed."""
        self.is_reading = False
        self._has_ended_input = True
        if self.failure is None:
            self.failure = failure

    def note_outcome(
        self, row: Row, outcome: Outcome, now: float
    ) -> list[BulkExchangeResult]:
        """Note how a row ended; return the results that there are now."""
        self.in_flight -= 1
        is_limited = _is_limited(outcome)
        if isinstance(outcome, TokenExchangeResponse):
            self._pauses_in_turn = 0
        self.pace.note_outcome(
            now,
            started_at=row.started_at,
            in_flight=self.in_flight,
            limit=row.limit,
            is_accepted=not is_limited,
        )
        if isinstance(outcome, TokenExchangeResponse):
            return [self._add_result(row, outcome)]
        if is_shared_by_all(outcome):
            result = self._add_result(row, outcome)
            return [result, *self._stop_after(outcome, now)]
        if is_limited and not self.is_stopped:
            self.pace.pause(self._find_pause(row, outcome, now), now, row.limit)
            row.refusals, row.refusal = row.refusals + 1, outcome
            if self.sends_again and row.refusals < MOST_REFUSALS:
                self._to_send.append(row)
                return []
        return [self._add_result(row, outcome)]

    def note_failure(
        self, row: Row, failure: BaseException, now: float
    ) -> list[BulkExchangeResult]:
        """Note that a row ended otherwise, as when the application's resolver raises.

        Nothing more is sent, and the consumer is raised *failure* at the end.
        """
        failure.add_note(f"raised for row {row.index} of exchange_many")
        self.in_flight -= 1
        if self.failure is None:
            self.failure = failure
        return self.stop(now)

    def release(self) -> None:
        """Free the place of a result that was handed over."""
        self.unreleased -= 1

    def stop(self, now: float) -> list[BulkExchangeResult]:
        """Send nothing more; return the results of what was read and not sent."""
        self.gives_up_turns = True
        return self._start_nothing(now)

    def _start_nothing(self, now: float) -> list[BulkExchangeResult]:
        if not self.is_stopped:
            self.is_stopped, self._stopped_at = True, now
        results = [self._give_up(row) for row in self._to_send]
        self._to_send.clear()
        return results

    def _stop_after(
        self, error: CustomTokenExchangeError, now: float
    ) -> list[BulkExchangeResult]:
        is_first = not self.is_stopped and self.failure is None
        if is_first or (self._is_stopped_by_pace() and not is_pace_error(error)):
            self.failure = BulkStoppedError(
                f"stopped, as every further row would fail in the same way: {error.message}",
                error.code,
                error.status,
                error.retry_safe,
                error.retry_after,
                error.phase,
                False,
                error.correlation_id,
                error.hint,
                error.parameter,
            )
        if is_turn_too_far(error):
            # The other rows have turns sooner than this one.  Nobody else could have them now.
            return self._start_nothing(now)
        return self.stop(now)

    def _is_stopped_by_pace(self) -> bool:
        """Return whether a shared pace stopped it, perhaps sooner than the reason it waits for.

        The pace is told of a block before the row's outcome is noted, and so the rows that wait
        for their turn may end before the row that was blocked.
        """
        failure = self.failure
        return isinstance(failure, BulkStoppedError) and is_pace_code(failure.code)

    def make_failure(self) -> BaseException | None:
        """Return what the consumer is to be raised at the end, if anything."""
        if isinstance(self.failure, BulkStoppedError):
            return self.failure.with_next_index(self.next_index)
        return self.failure

    def _find_pause(
        self, row: Row, error: CustomTokenExchangeError, now: float
    ) -> float:
        """Return the seconds to pause after a 429: as the server says, or more each time."""
        # Rows that were in flight together are refused together, and count once.
        if row.started_at >= self._paused_at:
            self._paused_at = now
            self._pauses_in_turn += 1
        if error.retry_after is None:
            doubled = _BACKOFF * 2.0 ** min(self._pauses_in_turn - 1, 10)
            # At least half of it: all rows wait together, so it need not spread them.
            return min(doubled, _LONGEST_BACKOFF) * (0.5 + self.random() / 2)
        # A little more, as other processes were told the same moment.
        return error.retry_after + self.random() * min(0.1 * error.retry_after, 1.0)

    def _give_up(self, row: Row) -> BulkExchangeResult:
        error = row.refusal or NotSentError(
            "not sent: the bulk exchange was stopped", retry_safe=True
        )
        return self._add_result(row, error)

    def _add_result(self, row: Row, outcome: Outcome) -> BulkExchangeResult:
        self.unreleased += 1
        if isinstance(outcome, TokenExchangeResponse):
            return BulkExchangeResult(index=row.index, response=outcome)
        return BulkExchangeResult(index=row.index, error=outcome)


def is_shared_by_all(error: CustomTokenExchangeError) -> bool:
    """Return whether every further row would fail in the same way."""
    if isinstance(error, (BlockedError, ConfigurationError, ClientClosedError)):
        return True
    if is_pace_error(error):
        return True
    if _is_limited(error):
        return (error.retry_after or 0.0) > LONGEST_PAUSE
    # A refusal of an Action is a 400.  A 401 is about the client's credentials, a 403 with
    # this code about its grants.  Auth0's answer to a missing second factor may be a 401 too.
    if not isinstance(error, RefusedError) or isinstance(error, MfaRequiredError):
        return False
    return error.status == 401 or (
        error.status == 403 and error.code == "unauthorized_client"
    )


def _is_limited(outcome: Outcome) -> bool:
    return isinstance(outcome, RateLimitError) and outcome.status == 429
