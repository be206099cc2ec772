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

from ...bounded import BoundedDict

LOCK_SECONDS = 4.0
"""How long a mark must stay the same until its holder counts as dead: long enough for a
process that stands still for two seconds, and well within a call's default timeout."""

BEAT_SECONDS = 1.0
"""How long after each other a holder renews its mark."""

_TILDE = b"~"

_MOST_WATCHES = 1_000
"""Locks that a client has seen last.  One that is forgotten is watched anew, from the start."""


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


class LockWatches:
    """The locks that a client waits for, as it has seen them.

    They outlast a call.  Calls whose timeout is shorter than ``LOCK_SECONDS`` could otherwise
    never find out that a holder has died, however many of them come one after the other.
    """

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: BoundedDict[str, tuple[bytes, float]] = BoundedDict(_MOST_WATCHES)

    def is_free(self, key: str, mark: bytes, now: float) -> bool:
        """Return whether a lock may be taken: nobody has it, or its holder has died.

        Args:
            key: the key of the session in its store.
            mark: the mark that was read.
            now: when, on the context's monotonic clock.
        """
        if not mark:
            return True
        seen, since = self._seen.get(key, (b"", now))
        if seen == mark:
            return now - since >= LOCK_SECONDS
        self._seen.add(key, (mark, now))
        return False
