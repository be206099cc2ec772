"""When a JWT says that it expires, read of it unverified: good for being careful alone."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from math import inf

from .dates import is_date

_READ_FAILURES = (AttributeError, RecursionError, TypeError, ValueError)


def claimed_expiry(token: str | None) -> float:
    """Give when *token* says that it expires, in epoch seconds.

    Returns:
        Infinity for what is opaque or says nothing of an end, and 0 for a JWT whose ``exp``
        is no date (RFC 7519 section 4.1.4): its end is unknown, and may have come.
    """
    try:
        # RFC 7519 section 3: of a signed JWT's three parts the second has the claims.
        _, payload, _ = token.split(".")  # type: ignore[union-attr]
        expiry = json.loads(urlsafe_b64decode(payload + "==")).get("exp", inf)
    except _READ_FAILURES:
        return inf
    if expiry == inf:
        return inf
    return float(expiry) if is_date(expiry) else 0.0
