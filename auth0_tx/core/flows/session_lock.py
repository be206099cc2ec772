"""Holding the lock of a stored session: take it, renew it, save or release.

See ``session.lock`` for what a lock is.  Its holder does this:

1. It takes the lock by compare-and-set on the session that it has read.
2. It renews its mark every second, in another thread or task, while it waits for the server.
3. It saves the session, which releases the lock; or it releases the lock alone.  It first waits
   for a renewal that is under way, which would change the value under the save.

Failures, and how they end:

- *The answer to a renewal is lost.*  The next write finds another beat than it expects.  It
  reads the session again, and goes on if the mark is the holder's own.
- *Others save the session beside the lock.*  The same; their changes stay.
- *The holder stands still for so long that another process takes the lock.*  It finds the
  other's mark, and is a writer without a lock from then on.
- *The session ends.*  There is no value any more, and no write brings it back.
- *The holder is interrupted.*  It releases the lock, whether or not the command that was
  interrupted has taken effect.
- *It dies.*  Its mark stays the same, and another process takes the lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ...errors import CustomTokenExchangeErrorCode as Code
from ...errors import StoreError
from ..effects import Flow, Sleep
from ..session.lock import first_mark, is_mark_of, next_mark, split_mark
from .store_calls import AT_ONCE

if TYPE_CHECKING:
    from .session_keeper import Session
    from .stored_sessions import StoredSessions

_PAUSE = 0.005
"""Seconds between two looks at a renewal that is under way."""

_LONGEST_PAUSE = 1.0
"""Seconds for which a renewal is waited for at most; then it counts as lost."""

_MOST_TRIES = 3
"""Attempts to renew or release a lock while others save the session."""


@attrs.define(eq=False)
class SessionLock:
    """A session's lock, as the run that holds it sees it.

    Two threads use it: that of the run, and that which renews the lock.  Each raises its own
    flag before it looks at the other's, so that only one of them writes.

    Attributes:
        owner: a random name, used once.
        held: the session as it is stored, with this lock's mark; ``None`` without the lock.
    """

    owner: bytes
    _sessions: StoredSessions = attrs.field(repr=False)
    held: Session | None = attrs.field(init=False, default=None, repr=False)
    _is_renewing: bool = attrs.field(init=False, default=False)
    _is_ending: bool = attrs.field(init=False, default=False)
    # A store that was slow to fail is not asked once more: the caller would wait twice.
    _is_store_hanging: bool = attrs.field(init=False, default=False)

    def take(self, session: Session) -> Flow[Session | None]:
        """Return the session with its lock, or ``None`` if somebody else has written it.

        A store that bounds the size of a value may have no room for a mark.  A refresh without
        a lock is better than none, so the session is returned as it is.

        Raises:
            StoreError: the store failed.
        """
        sealed, _ = split_mark(session.stored_value)
        # Noted before it is written: an interrupt may come when that has taken effect.
        self.held = attrs.evolve(session, value=sealed + first_mark(self.owner))
        try:
            is_taken = yield from self._write(self.held, session.stored_value)
        except StoreError as error:
            if error.code != Code.SESSION_TOO_LARGE:
                raise
            self.held = None
            return session
        if not is_taken:
            self.held = None
            return None
        return attrs.evolve(self.held, lock=self)

    def renew(self) -> Flow[None]:
        """Replace the mark by the next one.  If that fails, the next renewal makes up for it."""
        self._is_renewing = True
        try:
            if not self._is_ending:
                yield from self._renew()
        except StoreError:
            return
        finally:
            self._is_renewing = False

    def _renew(self) -> Flow[None]:
        for _ in range(_MOST_TRIES):
            held = self.held
            if held is None:
                return
            sealed, mark = split_mark(held.stored_value)
            renewed = attrs.evolve(held, value=sealed + next_mark(mark))
            # Once only: the next renewal finds out whether this one has taken effect.
            if (
                yield from self._sessions.write(
                    renewed, held.stored_value, may_repeat=False
                )
            ):
                self.held = renewed
                return
            yield from self.read_again(held)

    def save(self, session: Session, saved: Session) -> Flow[bool]:
        """Replace *session* by *saved*, and release the lock with it.

        Returns:
            Whether it was replaced; not if somebody else has written it, or has the lock.

        Raises:
            StoreError: the store failed.
        """
        yield from self._end_renewals()
        held = self.held
        if held is None:
            return False
        sealed, _ = split_mark(session.stored_value)
        _, mark = split_mark(held.stored_value)
        if not (yield from self._write(saved, sealed + mark)):
            return False
        self.held = None
        return True

    def read_again(self, session: Session) -> Flow[Session | None]:
        """Return the session as it is stored by now, with the lock if this still has it.

        Raises:
            StoreError: the store failed.
        """
        latest = yield from self._sessions.look(session)
        if latest is not None:
            _, mark = split_mark(latest.stored_value)
            if is_mark_of(mark, self.owner):
                self.held = latest
                return attrs.evolve(latest, lock=self)
        self.held = None
        return latest

    def release(self) -> Flow[None]:
        """Remove the mark if it is there.  If that fails, others find that it stays the same."""
        try:
            yield from self._release()
        except GeneratorExit:
            raise
        except BaseException:
            # An interrupt may come while an ordinary failure is cleaned up.
            yield from self._release()
            raise

    def _release(self) -> Flow[None]:
        yield from self._end_renewals()
        if self._is_store_hanging:
            return
        try:
            for _ in range(_MOST_TRIES):
                held = self.held
                if held is None:
                    return
                sealed, _ = split_mark(held.stored_value)
                released = attrs.evolve(held, value=sealed)
                if (yield from self._write(released, held.stored_value)):
                    self.held = None
                    return
                yield from self.read_again(held)
        except StoreError:
            return

    def _end_renewals(self) -> Flow[None]:
        monotonic = self._sessions.call.context.monotonic
        self._is_ending, until = True, monotonic() + _LONGEST_PAUSE
        while self._is_renewing and monotonic() < until:
            yield from Sleep(_PAUSE)

    def _write(self, session: Session, expected: bytes) -> Flow[bool]:
        monotonic = self._sessions.call.context.monotonic
        started = monotonic()
        try:
            return (yield from self._sessions.write(session, expected))
        except StoreError:
            self._is_store_hanging = monotonic() - started >= AT_ONCE
            raise
