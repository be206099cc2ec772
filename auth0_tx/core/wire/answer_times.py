"""How long the token endpoint has lately taken to answer, and so which grant is too late.

A grant that is sent with less time left than an answer takes spends its token for nobody:
the deadline passes while the server issues the tokens.  In a crowd that happens to whoever
gets a connection last.  So the client measures how long answers take, from the moment a
request begins to leave to the moment its caller goes on with the answer.  That includes the
time in which an event loop or interpreter is busy with other callers.  A grant with less time
left than that, and a margin, is not sent: its caller can make the same call again.

The measure rises at once, as one slow answer may be the first of many.  It falls with the
answers that follow, some sixty of them or those of some ten seconds, whichever is sooner, and
not with time alone: after a pause the last answer is still the best guess.  It never asks for
more than half of the time that a call has.  So a call that does not wait for a connection is
always sent, and its answer brings the measure down again.

Time is an argument, on a monotonic clock.  Threads share a measure without a lock: an answer
that another one overwrites is missed, and the next is not.
"""

from __future__ import annotations

import attrs

# An answer may take so many times as long as the slowest of those before it.
_MARGIN = 1.5
# Seconds of answers, or their number, after which a slow one counts for about a third.
_LATELY = 10.0
_ANSWERS = 64


@attrs.define(eq=False, repr=False)
class AnswerTime:
    """How long the answers of one server have lately taken.

    Attributes:
        seconds: the measure; 0 before the first answer.
    """

    seconds: float = 0.0
    _noted_at: float = 0.0

    def note(self, seconds: float, now: float) -> None:
        """Take in an answer that came *now*, after so many *seconds*."""
        # Comparisons, as each answer comes by here, and calls cost more.
        if seconds < 0.0:
            seconds = 0.0
        excess = self.seconds - seconds
        if excess > 0.0:
            share = max((now - self._noted_at) / _LATELY, 1 / _ANSWERS)
            seconds = self.seconds - excess * min(share, 1.0)
        self.seconds, self._noted_at = seconds, now

    def is_recent(self, now: float, seconds: float) -> bool:
        """Return whether an answer came in the last *seconds*."""
        return now - self._noted_at < seconds

    def find_floor(self, longest: float) -> float:
        """Return the seconds that a grant must have left, at most *longest*."""
        return min(self.seconds * _MARGIN, longest)
