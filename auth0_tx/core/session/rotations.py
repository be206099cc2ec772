"""The outcome of recent refreshes, so that no process sends a refresh token twice.

With rotation, a refresh spends its token, and the response brings the next.  Several requests
of one browser may carry the same old cookie: the first of them refreshes, and the others come
a moment later, with a token that is spent.  Sending it again looks to Auth0 like theft, and
ends the whole family of tokens (RFC 9700 section 4.14.2): the user is logged out.  So the
outcome of each refresh, tokens or an error, is remembered for a minute and given to the others.

Keys are hashes of refresh tokens, keyed with a random key of this process.  A dump of this
memory holds the tokens that the refresh brought, and none that the browser sent.
"""

from __future__ import annotations

import hmac

import attrs

from ...bounded import ExpiringDict
from ...errors import Auth0Error
from ...values import TokenExchangeResponse

LONGEST_MEMORY = 60.0
"""Seconds: longer than a browser's requests with an old cookie are on their way."""

# Each outcome holds a few kilobytes of tokens, so this is some megabytes at most.
_MOST = 1_024


@attrs.frozen(eq=False)
class RefreshOutcome:
    """The tokens that one refresh brought, and the audience and scope they are for.

    Attributes:
        audience: the audience that was sent, if one was.
        scope: the scope that was sent, if one was.
        response: the tokens.
        at: epoch seconds of the response.
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
    """Return the key of a refresh token: a hash that means nothing in another process."""
    return hmac.digest(process_key, refresh_token.encode(), "sha256")
