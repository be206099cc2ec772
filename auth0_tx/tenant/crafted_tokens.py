"""Tokens made for a test, outside any grant: what a client may be handed or sent.

The tenant signs them with its own keys, so that they verify, and a test chooses the
claims: an ID token that has expired, an access token with an actor, a logout token
without ``sub``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .state import TenantState
from .tokens import Grant, issue_access_token, sign_as_id_token, split_scope

_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
# OpenID Connect Back-Channel Logout 1.0 section 2.4: preferably at most two minutes.
_LOGOUT_TOKEN_LIFETIME = 120


def craft_id_token(
    state: TenantState,
    sub: str,
    audience: str,
    *,
    expires_in: float,
    claims: Mapping[str, Any],
) -> str:
    """Return an ID token.

    Args:
        state: The tenant.
        sub: The user it is for.
        audience: The client_id, whose algorithm signs; RS256 if it is unknown.
        expires_in: Its life in seconds; negative for one that has expired.
        claims: More claims, which replace its own.
    """
    now = int(state.clock())
    own_claims = {
        "iss": state.issuer,
        "sub": sub,
        "aud": audience,
        "iat": now,
        "exp": now + int(expires_in),
    }
    return sign_as_id_token(state, audience, {**own_claims, **claims})


def craft_access_token(
    state: TenantState,
    client_id: str,
    sub: str,
    audience: str,
    *,
    scope: str | None,
    actor: Mapping[str, Any] | None,
    expires_in: float,
) -> str:
    """Return a user's access token for an API.

    Args:
        state: The tenant.
        client_id: The application it is issued to.
        sub: The user.
        audience: The API's identifier.
        scope: Its scopes, separated by spaces; ``None`` for all that the API has.
        actor: The ``act`` claim, or ``None``.
        expires_in: Its life in seconds; negative for one that has expired.

    Raises:
        ValueError: The tenant has no such application, user or API.
    """
    application = state.applications.get(client_id)
    user, api = state.users.get(sub), state.apis.get(audience)
    if application is None:
        raise ValueError(f"the tenant has no application {client_id!r}")
    if user is None:
        raise ValueError(f"the tenant has no user {sub!r}")
    if api is None:
        raise ValueError(f"the tenant has no API {audience!r}")
    scopes = tuple(api.scopes) if scope is None else split_scope(scope)
    grant = Grant(
        application=application,
        user=user,
        api=api,
        requested_scopes=scopes,
        scopes=scopes,
        actor=actor,
    )
    return issue_access_token(state, grant, int(state.clock()), int(expires_in))


def craft_logout_token(
    state: TenantState,
    client_id: str,
    *,
    user_id: str | None,
    session_id: str | None,
    typ: str,
    changes: Mapping[str, Any],
) -> str:
    """Return a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4).

    Args:
        state: The tenant.
        client_id: The application, whose algorithm signs.
        user_id: Its ``sub``; ``None`` for none.
        session_id: Its ``sid``; ``None`` for none.
        typ: The ``typ`` in its header.
        changes: Claims that replace its own; one that is ``None`` is left out.
    """
    now = int(state.clock())
    claims: dict[str, Any] = {
        "iss": state.issuer,
        "sub": user_id,
        "sid": session_id,
        "aud": client_id,
        "iat": now,
        "exp": now + _LOGOUT_TOKEN_LIFETIME,
        "jti": state.new_id(),
        "events": {_LOGOUT_EVENT: {}},
        **changes,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    return sign_as_id_token(state, client_id, present, {"typ": typ})
