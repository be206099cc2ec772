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
from typing import TYPE_CHECKING, TypeAlias

from ...bounded import ExpiringDict

if TYPE_CHECKING:
    from ...errors import Auth0Error
    from .refresh_outcome import RefreshOutcome

LONGEST_MEMORY = 600.0
"""Seconds.  Requests with an old cookie are on their way for a minute at most.  A browser that
cancelled the request that refreshed has only the old cookie, until its user's next click."""

# Each outcome holds a few kilobytes of tokens, so this is some megabytes at most.
_MOST = 1_024

_Outcome: TypeAlias = "RefreshOutcome | Auth0Error"


class Rotations(ExpiringDict[bytes, _Outcome]):
    """The outcome of recent refreshes, under a keyed hash of the refresh token spent."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_MOST, LONGEST_MEMORY)


def refresh_key(process_key: bytes, refresh_token: str) -> bytes:
    """Return the key of a refresh token: a hash that means nothing in another process."""
    return hmac.digest(process_key, refresh_token.encode(), "sha256")
