"""What became of refresh tokens lately: a spent one is never sent again.

Several requests of one browser may carry the same old cookie.  The first of them spends its
refresh token; those that come a moment later are given what it brought, and not a refusal
that ends the whole family (RFC 9700 section 4.14.2).
"""

from __future__ import annotations

import hmac

import attrs

from ...bounded import ExpiringDict
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


class Rotations(ExpiringDict[bytes, RefreshOutcome | Auth0Error]):
    """The outcome of recent refreshes, under a keyed hash of the refresh token spent."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_MOST, LONGEST_MEMORY)


def refresh_key(process_key: bytes, refresh_token: str) -> bytes:
    """Hash a refresh token, with a key of this process, so that nothing is revealed."""
    return hmac.digest(process_key, refresh_token.encode(), "sha256")
