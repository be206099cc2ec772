"""The gate of the blocking transport: at most so many threads send at once.

First come, first served.  With a semaphore, a busy thread that leaves would take its place
again before those it woke, and a few threads would keep the others out until their deadline.

1. Whoever comes while nobody waits takes a place, if one is free.
2. The others stand in a line.  Only the first in the line takes a place.  It wakes the next
   one if there is another place.
3. Whoever leaves gives its place back and wakes the first in the line.

A signal handler, or whoever kills a thread, may raise between any two instructions.  So no lock
is held here, and no step depends on that another one follows:

- Places cannot get lost (see ``places``), and whoever entered knows by its visit.
- ``leave`` does what is left to do, and to repeat it changes nothing.  Callers call it in two
  ``finally`` blocks around each other: an interrupt that cuts off the first one finds the
  second.
- If two interrupts cut off both, somebody may stand in the line who is gone, or who was not
  woken.  So each one who waits looks again every second, and whoever stands first although its
  deadline has passed is passed over.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress

from ..clocks import read_monotonic
from ..places import Places
from .flights import NOT_LOCKED

_LOOK_AGAIN = 1.0
"""Seconds after which a thread that waits looks again, in case nobody woke it."""


class Visit:
    """One thread's way through the gate.

    Attributes:
        deadline: when it stops waiting, on the monotonic clock.
        held: its place, if it has one.
        turn: the lock that it waits for, which whoever leaves releases.
    """

    __slots__ = ("deadline", "held", "turn")

    def __init__(self, deadline: float) -> None:
        self.deadline: float = deadline
        self.held: deque[object] = deque()
        self.turn: threading.Lock | None = None


class Gate:
    """A limit of threads that send at once."""

    __slots__ = ("_line", "_places")

    def __init__(self, places: int) -> None:
        self._places = Places(places)
        self._line: deque[Visit] = deque()

    @property
    def _free(self) -> int:
        return len(self._places)

    def enter(self, visit: Visit, first: bool = False) -> bool:
        """Take a place; return ``False`` if none was free by the deadline.

        The caller calls :meth:`leave` whatever comes of it, an interrupt too.

        Args:
            visit: a new one.
            first: go before those who wait already.
        """
        if not self._line and self._places.take(visit.held):
            return True
        turn = visit.turn = threading.Lock()
        turn.acquire()
        if first:
            self._line.appendleft(visit)
        else:
            self._line.append(visit)
        while True:
            if self._find_first() is visit and self._places.take(visit.held):
                self._step_out(visit)
                return True
            left = visit.deadline - read_monotonic()
            if left <= 0:
                return False
            turn.acquire(timeout=min(left, _LOOK_AGAIN))

    def leave(self, visit: Visit) -> None:
        """Return the place, if there is one, and let the next one enter."""
        self._places.give_back(visit.held)
        if visit.turn is not None or self._line:
            self._step_out(visit)

    def _step_out(self, visit: Visit) -> None:
        """Leave the line, and wake whoever is first in it then."""
        with suppress(ValueError):
            self._line.remove(visit)
        if not self._places:
            return
        first = self._find_first()
        if first is not None and first.turn is not None:
            with suppress(*NOT_LOCKED):
                first.turn.release()

    def _find_first(self) -> Visit | None:
        """Return who is first in the line, and drop whose time is up."""
        while True:
            try:
                first = self._line[0]
            except IndexError:
                return None
            if read_monotonic() <= first.deadline:
                return first
            with suppress(ValueError):
                self._line.remove(first)
