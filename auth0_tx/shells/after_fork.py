"""State that a forked child must not share with its parent: sockets, locks, TLS contexts.

A socket that two processes read gives one of them the other's tokens.  A lock that another
thread of the parent held at the fork stays locked in the child, where that thread does not
exist.  So everything that holds one registers here, and starts over in each child:

1. ``os.fork``, ``multiprocessing``, gunicorn and Celery run Python's fork hooks.  Ours renews
   every registered holder before any other code of the child runs.
2. Servers that embed Python fork in C, and Python's hooks never run: ``uwsgi --master`` is
   the one that most people meet.  So whoever takes a transport, a flight, a lock or a TLS
   context calls ``renew_if_forked`` first.  It compares the process id, which costs about
   50 ns, and renews every holder if the process is a child that has not yet started over.

A child counts as started over only when each holder was renewed.  If one of them fails, the
next call tries again and raises: a failed call is better than an answer for somebody else.
"""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack
from typing import Protocol

from ..locks import OwnedLock


class Renewable(Protocol):
    """An object that holds sockets, locks or TLS contexts."""

    def renew(self) -> None:
        """Start over, without touching what the parent made."""
        ...


_holders: weakref.WeakSet[Renewable] = weakref.WeakSet()
_left_alone: list[object] = []
process_id: int = os.getpid()
"""The process that made, or last renewed, what the holders hold."""

# One lock for each process: a single one could have been inherited locked.
_locks: dict[int, OwnedLock] = {}


def register_renewable(holder: Renewable) -> None:
    """Renew *holder* in every child, for as long as it lives."""
    _holders.add(holder)


def renew_if_forked() -> None:
    """Renew every holder if this process is a child whose fork ran no Python hooks."""
    if os.getpid() != process_id:
        _renew_once()


def leave_alone(inherited: object) -> None:
    """Keep *inherited* for ever: even freeing it may take a lock that the parent held."""
    _left_alone.append(inherited)


def _renew_once() -> None:
    """Renew every holder in one thread of the child; the others wait for it."""
    pid = os.getpid()
    # ``setdefault`` is one step of the interpreter's, so all threads get the same lock.
    _locks.setdefault(pid, OwnedLock()).run(_renew_unless_done, pid)


def _renew_unless_done(pid: int) -> None:
    if pid != process_id:
        _renew_all()


def _renew_all() -> None:
    global process_id
    with ExitStack() as stack:
        for holder in list(_holders):
            # Renew each of them, even if another one's renewal fails.
            stack.callback(holder.renew)
    process_id = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
