"""The ``act`` claim (RFC 8693 section 4.1): who acts for the subject of a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InvalidInputError

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
