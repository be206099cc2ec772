"""Token exchange profiles: which subject_token_type runs which Action.

A profile is checked when it is added, against the limits of Auth0's Management API: a
test must not pass with a profile that cannot be created there.
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
# As in the schema of the Management API; nextjs-auth0 asks for ten characters.
_MIN_TYPE_LENGTH, _MAX_TYPE_LENGTH = 8, 100
_MIN_NAME_LENGTH, _MAX_NAME_LENGTH = 3, 50
# Auth0's entity limit for one tenant.
MAX_PROFILES = 100


def is_reserved(token_type: str, *, by_prefix: bool = False) -> bool:
    """Return whether ``token_type`` lies in a namespace that Auth0 reserves.

    Args:
        token_type: A token type URI.
        by_prefix: Whether a longer name with the same beginning counts too.
    """
    lower = token_type.lower()
    for namespace in _RESERVED:
        if lower.startswith(namespace):
            rest = lower[len(namespace) :]
            # Auth0 documents bare namespaces; whether https://auth0.com.example is in
            # one is not known, and so it is a setting.
            if by_prefix or not rest or rest[0] in ":/?#":
                return True
    return False


def _check_token_type(instance: Any, attribute: Any, value: str) -> None:
    if not _MIN_TYPE_LENGTH <= len(value) <= _MAX_TYPE_LENGTH:
        raise ValueError("subject_token_type must have 8 to 100 characters")
    if not _URI.fullmatch(value):
        raise ValueError("subject_token_type must be a URI: urn:, https:// or http://")


def _check_name(instance: Any, attribute: Any, value: str) -> None:
    if value and not _MIN_NAME_LENGTH <= len(value) <= _MAX_NAME_LENGTH:
        raise ValueError("name must have 3 to 50 characters")


@frozen
class Profile:
    """A token exchange profile: the Action that a subject_token_type runs.

    Args:
        subject_token_type: A URI of 8 to 100 characters outside the namespaces that
            Auth0 reserves.
        action: Called with the event and the api; ``None`` for the default Action,
            which verifies ``tenant.subject_token(...)``.
        name: Its name, of 3 to 50 characters.
        secrets: Handed to the Action as ``event.secrets``, and kept out of every repr.
    """

    subject_token_type: str = field(validator=_check_token_type)
    action: Action | None = field(default=None, repr=False)
    name: str = field(default="", validator=_check_name)
    secrets: Mapping[str, str] = field(factory=dict, repr=False, kw_only=True)


def check_not_reserved(profile: Profile, *, by_prefix: bool) -> None:
    """Raise ``ValueError`` if the profile's type is in a reserved namespace."""
    if is_reserved(profile.subject_token_type, by_prefix=by_prefix):
        raise ValueError(
            f"subject_token_type is in a reserved namespace: "
            f"{profile.subject_token_type}"
        )
