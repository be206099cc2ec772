"""Claims that more than one kind of token has: dates, expiry, and the actors in ``act``."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from math import inf
from typing import Any, TypeGuard

from ...errors import InvalidInputError

MAX_ACTORS = 8
"""Actors a token may name; Auth0 itself issues no more than five."""

_NOT_AN_OBJECT = "act is not an object (RFC 8693 section 4.1)"
_NO_SUBJECT = "act has no sub that is a string with something in it"
_TOO_MANY = f"act names more than {MAX_ACTORS} actors"


def actor_chain(act: Mapping[str, Any] | None) -> tuple[dict[str, Any], ...]:
    """List the actors of an ``act`` claim, each without the ``act`` nested in it.

    The first is the current actor, and the only one that an access decision may rest
    upon; the others acted before it, the earliest last (RFC 8693 section 4.1).

    Args:
        act: the claim, or None where the token has none.

    Raises:
        InvalidInputError: *act* is not such a claim.
    """
    problem = None if act is None else actor_problem(act)
    if problem is not None:
        # A traceback that shows locals must not show who acted.
        del act
        raise InvalidInputError(problem, parameter="act")
    actors: list[dict[str, Any]] = []
    while act is not None:
        actors.append({name: value for name, value in act.items() if name != "act"})
        act = act.get("act")
    return tuple(actors)


def actor_problem(act: object) -> str | None:
    """Give the rule that *act* breaks as the value of an ``act`` claim, or None."""
    for _ in range(MAX_ACTORS):
        if not isinstance(act, Mapping):
            return _NOT_AN_OBJECT
        subject = act.get("sub")
        # Auth0 requires sub at every level; without it nobody is named.
        if not isinstance(subject, str) or not subject:
            return _NO_SUBJECT
        if "act" not in act:
            return None
        act = act["act"]
    return _TOO_MANY


_READ_FAILURES = (AttributeError, RecursionError, TypeError, ValueError)


def read_claimed_expiry(token: str | None) -> float:
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


LAST_SECOND = 253_402_300_799
"""The end of the year 9999, after which a date is no datetime."""


def is_date(value: object) -> TypeGuard[int | float]:
    """Tell whether *value* is a number, and in some calendar."""
    # To Python True is a number too, and JSON has numbers that have no end.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= LAST_SECOND


def is_whole_date(value: object) -> TypeGuard[int]:
    """Tell whether *value* is a date without a fraction, as this library writes them."""
    return type(value) is int and 0 <= value <= LAST_SECOND
