"""The tenant's log: why a request went as it did, where replies say less.

The types are Auth0's; the entries hold the part that helps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen

LogType = Literal[
    "secte",
    "fecte",
    "sertft",
    "fertft",
    "ferrt",
    "srrt",
    "slo",
    "flo",
    "oidc_backchannel_logout_succeeded",
    "oidc_backchannel_logout_failed",
]


@frozen(kw_only=True)
class LogEvent:
    """Hold one entry of the tenant's log.

    Args:
        type: "secte" for a token exchange that succeeded, "fecte" for one that failed;
            "sertft" and "fertft" for a refresh, "ferrt" for one with a token already
            used; "srrt" for a revocation; "slo" and "flo" for a browser's logout, and
            the last two for a back-channel one.
        date: When, in seconds of the tenant's clock.
        description: Why it failed, in full.
        client_id: The application's, if it authenticated.
        user_id: The user's, if it is known.
        subject_token_type: As requested.
        actor: What the Action set.
        metadata: What the Action kept with `api.transaction.set_metadata`.
        ip: The address the request is counted against.
    """

    type: LogType
    date: float
    description: str = ""
    client_id: str | None = None
    user_id: str | None = None
    subject_token_type: str | None = None
    actor: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(factory=dict)
    ip: str = ""
