"""A clock that tells the time, and that a test moves on."""

from __future__ import annotations

import time


class MovedClock:
    """The time of a tenant and of its clients.

    Attributes:
        ahead: seconds that it is ahead of the system's.
    """

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead

    def move(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.ahead += seconds
