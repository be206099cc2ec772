"""The ``act`` claim that an Action may set: Auth0's limits, in its own words. Pure.

RFC 8693 4.1: the outermost level is the current actor, the levels inside it are those
who acted before. The numbers and messages are those of Auth0's published validators for
``setActor``: an Action that the tenant accepts must not fail there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MAX_LEVELS = 5
_MAX_SUB_LENGTH = 512
_MAX_CUSTOM_PROPERTIES = 5
_MAX_KEY_LENGTH = 64
_MAX_VALUE_LENGTH = 64
_STANDARD_MEMBERS = frozenset({"sub", "act", "type"})


def copy_valid_actor(actor: Any) -> dict[str, Any]:
    """Return a copy of ``actor``, which keeps within every limit.

    Raises:
        ValueError: It does not; the message is Auth0's.
    """
    if not isinstance(actor, Mapping):
        raise ValueError("The actor must be a plain object.")
    return _copy_level(actor, 1)


def _copy_level(actor: Mapping[str, Any], level: int) -> dict[str, Any]:
    if level > _MAX_LEVELS:
        raise ValueError(f"Actor nesting must not exceed {_MAX_LEVELS} levels.")
    sub = actor.get("sub")
    if not isinstance(sub, str) or not sub:
        raise ValueError("The actor object must contain a sub claim.")
    if len(sub) > _MAX_SUB_LENGTH:
        raise ValueError(
            "Invalid setActor arguments: sub must NOT have more than "
            f"{_MAX_SUB_LENGTH} characters"
        )
    _check_custom_properties(
        {name: actor[name] for name in actor if name not in _STANDARD_MEMBERS}
    )
    # A copy: the Action may change its dictionary after the call.
    copied = dict(actor)
    if "act" in actor:
        if not isinstance(actor["act"], Mapping):
            raise ValueError("The act claim must be a plain object.")
        copied["act"] = _copy_level(actor["act"], level + 1)
    return copied


def _check_custom_properties(custom: Mapping[str, Any]) -> None:
    if len(custom) > _MAX_CUSTOM_PROPERTIES:
        raise ValueError(
            f"No more than {_MAX_CUSTOM_PROPERTIES} custom properties are allowed in "
            "the actor object."
        )
    for key, value in custom.items():
        if not isinstance(value, (str, bool, int, float)):
            raise ValueError(
                "Custom property in an actor object must be a string, number, or "
                "boolean."
            )
        if len(key) > _MAX_KEY_LENGTH:
            raise ValueError(
                "Custom property key in an actor object must NOT have more than "
                f"{_MAX_KEY_LENGTH} characters."
            )
        if isinstance(value, str) and len(value) > _MAX_VALUE_LENGTH:
            raise ValueError(
                "Custom string property value in an actor object must NOT have more "
                f"than {_MAX_VALUE_LENGTH} characters."
            )
