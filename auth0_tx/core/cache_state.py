"""What one client knows of its token cache: whether it works, and which locks it left."""

from __future__ import annotations

import attrs

_PAUSE = 5.0
"""Seconds for which a cache that has failed is left alone: each call would wait for it."""

_WARNING_EACH = 60.0
"""Seconds between two warnings."""

_MANY_LOCKS = 1_000


@attrs.define(eq=False)
class CacheState:
    """The state of a token cache as one client, in one process, sees it.

    All times are on the context's monotonic clock.

    Attributes:
        has_failed: whether the cache ever has.
    """

    has_failed: bool = attrs.field(init=False, default=False)
    _rests_until: float = attrs.field(init=False, default=float("-inf"))
    _warned_at: float = attrs.field(init=False, default=float("-inf"))
    _abandoned: dict[str, tuple[bytes, float]] = attrs.field(init=False, factory=dict)

    def is_resting(self, now: float) -> bool:
        """Tell whether the cache has just failed."""
        return now < self._rests_until

    def failed(self, now: float) -> bool:
        """Note that the cache failed; tell whether to warn of it."""
        self.has_failed = True
        self._rests_until = now + _PAUSE
        if now - self._warned_at < _WARNING_EACH:
            return False
        self._warned_at = now
        return True

    def abandoned(self, name: str, owner: bytes, until: float) -> None:
        """Note that a call was cancelled that has, or had, locked *name*."""
        if len(self._abandoned) >= _MANY_LOCKS:
            self._abandoned.clear()
        self._abandoned[name] = owner, until

    def taken_over(self, name: str, now: float) -> bytes | None:
        """Give by what owner a cancelled call of this client locked *name*, once."""
        owner, until = self._abandoned.pop(name, (None, now))
        return owner if now < until else None
