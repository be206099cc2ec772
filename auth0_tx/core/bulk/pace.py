"""How soon the next row of a bulk exchange may be sent.

Four things hold a row back; the longest of their delays counts.

1. **The application's rate.**  At most *rate* starts a second.  A start that comes late, as
   every timer does, lets the next one come that much earlier.
2. **A pause.**  After a 429 nothing is sent until the moment that the server named.
3. **The server's counter.**  Auth0 sends ``x-ratelimit-remaining`` and ``-reset`` with each
   response.  How fast the counter refills is not said, and ``-reset`` is in whole seconds: a
   client that always waited for it would get half of a limit of four a second.  So the refill
   is measured: as much as the counter fell less than rows were sent.  The measure is a lower
   bound, and a counter that is higher than expected makes up for it.  The rows in flight are
   taken off the counter, because nobody knows whether the server had counted them.
4. **A limit that is not shown.**  A custom rate-limit policy refuses a client while the
   counters, which are the tenant's, show that requests are left; other servers show none.
   Then the rate that went well until the refusal is kept to.  It grows, slowly at first and
   then ever faster, as the refusal may have had another reason.

A counter only slows down: while requests are left, the rate and the concurrency hold.

The first row goes alone, until its answer or for a second: fifty rows at once to a limit of
four would be 46 refusals.

The pace is plain, with time as an argument, and belongs to one schedule.  A pace that is shared
with other processes cannot be: asking it takes I/O.  It is asked by the flow of the row,
before the row's deadline begins, and so after this one.
"""

from __future__ import annotations

from math import inf

import attrs

from ..wire.reading import RateLimit

LONGEST_RESET = 5.0
"""Seconds for which the reset of a counter is waited for.  Then one row finds out."""

ALONE_SECONDS = 1.0
"""Seconds for which a row goes alone, if its answer does not come sooner."""

_LATENESS = 0.05
"""Seconds that a start may come late and be made up for."""

_DOUBLING = 10.0
"""Seconds in which a rate that was found out grows to twice as much, and a little more."""

_WINDOW = 5.0
"""Seconds after which the refill is measured from a later moment."""

_NO_LIMIT = RateLimit(None, None, None)


@attrs.frozen
class _Anchor:
    """A moment from which the refill is measured.

    Attributes:
        moment: when.
        remaining: the server's counter then.
        accepted: the rows that were accepted until then.
    """

    moment: float
    remaining: int
    accepted: int


@attrs.define(eq=False)
class _Counter:
    """The server's counter, as the last answer told it.

    Attributes:
        remaining: the requests that were left.
        seen_at: when it was told.
        reset_at: when it is reset, or a bound before that.
        charged: the rows that it may not have counted: in flight then, or started since.
    """

    remaining: int
    seen_at: float
    reset_at: float
    charged: int


@attrs.define(eq=False)
class Pace:
    """The pace of one bulk exchange.

    Attributes:
        rate: the most starts in a second; ``None`` for as many as there are.
    """

    rate: float | None
    _next_turn: float = attrs.field(init=False, default=-inf)
    _last_start: float = attrs.field(init=False, default=-inf)
    _paused_until: float = attrs.field(init=False, default=-inf)
    _is_alone: bool = attrs.field(init=False, default=True)
    _counter: _Counter | None = attrs.field(init=False, default=None)
    _latest_told: float = attrs.field(init=False, default=-inf)
    _anchors: list[_Anchor] = attrs.field(init=False, factory=list)
    _refill: float = attrs.field(init=False, default=0.0)
    _accepted: int = attrs.field(init=False, default=0)
    # The rate that was found out, when it was, and what it is measured from.
    _found: float | None = attrs.field(init=False, default=None)
    _found_at: float = attrs.field(init=False, default=0.0)
    _found_turn: float = attrs.field(init=False, default=0.0)
    _is_to_find: bool = attrs.field(init=False, default=False)
    _since: float = attrs.field(init=False, default=inf)
    _accepted_before: int = attrs.field(init=False, default=0)

    def delay_before_start(self, now: float, in_flight: int) -> float:
        """Return the seconds until a row may be sent, as things are; 0 if it may be now."""
        if now < self._paused_until:
            return self._paused_until - now
        if self._is_to_find:
            self._find_rate(now)
        until = self._next_turn
        if self._found is not None:
            until = max(until, self._found_turn + 1 / self._grow_rate(self._found, now))
        if in_flight and self._is_alone:
            until = max(until, self._last_start + ALONE_SECONDS)
        if self._counter is not None:
            until = max(until, self._find_refill(self._counter, now, in_flight))
        return max(until - now, 0.0)

    def note_start(self, now: float, in_flight: int) -> None:
        """Note that a row is sent while *in_flight* others are."""
        if in_flight:
            self._is_alone = False
        self._last_start = now
        self._since = min(self._since, now)
        if self._counter is not None:
            self._counter.charged += 1
        if self.rate is not None:
            # An idle time is not made up for: that would be a burst.
            is_late = now - self._next_turn <= _LATENESS
            self._next_turn = (self._next_turn if is_late else now) + 1 / self.rate
        if self._found is not None:
            turn = self._found_turn + 1 / self._grow_rate(self._found, now)
            self._found_turn = max(turn, now - _LATENESS)

    def note_outcome(
        self,
        now: float,
        *,
        started_at: float,
        in_flight: int,
        limit: RateLimit | None,
        is_accepted: bool,
    ) -> None:
        """Note how a row ended.

        Args:
            now: when.
            started_at: when it was sent.
            in_flight: the rows that still are.
            limit: what its answer told of the server's limit, if there was one.
            is_accepted: whether the server's limit let it through.
        """
        self._is_alone = False
        self._accepted += is_accepted
        limit = limit or _NO_LIMIT
        # Answers overtake each other, and an older counter is higher.
        if limit.remaining is None or started_at < self._latest_told:
            return
        self._latest_told = started_at
        reset_in = ALONE_SECONDS if limit.reset_in is None else limit.reset_in
        self._counter = _Counter(
            limit.remaining, now, now + min(reset_in, LONGEST_RESET), in_flight
        )
        self._measure_refill(limit.remaining, now)

    def pause(self, seconds: float, now: float, limit: RateLimit | None) -> None:
        """Send nothing for *seconds* after a refusal that told of *limit*."""
        self._paused_until = max(self._paused_until, now + seconds)
        # A counter of 0 says all by itself.
        if limit is None or limit.remaining != 0:
            self._is_to_find = True

    def _find_rate(self, now: float) -> None:
        """Find out the rate that went well, from its rows and their time, the pause included."""
        self._is_to_find = False
        accepted, seconds = self._accepted - self._accepted_before, now - self._since
        self._since, self._accepted_before = now, self._accepted
        if accepted and seconds > 0:
            self._found = accepted / seconds
        elif self._found is not None:
            self._found /= 2
        else:
            return
        self._found_at = now
        self._found_turn = now - 1 / self._found

    def _grow_rate(self, found: float, now: float) -> float:
        # Slow while the limit is likely to be near, as in TCP's CUBIC (RFC 9438).
        waited = (now - self._found_at) / _DOUBLING
        return found * (1 + 0.2 * waited + waited**3)

    def _measure_refill(self, remaining: int, now: float) -> None:
        anchor = _Anchor(now, remaining, self._accepted)
        if not self._anchors or now - self._anchors[-1].moment >= _WINDOW:
            self._anchors = [*self._anchors[-1:], anchor]
        oldest = self._anchors[0]
        seconds = now - oldest.moment
        if seconds > 0:
            # Less one, as the counter is told in whole requests.
            sent = self._accepted - oldest.accepted
            refilled = remaining - oldest.remaining - 1 + sent
            self._refill = max(refilled / seconds, 0.0)

    def _find_refill(self, counter: _Counter, now: float, in_flight: int) -> float:
        """Return when the counter allows one more row."""
        left = counter.remaining - counter.charged
        if left >= 1:
            return now
        refilled_at = inf
        if self._refill > 0:
            refilled_at = counter.seen_at + (1 - left) / self._refill
        # Nobody is there to tell anything new, or has been for a second: one row finds out.
        told_at = self._last_start + ALONE_SECONDS if in_flight else counter.reset_at
        return min(refilled_at, told_at)
