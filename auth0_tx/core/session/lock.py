"""The lock of a stored session: a mark behind the sealed text, in the same value.

    <sealed text>~<owner>.<beat>

One process at a time may use a session's refresh token.  The lock has no key of its own, so
one command does two things:

- Whoever takes the lock replaces the value that it has read by the same with its mark.  If that
  succeeds, nobody has written the session meanwhile, and it need not be read again.
- The holder saves the session without a mark, which releases the lock.

The holder renews its mark, by the next beat, every second.  Whoever waits looks at the value
every now and then.  A mark that stays the same for ``LOCK_SECONDS``, by the clock of whoever
waits, was left by a holder that has died, and may be replaced.  So no clocks are compared, and a
lock lasts as long as its holder needs it.  Others may save the session meanwhile, and keep
the mark that is there.

``~`` is neither base64url nor a dot, so no sealed text has one.
"""

from __future__ import annotations

import attrs

LOCK_SECONDS = 4.0
"""How long a mark must stay the same until its holder counts as dead: long enough for a
process that stands still for two seconds, and well within a call's default timeout."""

BEAT_SECONDS = 1.0
"""How long after each other a holder renews its mark."""

_TILDE = b"~"


def split_mark(value: bytes) -> tuple[bytes, bytes]:
    """Return the sealed text of a stored value, and the mark behind it; empty if none is."""
    sealed, tilde, mark = value.partition(_TILDE)
    return sealed, tilde + mark


def first_mark(owner: bytes) -> bytes:
    """Return the mark by which *owner* takes a lock."""
    return b"%b%b.0" % (_TILDE, owner)


def next_mark(mark: bytes) -> bytes:
    """Return the mark that renews *mark*, which is the holder's own."""
    owner, _, beat = mark.rpartition(b".")
    return b"%b.%d" % (owner, int(beat) + 1)


def is_mark_of(mark: bytes, owner: bytes) -> bool:
    """Return whether *owner* made a mark."""
    return mark.startswith(b"%b%b." % (_TILDE, owner))


@attrs.define(eq=False)
class LockWatch:
    """The lock as it looks to a process that waits for it."""

    _mark: bytes = b""
    _since: float = 0.0

    def is_free(self, mark: bytes, now: float) -> bool:
        """Return whether the lock may be taken: nobody has it, or its holder has died.

        Args:
            mark: the mark that was read.
            now: when, on the context's monotonic clock.
        """
        if not mark:
            return True
        if mark != self._mark:
            self._mark, self._since = mark, now
        return now - self._since >= LOCK_SECONDS
