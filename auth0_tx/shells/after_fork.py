"""What must not be inherited: after a fork, a child starts over with its own.

A socket that parent and child both read gives one of them the other's tokens, and a lock
that some thread of the parent held is held in the child by nobody, for ever.
"""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack
from typing import Protocol


class Renewable(Protocol):
    """Something that holds sockets or locks."""

    def renew(self) -> None:
        """Start over, touching nothing that was there."""
        ...


_inherited: weakref.WeakSet[Renewable] = weakref.WeakSet()
_left_alone: list[object] = []


def renew_after_fork(holder: Renewable) -> None:
    """Have *holder* start over in every child, for as long as it lives."""
    _inherited.add(holder)


def leave_alone(inherited: object) -> None:
    """Keep for ever what even to free would take a lock that was inherited."""
    _left_alone.append(inherited)


def _renew_all() -> None:
    with ExitStack() as stack:
        for holder in list(_inherited):
            # Each of them, whatever becomes of another.
            stack.callback(holder.renew)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
