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
that take a lock and those that would release it.  So there is no lock here:

- ``dict.setdefault`` is one step of the interpreter: it puts a flight, whose leader is the
  caller that made it, under its key.  No flight there is without a leader.
- The ``finally`` blocks that end a flight surround that step.  There are two of them, as the
  interrupt may cut off the first.
- A flight knows its leader by a weak reference.  If two interrupts cut off both blocks, the
  leader is freed, and the next thread that looks takes its place.
- Each thread that waits has a lock of its own to wait for, and looks at the flight every second.
  So a leader that was cut off while it woke the others strands nobody either.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any, TypeVar

from ..clocks import read_monotonic
from ..core.effects import Flow, Share
from ..errors import Auth0Error
from .after_fork import register_renewable, renew_if_forked
from .failures import timeout_error

T = TypeVar("T")

MOST_FAILURES = 2
"""Failed flights that a caller sees, its own included, before their error is its answer."""

NOT_LOCKED = (RuntimeError, ValueError)
"""Raised by a lock that is not locked: the interpreter's own, and gevent's."""

_LOOK_AGAIN = 1.0
"""Seconds after which a thread that waits looks at its flight, in case nobody woke it."""

_NOTHING: Any = object()
"""Stands for the result of a run that has none, because it failed or was interrupted."""


class _Caller:
    """A call of a thread, as long as it lasts.

    Attributes:
        led: the flight that it leads, or was the last to lead.
    """

    __slots__ = ("__weakref__", "led")

    def __init__(self) -> None:
        self.led: _ThreadFlight | None = None


class _ThreadFlight:
    """One run: who leads it, who waits for it, how it ended, and which one comes after it."""

    __slots__ = (
        "_leaders",
        "_successors",
        "_waiters",
        "failure",
        "has_ended",
        "result",
    )

    def __init__(self, leader: _Caller) -> None:
        # By their number.  All but the last were freed before they could end the flight.
        self._leaders = {0: weakref.ref(leader)}
        self._successors: dict[None, _ThreadFlight] = {}
        self._waiters: deque[threading.Lock] = deque()
        self.result: Any = _NOTHING
        self.failure: Exception | None = None
        self.has_ended = False

    def is_led_by(self, caller: _Caller) -> bool:
        """Return whether *caller* leads it."""
        return self._leaders[len(self._leaders) - 1]() is caller

    def is_without_leader(self) -> bool:
        """Return whether its leader was freed, and did not end it."""
        leader = self._leaders[len(self._leaders) - 1]
        return not self.has_ended and leader() is None

    def take_over(self, caller: _Caller) -> None:
        """Make *caller* the leader, unless another one was quicker."""
        number = len(self._leaders)
        if self.is_without_leader():
            self._leaders.setdefault(number, weakref.ref(caller))

    @property
    def successor(self) -> _ThreadFlight | None:
        """The flight that comes after this one for those who waited."""
        return self._successors.get(None)

    def succeed_by(self, flight: _ThreadFlight) -> _ThreadFlight:
        """Have *flight* come after this one, unless another one does; return which does."""
        return self._successors.setdefault(None, flight)

    def wait(self, deadline: float) -> None:
        """Wait until the run has ended or lost its leader, or until *deadline*."""
        turn = threading.Lock()
        turn.acquire()
        self._waiters.append(turn)
        try:
            while not self.has_ended and not self.is_without_leader():
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
        # Each thread leaves the deque by itself, when it knows.
        for turn in self._waiters.copy():
            if turn.locked():
                with suppress(*NOT_LOCKED):
                    turn.release()


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
        """Return what the flow of *share* returns, run once for all who ask meanwhile.

        Raises:
            NotSentError: the flight had not ended at the deadline of *share*.
        """
        return self.run_once(
            share.key,
            lambda: run(share.flow()),
            share.deadline,
            lambda: timeout_error(share.too_late, share.phase),
        )

    def run_once(
        self,
        key: Hashable,
        run: Callable[[], T],
        deadline: float,
        too_late: Callable[[], Auth0Error],
    ) -> T:
        """Return the result of a flight: of one that this thread leads, or waited for.

        Args:
            key: equal for callers who ask for the same thing.
            run: makes the result.
            deadline: when this caller stops waiting, on the monotonic clock.
            too_late: returns the error to raise then.
        """
        renew_if_forked()
        caller = _Caller()
        try:
            try:
                result: T = self._fly(caller, key, run, deadline, too_late)
                return result
            finally:
                self._end(key, caller)
        finally:
            # Again, as an interrupt may have cut off the first time.
            self._end(key, caller)

    def _fly(
        self,
        caller: _Caller,
        key: Hashable,
        run: Callable[[], Any],
        deadline: float,
        too_late: Callable[[], Auth0Error],
    ) -> Any:
        failures, has_waited, flight = 0, False, self._join(key, caller)
        while True:
            flight.take_over(caller)
            if flight.is_led_by(caller):
                caller.led = flight
                # Its last leader may have been cut off when it had run.
                if not has_waited or flight.result is _NOTHING:
                    _lead(flight, run)
                return flight.result
            flight.wait(deadline)
            has_waited = True
            if flight.is_without_leader():
                continue
            if not flight.has_ended:
                raise too_late()
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
            flight = self._join_successor(key, flight, caller)

    def _join(self, key: Hashable, caller: _Caller) -> _ThreadFlight:
        """Return the flight for *key*, which *caller* leads if there was none."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights.setdefault(key, _ThreadFlight(caller))
        return flight

    def _join_successor(
        self, key: Hashable, ended: _ThreadFlight, caller: _Caller
    ) -> _ThreadFlight:
        """Return the flight that all who waited for *ended* share.

        They share it even if a thread wakes up when that one has ended too.  Otherwise each
        of them would make one more request in turn.
        """
        if ended.successor is not None:
            return ended.successor
        joined = self._join(key, caller)
        successor = ended.succeed_by(joined)
        if successor is not joined:
            # Another thread was quicker, and its flight may have ended meanwhile.
            self._end(key, caller)
        return successor

    def _end(self, key: Hashable, caller: _Caller) -> None:
        """End the flight for *key* if *caller* leads it.  To do so again changes nothing."""
        flight = self._flights.get(key)
        # Nobody but its leader removes a flight.
        if flight is not None and flight.is_led_by(caller):
            caller.led = flight
            # Before the others wake up: who comes now starts anew, and does not join an end.
            del self._flights[key]
        if caller.led is not None:
            caller.led.wake_all()


def _lead(flight: _ThreadFlight, run: Callable[[], Any]) -> None:
    """Run, and note on the flight how it ended."""
    try:
        flight.result = run()
    except Auth0Error as error:
        # A copy: the leader's caller may note on its own error whose request it was.
        flight.failure = error.evolve()
        raise
    except Exception as error:
        flight.failure = error
        raise
