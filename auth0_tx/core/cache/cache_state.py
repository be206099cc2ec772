"""The state of a shared token cache: whether it works, and which of its locks were abandoned.

A shared cache can fail.  ``CacheState`` keeps its failures from every call: after one the
cache is left alone for some seconds.
"""

from __future__ import annotations

from ...bounded import BoundedDict

_PAUSE = 5.0
"""Seconds for which a cache that has failed is left alone.  Each call would otherwise wait
for its timeout, and an exchange that takes 100 ms would take 600."""

_WARNING_EACH = 60.0
"""Seconds between two warnings: every worker of a fleet logs the same outage."""

# A lock is abandoned for seconds, and so are few calls.
_MOST_ABANDONED = 1_000


class CacheState:
    """The state of a shared cache as one client, in one process, sees it.

    A call that is abandoned (its coroutine is closed, or collected as garbage) cannot unlock
    what it has locked: its flow may not yield another command.  It records the lock here, and
    the next caller for the same key takes it over, so that nobody waits until it ends.

    All times are on the context's monotonic clock.

    Attributes:
        has_failed: whether the cache ever failed.
    """

    def __init__(self) -> None:
        self.has_failed: bool = False
        self._rests_until = float("-inf")
        self._warned_at = float("-inf")
        self._abandoned: BoundedDict[str, tuple[bytes, float]] = BoundedDict(
            _MOST_ABANDONED
        )

    def is_resting(self, now: float) -> bool:
        """Return whether the cache failed a short time ago."""
        return now < self._rests_until

    def record_failure(self, now: float) -> bool:
        """Record that the cache failed, and return whether to log a warning."""
        self.has_failed = True
        self._rests_until = now + _PAUSE
        if now - self._warned_at < _WARNING_EACH:
            return False
        self._warned_at = now
        return True

    def record_abandoned_lock(self, name: str, owner: bytes, until: float) -> None:
        """Record that a call was abandoned that has, or had, locked *name*."""
        self._abandoned.add(name, (owner, until))

    def take_over_lock(self, name: str, now: float) -> bytes | None:
        """Return the owner by which an abandoned call locked *name*, once, or ``None``."""
        owner, until = self._abandoned.pop(name, (None, now))
        return owner if now < until else None
