"""Custom claims: what an Action may add to tokens, and what it may not touch. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What the tenant itself says. Auth0 ignores such a claim, and refuses nothing.
_RESTRICTED = frozenset(
    {
        *("act", "at_hash", "aud", "auth_time", "azp", "c_hash", "client_id", "cnf"),
        *("events", "exp", "gty", "iat", "iss", "jti", "nbf", "nonce", "org_id"),
        *("org_name", "permissions", "scope", "sub"),
    }
)


def without_restricted(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return *claims* but those that are the tenant's alone to say."""
    return {name: claims[name] for name in claims if name not in _RESTRICTED}
