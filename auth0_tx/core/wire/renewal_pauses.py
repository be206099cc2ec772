"""Pauses between the tokens that replace those an API refused.

They are apart from the other rules for calling an API: every client has them, and most call
none with an object of this library.
"""

from __future__ import annotations

from ...bounded import BoundedDict

SHORTEST_RENEWAL_PAUSE = 30.0
"""Seconds after a token was replaced because of a 401 before the next one may be."""

LONGEST_RENEWAL_PAUSE = 900.0

_MOST_PAUSES = 10_000


class RenewalPauses:
    """When tokens that an API refused were last replaced, so that it doesn't go on for ever.

    An API that answers every token with 401, because its audience is set up wrongly, would
    otherwise cost an exchange with each request.  So there is a pause after a token was
    replaced, and each time that the next token is refused as well, the pause is twice as long.

    Times are on a monotonic clock.
    """

    __slots__ = ("_pauses",)

    def __init__(self) -> None:
        self._pauses: BoundedDict[bytes, tuple[float, float]] = BoundedDict(
            _MOST_PAUSES
        )

    def may_renew(self, key: bytes, now: float) -> bool:
        """Return whether the token of *key* may be replaced because of a 401."""
        until, _ = self._pauses.get(key, (now, 0.0))
        return now >= until

    def note_renewal(self, key: bytes, now: float) -> None:
        """Note that it was replaced; of several who note the same, the first one counts."""
        until, seconds = self._pauses.get(key, (float("-inf"), 0.0))
        if now < until:
            return
        # As long as the pause was, the next token served well: start over.
        seconds = 0.0 if now >= until + seconds else seconds
        seconds = min(max(2 * seconds, SHORTEST_RENEWAL_PAUSE), LONGEST_RENEWAL_PAUSE)
        self._pauses.add(key, (now + seconds, seconds))
