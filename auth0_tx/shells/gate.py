"""How many requests of one event loop may be on the wire at once."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from .deadlines import Deadlines


class Gate:
    """At most so many at once: first come, first served, and cheap for those who wait.

    Taken before a request is built: ten thousand callers then wait with no body in hand.
    """

    __slots__ = ("_deadlines", "_free", "_waiting")

    def __init__(self, places: int, deadlines: Deadlines) -> None:
        self._free = places
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._deadlines = deadlines

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
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
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
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
