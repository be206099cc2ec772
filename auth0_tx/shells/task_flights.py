"""Single flight among the tasks of one event loop, by the same rules as among threads.

See ``flights`` for the rules.  The differences:

- A flight is a task of its own, so a caller that is cancelled leaves the run to the others.
  The last to leave cancels it, and waits for its end, so that no connection is still being
  closed when that caller goes on.
- A run that outlives its callers is not cancelled by the last of them.  It stays under its
  key until it ends, so the next caller joins it.  Closing the client waits for it, and the
  end of its event loop ends it.
- A run keeps the deadline that it was started with, and its own error says best why it
  failed.  So a caller waits a moment longer than its deadline before it gives up.

It is apart from ``flights`` because a blocking client must not pay for importing ``asyncio``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from ..clocks import read_monotonic
from ..core.effects import Flow, Share
from ..errors import Auth0Error
from .failures import timeout_error
from .flights import MOST_FAILURES

_GRACE = 0.05
"""Seconds that a run has, after a deadline of its own, to say how it ended."""


class _TaskFlight:
    """One run, as a task of its own, and the futures of those who wait for it."""

    __slots__ = ("deadline", "outlives_callers", "task", "waiters")

    def __init__(self, task: asyncio.Task[Any], share: Share[Any]) -> None:
        self.task = task
        self.deadline: float = share.deadline
        self.outlives_callers: bool = share.outlives_callers
        self.waiters: set[asyncio.Future[None]] = set()
        task.add_done_callback(self._wake_all)

    def _wake_all(self, task: asyncio.Task[Any]) -> None:
        for waiter in self.waiters:
            _wake(waiter)
        if not task.cancelled():
            # Mark the exception as seen.  If all who waited are gone, asyncio would log it.
            error = task.exception()
            if isinstance(error, Auth0Error):
                # Each caller raises a copy; the frames of the run would keep its tokens.
                error.with_traceback(None)

    async def wait_until(self, deadline: float) -> None:
        """Wait until the run ends, or *deadline* and a moment have passed.

        The last caller to leave before the end cancels the run, unless it outlives them.
        """
        loop = asyncio.get_running_loop()
        # A future of its own: to wait for the task itself would cancel it with the caller.
        waiter: asyncio.Future[None] = loop.create_future()
        late = deadline - read_monotonic() + _GRACE
        timer = loop.call_later(late, _wake, waiter)
        self.waiters.add(waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self.waiters.discard(waiter)
            is_left = not self.waiters and not self.outlives_callers
            if is_left and not self.task.done():
                self.task.cancel()
                await asyncio.wait({self.task})


class TaskFlights:
    """The flights of one asyncio client on one loop."""

    __slots__ = ("_flights",)

    def __init__(self) -> None:
        self._flights: dict[Hashable, _TaskFlight] = {}

    async def share(
        self, share: Share[Any], run: Callable[[Flow[Any]], Coroutine[Any, Any, Any]]
    ) -> Any:
        """Return the result of a flight: of one that was started here, or under way.

        Raises:
            NotSentError: the flight had not ended at the deadline of *share*.
        """
        failures = 0
        while True:
            flight = self._flights.get(share.key)
            leads = flight is None or flight.task.done()
            if flight is None or leads:
                flight = self._start(share, run)
            await flight.wait_until(share.deadline)
            if not flight.task.done():
                raise timeout_error(share.too_late, share.phase)
            if flight.task.cancelled():
                # By its last caller, or by the loop: it says nothing about the server.
                if read_monotonic() >= share.deadline:
                    raise timeout_error(share.too_late, share.phase)
                continue
            failure = flight.task.exception()
            if failure is None:
                return flight.task.result()
            failures += 1
            if leads or failures == MOST_FAILURES:
                # A copy, as a raised error collects the frames that it passes.  Anything
                # but the library's own errors is a bug, and is raised as it is.
                raise failure.evolve() if isinstance(failure, Auth0Error) else failure

    def _start(
        self, share: Share[Any], run: Callable[[Flow[Any]], Coroutine[Any, Any, Any]]
    ) -> _TaskFlight:
        flight = _TaskFlight(asyncio.ensure_future(run(share.flow())), share)
        # Kept here also after its callers have left: a loop refers to its tasks weakly.
        self._flights[share.key] = flight

        def forget(_: object) -> None:
            # Another flight may have the key by now.
            if self._flights.get(share.key) is flight:
                del self._flights[share.key]

        flight.task.add_done_callback(forget)
        return flight

    async def finish(self) -> None:
        """Wait for the runs that outlive their callers; end those that miss their deadline.

        Closing the connections under them would lose the tokens that a server has issued.
        """
        current = asyncio.current_task()
        lasting = [
            flight
            for flight in self._flights.values()
            # A run whose own code closes the client would wait for itself.
            if flight.outlives_callers and flight.task is not current
        ]
        if not lasting:
            return
        tasks = {flight.task for flight in lasting}
        late = max(flight.deadline for flight in lasting) - read_monotonic() + _GRACE
        _, unfinished = await asyncio.wait(tasks, timeout=late)
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
