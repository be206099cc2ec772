"""The two clocks that the library reads.

``read_time`` says when it is.  Tokens, sessions and cached entries expire by it.  It is looked
up at each call, so that tests may freeze and move it (freezegun, time-machine, a patch).

``read_monotonic`` says how much time has passed.  Deadlines, pauses and the lives of locks are
on it.  Sockets and threads wait in real time whatever a test does to Python's clocks, so this
one is out of the tests' reach: freezegun replaces ``time.monotonic`` by seconds since 1970.
A deadline that was made before a freeze, and is looked at within it, would have passed decades
ago.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial


def read_time() -> float:
    """Return seconds since the epoch."""
    return time.time()


read_monotonic: Callable[[], float]
"""Return seconds that never go back."""
if hasattr(time, "clock_gettime"):
    # Right although this module is imported within a freeze, which leaves it alone.
    read_monotonic = partial(time.clock_gettime, time.CLOCK_MONOTONIC)
else:
    # Windows.  A freeze replaces what modules refer to, and does not look into a partial.
    read_monotonic = partial(time.monotonic)
