"""What became of refresh tokens lately: a spent one is never sent again.

Several requests of one browser may carry the same old cookie.  The first of them spends its
refresh token; those that come a moment later are given what it brought, and not a refusal
that ends the whole family (RFC 9700 section 4.14.2).
"""

from __future__ import annotations

import hmac
from collections import OrderedDict

import attrs

from ...errors import Auth0Error
from ...values import TokenExchangeResponse

LONGEST_MEMORY = 60.0
"""Seconds: longer than a browser's requests with an old cookie are on their way."""

_MOST = 1_024


@attrs.frozen(eq=False)
class RefreshOutcome:
    """What one refresh brought.

    Attributes:
        audience: the audience that was sent, if one was.
        scope: the scope that was asked for, if one was.
        response: the tokens.
        at: epoch seconds.
    """

    audience: str | None
    scope: str | None
    response: TokenExchangeResponse
    at: float


class Rotations:
    """The refresh tokens spent of late, by a keyed hash, and what each of them brought.

    Each operation is one step of the interpreter's, so that threads need no lock.
    """

    __slots__ = ("_spent",)

    def __init__(self) -> None:
        self._spent: OrderedDict[bytes, tuple[float, RefreshOutcome | Auth0Error]] = (
            OrderedDict()
        )

    def record(
        self, key: bytes, outcome: RefreshOutcome | Auth0Error, now: float
    ) -> None:
        """Remember what became of a refresh token; *now* is on a monotonic clock."""
        self._spent[key] = (now + LONGEST_MEMORY, outcome)
        while len(self._spent) > _MOST:
            self._spent.popitem(last=False)

    def get(self, key: bytes, now: float) -> RefreshOutcome | Auth0Error | None:
        """Give what became of a refresh token, while it is remembered."""
        found = self._spent.get(key)
        if found is None:
            return None
        until, outcome = found
        if now >= until:
            self._spent.pop(key, None)
            return None
        return outcome


def refresh_key(process_key: bytes, refresh_token: str) -> bytes:
    """Hash a refresh token, with a key of this process, so that nothing is revealed."""
    return hmac.digest(process_key, refresh_token.encode(), "sha256")
