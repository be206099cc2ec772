"""A fixed number of places, such as connections that may be open, none of which can get lost.

A semaphore is a number that whoever enters counts down, and counts up again when it leaves.
A signal handler may raise between any two instructions, also between the one that counts and
the one after it.  Nobody then knows that there is something to count up, and one place less is
left, for as long as the process runs.

So a place is an object, which is always in exactly one container: in a deque of this module,
or in the deque of its holder.

1. A place moves from one deque to another in a single step of the interpreter: ``extend`` with
   a ``map`` that pops.  No signal is handled, and no other thread runs, within it.  Whoever was
   interrupted sees in its own deque whether it has a place.  To give it back again changes
   nothing.
2. A holder may vanish without having given its place back, as when a second signal struck while
   it did.  The place is then freed together with its holder.  A weak reference notices that:
   its callback, a method of C, puts the reference where the lost places are.
   From there it moves as if it were a place.
3. Whoever takes such a token, or one of those that there are at the beginning, replaces it with
   a place that is watched.  So a client for ten thousand connections begins with none.

There is no lock: another thread, and a forked child, finds each deque whole at any moment.
"""

from __future__ import annotations

import weakref
from collections import deque
from contextlib import suppress
from itertools import repeat
from typing import Any

_pop = deque[Any].pop


def move_one(source: deque[Any], target: deque[Any]) -> bool:
    """Move the last item of *source* to *target*; return whether there was one."""
    try:
        # One step: see the module's docstring.
        target.extend(map(_pop, (source,)))
    except IndexError:
        return False
    return True


class Place:
    """The right of its holder to be one of so many.

    Attributes:
        is_watched: whether its loss is noticed.
    """

    __slots__ = ("__weakref__", "is_watched")

    def __init__(self) -> None:
        self.is_watched: bool = False


class Places:
    """*count* places, for holders that each bring a deque of their own."""

    __slots__ = ("_free", "_lost", "_watched")

    def __init__(self, count: int) -> None:
        self._free: deque[object] = deque(repeat(None, count))
        # References to places that were freed while they were held.
        self._lost: deque[object] = deque()
        self._watched: deque[weakref.ref[Place]] = deque()

    def __len__(self) -> int:
        """Return how many places are free."""
        return len(self._free) + len(self._lost)

    def take(self, held: deque[object]) -> bool:
        """Move a place to *held*; return whether one was free."""
        if not move_one(self._free, held) and not move_one(self._lost, held):
            return False
        token = held[-1]
        if type(token) is not Place or not token.is_watched:
            self._watch(held)
        return True

    def give_back(self, held: deque[object]) -> None:
        """Take the place in *held* back, if there is one."""
        move_one(held, self._free)

    def _watch(self, held: deque[object]) -> None:
        """Have the loss of the place in *held* be noticed, which may be a token for one."""
        token = held[-1]
        if isinstance(token, Place):
            # An interrupt cut this off the last time, before it was watched or after.
            place = token
            is_watched = any(watched() is place for watched in tuple(self._watched))
        else:
            # It counts from the moment when it is in the deque, and is watched only then.
            # Otherwise an interrupt between the two would add a place.
            place = held[-1] = Place()
            is_watched = False
        if not is_watched:
            self._watched.append(weakref.ref(place, self._lost.append))
        place.is_watched = True
        if isinstance(token, weakref.ref):
            with suppress(ValueError):
                self._watched.remove(token)
