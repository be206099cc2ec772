"""Single flight among threads: one run of a flow for all callers who need its result.

Many threads find at the same moment that a document or a token is missing.  One fetch is
enough for all of them, and more would meet the rate limit.  So callers with the same key
share one run, a *flight*:

1. The first caller leads: its thread runs the flow.  The others wait for the result.
2. If the run succeeds, all get its result.
3. If it fails, the leader gets the error.  Those who waited begin one more flight, which one
   of them leads, and its error is everyone's.  A leader that is interrupted or out of time
   therefore strands nobody, and an outage costs two requests, however many wait.
4. A caller waits no longer than its own deadline.

A leader's error may say more about the leader than about the server: its time was short, or
a signal struck it.  That is why those who waited try once themselves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

from ..core.effects import Flow, Share
from ..errors import Auth0Error
from .after_fork import register_renewable, renew_if_forked
from .failures import timeout_error

MOST_FAILURES = 2
"""Failed flights that a caller sees, its own included, before their error is its answer."""


class _ThreadFlight:
    """One run, how it ended, and the flight that those who waited in vain went on to."""

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
        """Start over with no flight and a free lock.

        A flight that was under way at a fork has its leader in the parent, and would never
        end here.
        """
        self._lock = threading.Lock()
        self._flights: dict[Hashable, _ThreadFlight] = {}

    def share(self, share: Share[Any], run: Callable[[Flow[Any]], Any]) -> Any:
        """Return the result of a flight: of one that this thread leads, or waited for.

        Raises:
            NotSentError: the flight had not ended at the deadline of *share*.
        """
        renew_if_forked()
        failures, flight = 0, None
        while True:
            flight, leads = self._join_or_lead(share.key, flight)
            if leads:
                return self._lead(share, flight, run)
            if not flight.done.wait(max(0.0, share.deadline - time.monotonic())):
                raise timeout_error(share.too_late, share.phase)
            if flight.failure is None:
                return flight.result
            # An interrupt of the leader's says nothing about the server.
            if isinstance(flight.failure, Exception):
                failures += 1
            if failures == MOST_FAILURES:
                # A copy, as a raised error collects the frames that it passes.  Anything
                # but the library's own errors is a bug, and is raised as it is.
                failure = flight.failure
                raise failure.evolve() if isinstance(failure, Auth0Error) else failure

    def _join_or_lead(
        self, key: Hashable, failed: _ThreadFlight | None
    ) -> tuple[_ThreadFlight, bool]:
        """Return the flight for *key*, and whether this thread leads it.

        All who waited for *failed* share the next flight, even a thread that wakes up when
        that one has ended too.  Otherwise each of them would make one more request in turn.
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
            # A copy: the leader's caller may note on its own error whose request it was.
            flight.failure = error.evolve() if isinstance(error, Auth0Error) else error
            raise
        finally:
            # In this order: a caller who comes now starts anew, and does not join an end.
            with self._lock:
                del self._flights[share.key]
            flight.done.set()
        return flight.result
