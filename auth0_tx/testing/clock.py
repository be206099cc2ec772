"""A clock for a tenant and its clients, which a test moves on."""

from __future__ import annotations

from ..clocks import read_time


class MovableClock:
    """The system's time, moved by what a test has let pass.

    Pass it to ``Tenant(clock=...)`` and to clients as ``clock=``: both must agree on the time.
    """

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        """Return seconds since the epoch."""
        return read_time() + self._ahead

    def move(self, seconds: float) -> None:
        """Let time pass.

        Args:
            seconds: how much; negative to set the clock back.
        """
        self._ahead += seconds

    def reset(self) -> None:
        """Return to the system's time."""
        self._ahead = 0.0
