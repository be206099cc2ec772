"""The tenant's log: why an exchange went as it did, where replies say less.

Auth0 logs every exchange as `secte` or `fecte`; these hold the part that helps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen


@frozen(kw_only=True)
class LogEvent:
    """Hold one entry of the tenant's log.

    Args:
        type: "secte" for an exchange that succeeded, "fecte" for one that failed.
        date: When, in seconds of the tenant's clock.
        description: Why it failed, in full.
        client_id: The application's, if it authenticated.
        user_id: The user's, if the Action set one.
        subject_token_type: As requested.
        actor: What the Action set.
        metadata: What the Action kept with `api.transaction.set_metadata`.
        ip: The address the request is counted against.
    """

    type: Literal["secte", "fecte"]
    date: float
    description: str = ""
    client_id: str | None = None
    user_id: str | None = None
    subject_token_type: str | None = None
    actor: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(factory=dict)
    ip: str = ""
