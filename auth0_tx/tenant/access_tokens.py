"""What an access token stands for, be it opaque or read from a JWT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen


@frozen(kw_only=True)
class AccessToken:
    """Hold what an access token lets its bearer have at /userinfo.

    Args:
        user_id: For whom.
        scopes: As granted.
        actor: The `act` claim, if any.
        expires_at: In seconds of the tenant's clock.
    """

    user_id: str
    scopes: tuple[str, ...]
    actor: Mapping[str, Any] | None = field(repr=False)
    expires_at: float
