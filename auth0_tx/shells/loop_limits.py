"""The limits of the calls on one event loop: places on the wire, and deadlines.

A call passes two gates.  Its flow begins at the first, which lets twice as many in as may
have a request on the wire; its request is built behind the second.  So of ten thousand who
call at once, nearly all are little more than a future each.  The cost of a crowd is its
beginning: all of it happens in one turn of the loop, which stands still meanwhile.

One timer serves all who wait for a place, and one all deadlines.  Each call with a timer of
its own would set and cancel ten thousand of them, of which hardly one ever goes off, and
stall the loop for longer than all the rest of a crowd's beginning.  And ``aiohttp`` puts off
a timeout of five seconds or more to the next whole second.
"""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from types import TracebackType

from ..clocks import read_monotonic

_LATEST = 0.01
"""Seconds that a deadline may be kept late, so that ten thousand cost as much as one."""

_TURNS = 3
"""Turns of the loop that a deadline leaves to what has arrived already.

One in which the loop reads the socket, one in which the task goes on, and one more because
uvloop looks at its timers before its sockets."""


class WaitingLine:
    """Those who wait for their turn, in order, each until its deadline.

    A turn is a future whose result says whether it came in time.
    """

    __slots__ = ("_deadlines", "_loop", "_timer", "_turns", "_wakes_at")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._turns: deque[asyncio.Future[bool]] = deque()
        # Of those who wait, in the same order.  Not one value with the future, as the
        # garbage collector would have ten thousand more to look at.
        self._deadlines: deque[float] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = inf

    def __len__(self) -> int:
        return len(self._turns)

    def join(self, deadline: float, first: bool = False) -> asyncio.Future[bool]:
        """Return a turn at the end of the line, or before all others if it goes *first*."""
        turn: asyncio.Future[bool] = self._loop.create_future()
        if first:
            self._turns.appendleft(turn)
            self._deadlines.appendleft(deadline)
        else:
            self._turns.append(turn)
            self._deadlines.append(deadline)
        if deadline < self._wakes_at:
            if self._timer is not None:
                self._timer.cancel()
            self._wake_at(deadline)
        return turn

    def admit_next(self) -> bool:
        """Let the first caller that still waits go on; return whether there was one."""
        while self._turns:
            self._deadlines.popleft()
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(True)
                return True
        return False

    def _wake_at(self, deadline: float) -> None:
        self._wakes_at = deadline
        delay = deadline - read_monotonic()
        self._timer = self._loop.call_later(delay, self._send_away)

    def _send_away(self) -> None:
        """End the wait of those whose time is up, and forget those who were cancelled."""
        self._timer, self._wakes_at, now = None, inf, read_monotonic()
        turns, deadlines = self._turns, self._deadlines
        self._turns, self._deadlines = deque(), deque()
        for turn, deadline in zip(turns, deadlines, strict=True):
            if turn.done():
                continue
            if deadline <= now:
                turn.set_result(False)
            else:
                self._turns.append(turn)
                self._deadlines.append(deadline)
        if self._deadlines:
            # Deadlines that are close together are kept by one look, a little late.
            self._wake_at(max(min(self._deadlines), now + _LATEST))


class Gate:
    """At most so many at once: first come, first served, and cheap for those who wait.

    Most callers find a place and leave nobody behind, and need not call anything for it.

    Attributes:
        free: places that nobody has; take one from it while it is above 0.
        is_awaited: whether anybody may wait for a place; ``leave`` if so, else give it back
            to ``free``.
    """

    __slots__ = ("_line", "free", "is_awaited")

    def __init__(self, places: int, loop: asyncio.AbstractEventLoop) -> None:
        self.free: int = places
        self.is_awaited: bool = False
        self._line = WaitingLine(loop)

    def join(self, deadline: float, first: bool = False) -> asyncio.Future[bool]:
        """Return the turn of who came while no place was free.

        Args:
            deadline: on the monotonic clock.
            first: go before those who wait already.
        """
        self.is_awaited = True
        return self._line.join(deadline, first)

    async def wait(self, turn: asyncio.Future[bool]) -> bool:
        """Wait for a turn; return whether it came in time, and brought a place."""
        try:
            return await turn
        except asyncio.CancelledError:
            self.hand_on(turn)
            raise

    def hand_on(self, turn: asyncio.Future[bool]) -> None:
        """Hand a place on that came in the instant in which its call was cancelled."""
        if turn.done() and not turn.cancelled() and turn.result():
            self.leave()

    def leave(self) -> None:
        """Hand the place to the first who still waits, or add it to ``free``."""
        if not self._line.admit_next():
            self.free += 1
            self.is_awaited = False


class Deadline:
    """Ends the block of its task with ``TimeoutError``, as ``asyncio.timeout`` does."""

    __slots__ = ("_cancelling", "_deadlines", "_ended", "_passed", "_task", "when")

    def __init__(self, deadlines: Deadlines, when: float) -> None:
        self.when: float = when
        self._deadlines = deadlines
        self._passed = False
        self._ended = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._deadlines.add(self)

    def pass_by(self) -> None:
        """Cancel what the task waits for: its time is up.  A block that has ended is left."""
        if not self._ended:
            self._passed = True
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended = True
        self._deadlines.discard(self)
        if not self._passed:
            return
        # A task that somebody else has cancelled too stays cancelled.
        others = self._task.uncancel() > self._cancelling
        if isinstance(error, asyncio.CancelledError) and not others:
            raise TimeoutError("timed out")


class Deadlines:
    """The deadlines of one event loop."""

    __slots__ = ("_loop", "_running", "_timer", "_wakes_at")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._running: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = inf

    def until(self, when: float) -> Deadline:
        """Make the deadline of a block, on the monotonic clock."""
        return Deadline(self, when)

    def add(self, deadline: Deadline) -> None:
        """Keep *deadline* from now on."""
        # A timer that was set while a test had frozen the loop's time may never go off.
        is_overdue = not self._running and self._wakes_at <= read_monotonic()
        self._running.add(deadline)
        if is_overdue or deadline.when < self._wakes_at:
            if self._timer is not None:
                self._timer.cancel()
            self._wake_at(deadline.when)

    def discard(self, deadline: Deadline) -> None:
        """Keep *deadline* no longer."""
        self._running.discard(deadline)

    def _wake_at(self, when: float) -> None:
        self._wakes_at = when
        self._timer = self._loop.call_later(when - read_monotonic(), self._wake)

    def _wake(self) -> None:
        self._timer, self._wakes_at = None, inf
        now = read_monotonic()
        passed = [deadline for deadline in self._running if deadline.when <= now]
        self._running.difference_update(passed)
        # In their order, also when the loop stood still for longer than they lie apart.
        passed.sort(key=lambda deadline: deadline.when)
        self._pass_by(passed, _TURNS)
        if self._running:
            earliest = min(deadline.when for deadline in self._running)
            self._wake_at(max(earliest, now + _LATEST))

    def _pass_by(self, passed: list[Deadline], turns: int) -> None:
        """Let some turns of the loop go by, and end the blocks that have not ended by then.

        When a loop stood still, answers that came in time wait in its sockets, and a crowd's
        deadlines pass all at once.  An answer that is dropped may have spent a token.
        """
        if turns:
            self._loop.call_soon(self._pass_by, passed, turns - 1)
            return
        for deadline in passed:
            deadline.pass_by()
