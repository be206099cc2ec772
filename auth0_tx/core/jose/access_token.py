"""Reading access tokens: the API that one is for, and when it expires.

Access tokens are for the API, and a client need not understand them.  This library looks at
one all the same, because Auth0 may issue a token for another API than was asked for: a
refresh for an audience outside the refresh token's policy is answered with a token for the
first API.  A session that files it under the name asked for hands one API's token to another.

Nothing is verified.  The token came from the token endpoint over TLS.  The claims that are read
here decide where it is kept and for how long, and whether its caller gets an error because it
is another than was asked for.  A token that is not a signed JWT is opaque: whatever it is for,
only the API knows.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

import attrs

from .claims import is_date


@attrs.frozen
class AccessTokenClaims:
    """The claims of an access token that decide where and for how long it is kept.

    Attributes:
        audience: the APIs that it names (RFC 7519 section 4.1.3); ``None`` if it is opaque.
        expires_at: when it expires, in epoch seconds; ``None`` if it does not say.
    """

    audience: tuple[str, ...] | None = None
    expires_at: float | None = None


def read_access_token(token: object) -> AccessTokenClaims:
    """Return an access token's audience and expiry; nothing is verified, and nothing raised."""
    claims = read_unverified_claims(token)
    expires_at = claims.get("exp")
    return AccessTokenClaims(
        _read_audience(claims.get("aud")),
        float(expires_at) if is_date(expires_at) else None,
    )


def _read_audience(audience: object) -> tuple[str, ...] | None:
    # RFC 7519 4.1.3: an array of strings, or in the special case of one, the string.
    members = audience if isinstance(audience, list) else [audience]
    # What else a broken claim has in it names nothing; the names beside it still count.
    return tuple(name for name in members if isinstance(name, str) and name) or None


def read_unverified_claims(token: object) -> dict[str, Any]:
    """Return the claims of a signed JWT without verifying it; none if it is not one."""
    # RFC 7519 section 3: the second of three parts.  Auth0's opaque tokens are JWEs, with five.
    parts = token.split(".") if isinstance(token, str) else []
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(urlsafe_b64decode(parts[1] + "=="))
    # A nested array can be as deep as a token is long.
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
