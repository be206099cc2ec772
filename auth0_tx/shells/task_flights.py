"""Single flight among the tasks of an event loop, by the same rules as among threads.

Apart from ``flights``, as a blocking client must not pay for importing ``asyncio``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from ..core.effects import Flow, Share
from .failures import out_of_time
from .flights import ROUNDS, own_copy

_GRACE = 0.05
"""Seconds that a run has, after a deadline of its own, to say how it ended."""


class _TaskFlight:
    """One run, as a task of its own, and the futures of those who wait for it."""

    __slots__ = ("task", "waiters")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.waiters: set[asyncio.Future[None]] = set()
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[Any]) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
        if not task.cancelled():
            # Marks the exception as seen: those who waited may all be gone by now.
            task.exception()

    async def ended_by(self, deadline: float) -> None:
        """Wait until the run ends; the last to be cancelled here cancels it too."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        # The run that was started with this deadline keeps it itself, and knows better why.
        late = deadline - time.monotonic() + _GRACE
        timer = loop.call_later(late, _wake, waiter)
        self.waiters.add(waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self.waiters.discard(waiter)
            if not self.waiters and not self.task.done():
                self.task.cancel()
                # So that no connection is still closing when the caller goes on.
                await asyncio.wait({self.task})


class TaskFlights:
    """The flights of one asyncio client on one loop."""

    __slots__ = ("_flights",)

    def __init__(self) -> None:
        self._flights: dict[Hashable, _TaskFlight] = {}

    async def share(
        self, share: Share[Any], run: Callable[[Flow[Any]], Coroutine[Any, Any, Any]]
    ) -> Any:
        """Start a flight, or wait for the one under way."""
        failed = 0
        while True:
            flight = self._flights.get(share.key)
            leads = flight is None or flight.task.done()
            if flight is None or leads:
                flight = _TaskFlight(asyncio.ensure_future(run(share.flow())))
                self._flights[share.key] = flight
            try:
                await flight.ended_by(share.deadline)
            finally:
                if flight.task.done() and self._flights.get(share.key) is flight:
                    del self._flights[share.key]
            if not flight.task.done():
                raise out_of_time(share.too_late, share.phase)
            if flight.task.cancelled():
                if time.monotonic() >= share.deadline:
                    raise out_of_time(share.too_late, share.phase)
                continue
            failure = flight.task.exception()
            if failure is None:
                return flight.task.result()
            failed += 1
            if leads or failed == ROUNDS:
                raise own_copy(failure)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
