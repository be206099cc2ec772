"""The deadlines of the tasks of one event loop, on one timer for all of them.

With a timer of its own, each request sets one and cancels it, and hardly one ever goes off.
And ``aiohttp`` puts off one of five seconds or more to the next whole second.
"""

from __future__ import annotations

import asyncio
import time
from math import inf
from types import TracebackType

_LATEST = 0.01
"""Seconds that a deadline may be kept late, so that ten thousand are no more work than one."""


class Deadline:
    """Ends the block of its task with ``TimeoutError``, as ``asyncio.timeout`` does."""

    __slots__ = ("_cancelling", "_deadlines", "_passed", "_task", "when")

    def __init__(self, deadlines: Deadlines, when: float) -> None:
        self.when: float = when
        self._deadlines = deadlines
        self._passed = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._deadlines.add(self)

    def pass_by(self) -> None:
        """Cancel what the task waits for: its time is up."""
        self._passed = True
        self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
        self._running.add(deadline)
        if deadline.when < self._wakes_at:
            if self._timer is not None:
                self._timer.cancel()
            self._wake_at(deadline.when)

    def discard(self, deadline: Deadline) -> None:
        """Keep *deadline* no longer."""
        self._running.discard(deadline)

    def _wake_at(self, when: float) -> None:
        self._wakes_at = when
        self._timer = self._loop.call_later(when - time.monotonic(), self._wake)

    def _wake(self) -> None:
        self._timer, self._wakes_at = None, inf
        now = time.monotonic()
        for deadline in [each for each in self._running if each.when <= now]:
            self._running.discard(deadline)
            deadline.pass_by()
        if self._running:
            earliest = min(each.when for each in self._running)
            self._wake_at(max(earliest, now + _LATEST))
