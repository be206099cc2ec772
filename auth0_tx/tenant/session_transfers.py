"""Session transfer tokens: an actor's way into another application, as the user, once.

A token exchange for the audience `urn:<tenant's domain>:session_transfer` gives one, if
its Action sets an actor. What Auth0's /authorize does with it, the tenant's
`redeem_session_transfer_token` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

TOKEN_TYPE = "urn:auth0:params:oauth:token-type:session_transfer_token"
LIFETIME = 60


@frozen(kw_only=True)
class SessionTransfer:
    """Hold what a session transfer token stands for.

    Args:
        client_id: The application it was issued to.
        user_id: As whom it lets in.
        actor: Whom it lets in; the `act` claim of the session to come.
        organization: The id of the organization it is for, or None.
        ip: The address it was issued to, which Auth0 may bind it to.
        expires_at: In seconds of the tenant's clock.
    """

    client_id: str
    user_id: str
    actor: Mapping[str, Any] = field(repr=False)
    organization: str | None
    ip: str
    expires_at: float
