"""How many requests of one event loop may be on the wire at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress

from .deadlines import Deadlines
from .failures import out_of_time

TOO_LATE = "no connection was free before the deadline"


class Gate:
    """At most so many at once: first come, first served, and cheap for those who wait.

    Calls queue in two places.  Those with a request to send stand at the gate, no more
    of them than there are places.  All others of a crowd stand outside, where they have
    not built anything yet: ten thousand of them are then few objects, and soon begun.
    """

    __slots__ = (
        "_deadlines",
        "_free",
        "_letting_in",
        "_loop",
        "_outside",
        "_outside_until",
        "_places",
        "_timer",
        "_waiting",
    )

    def __init__(self, places: int, deadlines: Deadlines) -> None:
        self._places = self._free = places
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._deadlines = deadlines
        self._loop = asyncio.get_running_loop()
        self._outside: deque[asyncio.Future[None]] = deque()
        # Of those outside, in the same order; not one value with them, as the collector
        # of garbage would have ten thousand more to look at.
        self._outside_until: deque[float] = deque()
        self._letting_in = False
        self._timer: asyncio.TimerHandle | None = None

    def enter_at_once(self) -> bool:
        """Take a place where one is free."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def enter_in_turn(self, deadline: float, first: bool = False) -> bool:
        """Take the next place to become free; give ``False`` where none did by *deadline*.

        Args:
            deadline: on the monotonic clock.
            first: go before those who wait already.
        """
        turn: asyncio.Future[None] = self._loop.create_future()
        if first:
            self._waiting.appendleft(turn)
        else:
            self._waiting.append(turn)
        came = False
        try:
            with suppress(TimeoutError), self._deadlines.until(deadline):
                await turn
                came = True
        finally:
            if not came and turn.done() and not turn.cancelled():
                # The place was handed over in the same instant; hand it on.
                self.leave()
        return came

    def leave(self) -> None:
        """Give the place to the first who still waits, or back."""
        if self._outside:
            self._let_in_soon()
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def turn(self, deadline: float) -> asyncio.Future[None] | None:
        """Give what a call that begins must wait for, or ``None`` where it may go on.

        Args:
            deadline: on the monotonic clock; no earlier than that of any call before it.
        """
        if not self._outside and len(self._waiting) < self._places:
            return None
        turn: asyncio.Future[None] = self._loop.create_future()
        self._outside.append(turn)
        self._outside_until.append(deadline)
        if self._timer is None:
            self._timer = self._loop.call_later(
                deadline - time.monotonic(), self._send_away
            )
        return turn

    def _let_in_soon(self) -> None:
        if not self._letting_in:
            self._letting_in = True
            self._loop.call_soon(self._let_in)

    def _let_in(self) -> None:
        """Let as many in as the gate has room for; look again when they have come.

        Not all of them will come to the gate: a call may end without sending anything.
        """
        self._letting_in = False
        room = self._places - len(self._waiting)
        while self._outside and room > 0:
            self._outside_until.popleft()
            turn = self._outside.popleft()
            if not turn.done():
                turn.set_result(None)
                room -= 1
        if self._outside and self._places > len(self._waiting):
            self._let_in_soon()

    def _send_away(self) -> None:
        """End the wait of those whose time is up; those behind them have longer."""
        self._timer = None
        now = time.monotonic()
        while self._outside:
            if self._outside_until[0] > now and not self._outside[0].done():
                self._timer = self._loop.call_later(
                    self._outside_until[0] - now, self._send_away
                )
                return
            self._outside_until.popleft()
            turn = self._outside.popleft()
            if not turn.done():
                turn.set_exception(out_of_time(TOO_LATE))
