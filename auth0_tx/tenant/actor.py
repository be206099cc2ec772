"""The `act` claim an Action may set: Auth0's limits, in its own words. Pure.

RFC 8693 4.1: the outermost level is the current actor, nested ones are history.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LEVELS = 5
_LONGEST_SUB = 512
_CUSTOM_PROPERTIES = 5
_LONGEST_KEY = _LONGEST_VALUE = 64
_OWN = frozenset({"sub", "act", "type"})


def checked_actor(actor: Any) -> dict[str, Any]:
    """Return a copy of *actor*, which keeps to every limit.

    Raises:
        ValueError: It does not; the message is Auth0's.
    """
    if not isinstance(actor, Mapping):
        raise ValueError("The actor must be a plain object.")
    return _checked(actor, 1)


def _checked(actor: Mapping[str, Any], level: int) -> dict[str, Any]:
    if level > _LEVELS:
        raise ValueError(f"Actor nesting must not exceed {_LEVELS} levels.")
    sub = actor.get("sub")
    if not isinstance(sub, str) or not sub:
        raise ValueError("The actor object must contain a sub claim.")
    if len(sub) > _LONGEST_SUB:
        raise ValueError(
            "Invalid setActor arguments: sub must NOT have more than "
            f"{_LONGEST_SUB} characters"
        )
    _check_custom({name: actor[name] for name in actor if name not in _OWN})
    checked = dict(actor)
    if "act" in actor:
        if not isinstance(actor["act"], Mapping):
            raise ValueError("The act claim must be a plain object.")
        checked["act"] = _checked(actor["act"], level + 1)
    return checked


def _check_custom(custom: Mapping[str, Any]) -> None:
    if len(custom) > _CUSTOM_PROPERTIES:
        raise ValueError(
            f"No more than {_CUSTOM_PROPERTIES} custom properties are allowed in the "
            "actor object."
        )
    for key, value in custom.items():
        if not isinstance(value, (str, bool, int, float)):
            raise ValueError(
                "Custom property in an actor object must be a string, number, or "
                "boolean."
            )
        if len(key) > _LONGEST_KEY:
            raise ValueError(
                "Custom property key in an actor object must NOT have more than "
                f"{_LONGEST_KEY} characters."
            )
        if isinstance(value, str) and len(value) > _LONGEST_VALUE:
            raise ValueError(
                "Custom string property value in an actor object must NOT have more "
                f"than {_LONGEST_VALUE} characters."
            )
