"""Single flight: one run of a flow for all the threads, or tasks, that wish for it.

Whoever comes first leads; the others wait for what it brings.  When a flight fails, those
who waited start one more, led by one of them, and share how that ends: so a leader that
is cancelled, interrupted or out of time strands nobody, and an outage costs two requests,
however many wait.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from ..core.effects import Flow, Share
from ..errors import Auth0Error
from .after_fork import renew_after_fork
from .failures import out_of_time

_ROUNDS = 2
_TOO_LATE = "another call was still fetching the tenant's documents at the deadline"


class _ThreadFlight:
    """One run, and what it brought."""

    __slots__ = ("done", "failure", "result")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.result: Any = None
        self.failure: BaseException | None = None


class ThreadFlights:
    """The flights of one blocking client."""

    __slots__ = ("__weakref__", "_flights", "_lock")

    def __init__(self) -> None:
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Start over with no flight and a free lock."""
        self._lock = threading.Lock()
        self._flights: dict[Hashable, _ThreadFlight] = {}

    def share(self, share: Share[Any], run: Callable[[Flow[Any]], Any]) -> Any:
        """Lead a flight, or wait for the one under way."""
        failed = 0
        while True:
            with self._lock:
                flight = self._flights.get(share.key)
                leads = flight is None
                if flight is None:
                    flight = self._flights[share.key] = _ThreadFlight()
            if leads:
                return self._lead(share, flight, run)
            if not flight.done.wait(max(0.0, share.deadline - time.monotonic())):
                raise out_of_time(_TOO_LATE)
            if flight.failure is None:
                return flight.result
            if isinstance(flight.failure, Exception):
                failed += 1
            if failed == _ROUNDS:
                raise _own_copy(flight.failure)

    def _lead(
        self, share: Share[Any], flight: _ThreadFlight, run: Callable[[Flow[Any]], Any]
    ) -> Any:
        try:
            flight.result = run(share.flow())
        except BaseException as error:
            flight.failure = error
            raise
        finally:
            with self._lock:
                del self._flights[share.key]
            flight.done.set()
        return flight.result


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
        timer = loop.call_later(deadline - time.monotonic(), _wake, waiter)
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
                raise out_of_time(_TOO_LATE)
            if flight.task.cancelled():
                continue
            failure = flight.task.exception()
            if failure is None:
                return flight.task.result()
            failed += 1
            if leads or failed == _ROUNDS:
                raise _own_copy(failure)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _own_copy(failure: BaseException) -> BaseException:
    """Give each who waited an error of its own: a raised one collects the frames it passes."""
    return failure.evolve() if isinstance(failure, Auth0Error) else failure
