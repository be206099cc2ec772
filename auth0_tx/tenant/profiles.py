"""Token exchange profiles: which subject_token_type runs which Action.

Refuses at registration what Auth0's Management API refuses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from .action_api import ActionApi
from .action_event import Event

Action = Callable[[Event, ActionApi], None]

ID_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:id_token"

_RESERVED = (
    "http://auth0.com",
    "https://auth0.com",
    "http://okta.com",
    "https://okta.com",
    "urn:ietf",
    "urn:auth0",
    "urn:okta",
)
_URI = re.compile(r"(urn:|https?://)[!-~]+", re.IGNORECASE)
_SHORTEST, _LONGEST = 8, 100
_SHORTEST_NAME, _LONGEST_NAME = 3, 50
MOST_PROFILES = 100


def is_reserved(token_type: str, *, by_prefix: bool = False) -> bool:
    """Tell whether *token_type* lies in a namespace Auth0 keeps for itself.

    Args:
        token_type: A token type URI.
        by_prefix: Whether a longer name with the same beginning counts too.
    """
    lower = token_type.lower()
    for namespace in _RESERVED:
        if lower.startswith(namespace):
            rest = lower[len(namespace) :]
            if by_prefix or not rest or rest[0] in ":/?#":
                return True
    return False


def _token_type(instance: Any, attribute: Any, value: str) -> None:
    if not _SHORTEST <= len(value) <= _LONGEST:
        raise ValueError("subject_token_type must have 8 to 100 characters")
    if not _URI.fullmatch(value):
        raise ValueError("subject_token_type must be a URI: urn:, https:// or http://")


def _name(instance: Any, attribute: Any, value: str) -> None:
    if value and not _SHORTEST_NAME <= len(value) <= _LONGEST_NAME:
        raise ValueError("name must have 3 to 50 characters")


@frozen
class Profile:
    """Bind a subject_token_type to an Action.

    Args:
        subject_token_type: A URI of 8 to 100 characters outside the namespaces Auth0
            reserves.
        action: Called with the event and the api; None takes the default Action,
            which verifies `tenant.subject_token(...)`.
        name: Its name, of 3 to 50 characters.
        secrets: Handed to the Action as `event.secrets`, and kept out of every repr.
    """

    subject_token_type: str = field(validator=_token_type)
    action: Action | None = field(default=None, repr=False)
    name: str = field(default="", validator=_name)
    secrets: Mapping[str, str] = field(factory=dict, repr=False, kw_only=True)


def check_not_reserved(profile: Profile, *, by_prefix: bool) -> None:
    """Raise ValueError if *profile* claims a reserved namespace."""
    if is_reserved(profile.subject_token_type, by_prefix=by_prefix):
        raise ValueError(
            f"subject_token_type is in a reserved namespace: "
            f"{profile.subject_token_type}"
        )
