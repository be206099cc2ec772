"""Claims that several kinds of token share: dates, expiry, and the actors in ``act``.

Nothing here verifies a token.  ``check_actors`` and ``actor_chain`` read the claims of a
token that is verified already, or of one that somebody only wants to look at.
``read_claimed_expiry`` reads a token that is not verified at all, and says so in its name:
the answer decides how long a cache keeps its own entry, and nothing else.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from math import inf
from typing import Any, TypeGuard

from ...errors import InvalidInputError

MAX_ACTORS = 8
"""Actors a token may name; Auth0 itself issues no more than five.

Every ``act`` nests in the one before it, so without a bound a token could make a reader
recurse, or loop, for as long as its sender likes.
"""

_NOT_AN_OBJECT = "act is not an object (RFC 8693 section 4.1)"
_NO_SUBJECT = "act has no sub that is a non-empty string"
_TOO_MANY = f"act names more than {MAX_ACTORS} actors"


def actor_chain(act: Mapping[str, Any] | None) -> tuple[dict[str, Any], ...]:
    """List the actors of an ``act`` claim, each without the ``act`` nested in it.

    The first is the current actor, and the only one that an access decision may depend
    on; the others acted before it, the earliest last (RFC 8693 section 4.1).

    Args:
        act: the claim, or ``None`` if the token has none.

    Raises:
        InvalidInputError: *act* is not a valid ``act`` claim.
    """
    problem = None if act is None else check_actors(act)
    if problem is not None:
        # Who acted is personal data, and error trackers show locals.
        del act
        raise InvalidInputError(problem, parameter="act")
    actors: list[dict[str, Any]] = []
    while act is not None:
        actors.append({name: value for name, value in act.items() if name != "act"})
        act = act.get("act")
    return tuple(actors)


def check_actors(act: object) -> str | None:
    """Return the rule that *act* breaks as the value of an ``act`` claim, or ``None``."""
    for _ in range(MAX_ACTORS):
        if not isinstance(act, Mapping):
            return _NOT_AN_OBJECT
        subject = act.get("sub")
        # RFC 8693 4.1 leaves the members open.  Auth0 requires sub at every level, and an
        # actor without it could not be identified.
        if not isinstance(subject, str) or not subject:
            return _NO_SUBJECT
        act = act.get("act")
        # Null too: no other claim makes a difference between null and absent.
        if act is None:
            return None
    return _TOO_MANY


_READ_FAILURES = (AttributeError, RecursionError, TypeError, ValueError)


def read_claimed_expiry(token: str | None) -> float:
    """Return when *token* claims to expire, in epoch seconds.

    Returns:
        Infinity for an opaque token and for a JWT without ``exp``; 0 for a JWT whose
        ``exp`` is not a date (RFC 7519 section 4.1.4), which may have expired already.
    """
    try:
        # RFC 7519 section 3: the second of a signed JWT's three parts holds the claims.
        # Lenient on purpose, with json.loads and any padding: this reads the caller's own
        # token to know how long it can be useful, and believes nothing in it.
        _, payload, _ = token.split(".")  # type: ignore[union-attr]
        expiry = json.loads(urlsafe_b64decode(payload + "==")).get("exp")
    except _READ_FAILURES:
        return inf
    if expiry is None:
        return inf
    return float(expiry) if is_date(expiry) else 0.0


LAST_SECOND = 253_402_300_799
"""The last second of the year 9999; ``datetime`` has no later date."""


def is_date(value: object) -> TypeGuard[int | float]:
    """Return whether *value* is a number of seconds that a calendar has."""
    # True is an int in Python, and JSON allows numbers far beyond any date.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= LAST_SECOND
