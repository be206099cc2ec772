"""Single flight: one run of a flow for all the threads that wish for it.

Whoever comes first leads; the others wait for what it brings.  When a flight fails, those
who waited start one more, led by one of them, and share how that ends: so a leader that
is cancelled, interrupted or out of time strands nobody, and an outage costs two requests,
however many wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

from ..core.effects import Flow, Share
from ..errors import Auth0Error
from .after_fork import register_renewable, renew_if_forked
from .failures import out_of_time

ROUNDS = 2


class _ThreadFlight:
    """One run, what it brought, and the run that those who waited in vain went on to."""

    __slots__ = ("done", "failure", "result", "successor")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.result: Any = None
        self.failure: BaseException | None = None
        self.successor: _ThreadFlight | None = None


class ThreadFlights:
    """The flights of one blocking client."""

    __slots__ = ("__weakref__", "_flights", "_lock")

    def __init__(self) -> None:
        self.renew()
        register_renewable(self)

    def renew(self) -> None:
        """Start over with no flight and a free lock."""
        self._lock = threading.Lock()
        self._flights: dict[Hashable, _ThreadFlight] = {}

    def share(self, share: Share[Any], run: Callable[[Flow[Any]], Any]) -> Any:
        """Lead a flight, or wait for the one under way."""
        renew_if_forked()
        failed, flight = 0, None
        while True:
            flight, leads = self._board(share.key, flight)
            if leads:
                return self._lead(share, flight, run)
            if not flight.done.wait(max(0.0, share.deadline - time.monotonic())):
                raise out_of_time(share.too_late, share.phase)
            if flight.failure is None:
                return flight.result
            if isinstance(flight.failure, Exception):
                failed += 1
            if failed == ROUNDS:
                raise own_copy(flight.failure)

    def _board(
        self, key: Hashable, failed: _ThreadFlight | None
    ) -> tuple[_ThreadFlight, bool]:
        """Give the flight to wait for, and whether it is this thread that leads it.

        All who waited for the one that *failed* share the next, also a thread that wakes
        when that has ended too: each would else make one more request, in turn.
        """
        with self._lock:
            if failed is not None and failed.successor is not None:
                return failed.successor, False
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = _ThreadFlight()
            if failed is not None:
                failed.successor = flight
            return flight, leads

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


def own_copy(failure: BaseException) -> BaseException:
    """Give each who waited an error of its own: a raised one collects the frames it passes."""
    return failure.evolve() if isinstance(failure, Auth0Error) else failure
