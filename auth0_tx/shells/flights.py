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

A signal handler may raise between any two instructions of the main thread, also between those
that take a lock and those that would release it.  So there is no lock here.  ``dict.setdefault``
is one step of the interpreter: it puts a flight under its key, and elects its leader.  The
``try`` that ends a flight is entered before the election.  Whoever waits has a lock of its own
to wait for, and looks at the flight now and then.  So a leader that was cut off while it woke
the others strands nobody either.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

from ..clocks import read_monotonic
from ..core.effects import Flow, Share
from ..errors import Auth0Error
from .after_fork import register_renewable, renew_if_forked
from .failures import timeout_error

MOST_FAILURES = 2
"""Failed flights that a caller sees, its own included, before their error is its answer."""

_LOOK_AGAIN = 1.0
"""Seconds after which a thread that waits looks at its flight, in case nobody woke it."""

_NOTHING: Any = object()
"""Stands for the result of a run that has none, because it failed or was interrupted."""


class _ThreadFlight:
    """One run: who leads it, who waits for it, how it ended, and which one comes after it."""

    __slots__ = ("_leaders", "_waiters", "failure", "has_ended", "result", "successor")

    def __init__(self) -> None:
        self._leaders: dict[None, object] = {}
        self._waiters: deque[threading.Lock] = deque()
        self.result: Any = _NOTHING
        self.failure: Exception | None = None
        self.has_ended = False
        self.successor: _ThreadFlight | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether anybody waits for the end."""
        return bool(self._waiters)

    def elect(self, caller: object) -> bool:
        """Make *caller* the leader if there is none yet; return whether it is."""
        return self._leaders.setdefault(None, caller) is caller

    def is_led_by(self, caller: object) -> bool:
        """Return whether *caller* was elected."""
        return self._leaders.get(None) is caller

    def wait(self, deadline: float) -> None:
        """Wait until the run has ended, or until *deadline*."""
        turn = threading.Lock()
        turn.acquire()
        self._waiters.append(turn)
        try:
            while not self.has_ended:
                left = deadline - read_monotonic()
                if left <= 0:
                    return
                turn.acquire(timeout=min(left, _LOOK_AGAIN))
        finally:
            with suppress(ValueError):
                self._waiters.remove(turn)

    def wake_all(self) -> None:
        """Let all who wait go on, and those who come to wait from now on."""
        self.has_ended = True
        # A thread whose time is up leaves the deque by itself.
        with suppress(IndexError):
            while True:
                self._waiters.popleft().release()


class ThreadFlights:
    """The flights of one blocking client."""

    __slots__ = ("__weakref__", "_flights")

    def __init__(self) -> None:
        self.renew()
        register_renewable(self)

    def renew(self) -> None:
        """Start over with no flight.

        A flight that was under way at a fork has its leader in the parent, and would never
        end here.
        """
        self._flights: dict[Hashable, _ThreadFlight] = {}

    def share(self, share: Share[Any], run: Callable[[Flow[Any]], Any]) -> Any:
        """Return the result of a flight: of one that this thread leads, or waited for.

        Raises:
            NotSentError: the flight had not ended at the deadline of *share*.
        """
        renew_if_forked()
        failures, caller, flight = 0, object(), self._join(share.key)
        while True:
            try:
                try:
                    if flight.elect(caller):
                        return _lead(share, flight, run)
                finally:
                    self._end(share.key, flight, caller)
            finally:
                # Again, as an interrupt may have cut off the first time.
                self._end(share.key, flight, caller)
            flight.wait(share.deadline)
            if not flight.has_ended:
                raise timeout_error(share.too_late, share.phase)
            if flight.result is not _NOTHING:
                return flight.result
            failure = flight.failure
            # An interrupt of the leader's leaves none, and says nothing about the server.
            if failure is not None:
                failures += 1
                if failures == MOST_FAILURES:
                    # A copy, as a raised error collects the frames that it passes.  Anything
                    # but the library's own errors is a bug, and is raised as it is.
                    if isinstance(failure, Auth0Error):
                        raise failure.evolve()
                    raise failure
            flight = flight.successor or self._join(share.key)

    def _join(self, key: Hashable) -> _ThreadFlight:
        """Return the flight for *key*, which may be one that nobody leads yet."""
        # Most callers come to a flight that is not there, or that is under way.
        return self._flights.get(key) or self._flights.setdefault(key, _ThreadFlight())

    def _end(self, key: Hashable, flight: _ThreadFlight, caller: object) -> None:
        """End a flight if *caller* leads it.  To do so again changes nothing."""
        if not flight.is_led_by(caller):
            return
        # Nobody else replaces a flight under its key.
        if self._flights.get(key) is flight:
            is_to_go_on = flight.successor is not None or flight.is_awaited
            if flight.result is _NOTHING and is_to_go_on:
                # All who waited share the next flight, even a thread that wakes up when that
                # one has ended too.  Otherwise each of them would make one more request in
                # turn.
                flight.successor = flight.successor or _ThreadFlight()
                self._flights[key] = flight.successor
            else:
                # Before the others wake up: who comes now starts anew, and does not join an
                # end.
                del self._flights[key]
        flight.wake_all()


def _lead(
    share: Share[Any], flight: _ThreadFlight, run: Callable[[Flow[Any]], Any]
) -> Any:
    """Run the flow, and note on the flight how it ended."""
    try:
        flight.result = run(share.flow())
    except Auth0Error as error:
        # A copy: the leader's caller may note on its own error whose request it was.
        flight.failure = error.evolve()
        raise
    except Exception as error:
        flight.failure = error
        raise
    return flight.result
