"""The outcome of recent refreshes, so that no process sends a rotated refresh token twice.

With rotation, a refresh spends its token, and the response brings the next.  Several requests
of one browser may carry the same old cookie: the first of them refreshes, and the others come
a moment later, with a token that is spent.  Sending it again looks to Auth0 like theft, and
ends the whole family of tokens (RFC 9700 section 4.14.2): the user is logged out.  So the
tokens that a refresh brought are remembered for ten minutes and given to the others.

Of errors, ``invalid_grant`` alone is remembered.  It says that the token is worth nothing, and
asking again would be told the same.  After every other failure the token may be good.

Keys are hashes of refresh tokens, keyed with a random key of this process.  A dump of this
memory holds the tokens that the refresh brought, and none that the browser sent.
"""

from __future__ import annotations

import hmac
from typing import Any

import attrs

from ...bounded import ExpiringDict
from ...errors import Auth0Error, CustomTokenExchangeError
from ...values import TokenExchangeResponse

LONGEST_MEMORY = 600.0
"""Seconds.  Requests with an old cookie are on their way for a minute at most.  A browser that
cancelled the request that refreshed has only the old cookie, until its user's next click."""

# Each outcome holds a few kilobytes of tokens, so this is some megabytes at most.
_MOST = 1_024


@attrs.frozen(eq=False)
class RefreshOutcome:
    """The result of one refresh, or of another exchange for a session.

    Attributes:
        audience: the audience that was sent, if one was.
        scope: the scope that was sent, if one was.
        response: the tokens.
        claims: those of its ID token, verified; ``None`` if there is no new one.
        at: epoch seconds of the response.
        is_refresh: whether a refresh token brought it.
        is_rotated: whether the refresh token that was sent is spent, as another came.
        problem: what is wrong with the response, or with its ID token.  The refresh token is
            kept, as the one before is spent; the access token is not handed out.
    """

    audience: str | None
    scope: str | None
    response: TokenExchangeResponse
    claims: dict[str, Any] | None = attrs.field(repr=False)
    at: float
    is_refresh: bool = False
    is_rotated: bool = False
    problem: CustomTokenExchangeError | None = None


class Rotations(ExpiringDict[bytes, RefreshOutcome | Auth0Error]):
    """The outcome of recent refreshes, under a keyed hash of the refresh token spent."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_MOST, LONGEST_MEMORY)


def refresh_key(process_key: bytes, refresh_token: str) -> bytes:
    """Return the key of a refresh token: a hash that means nothing in another process."""
    return hmac.digest(process_key, refresh_token.encode(), "sha256")
