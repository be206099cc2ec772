"""On-behalf-of token exchange: an API exchanges the access token that it was called with.

No Action of a profile runs; the tenant itself checks the token and names who acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import jwts
from .client_authentication import AuthenticatedClient
from .directory import Api, Organization, User
from .http_messages import Reply
from .membership import admit
from .parameters import Parameters
from .state import TenantState
from .tokens import ACCESS_TOKEN_TYPE, Grant, split_scope, token_reply
from .wording import Refused

_MOST_BEHIND = 4
"""How many may have acted before."""


def is_on_behalf_of(parameters: Parameters) -> bool:
    """Tell whether an exchange is of this kind, and not of a profile's."""
    types = (
        parameters.get("subject_token_type"),
        parameters.get("requested_token_type"),
    )
    return types == (ACCESS_TOKEN_TYPE, ACCESS_TOKEN_TYPE)


def exchange_on_behalf_of(
    state: TenantState, client: AuthenticatedClient, parameters: Parameters
) -> Reply:
    """Answer an on-behalf-of exchange.

    Raises:
        Refused: The client, the token, or what is asked for does not fit.
    """
    application = client.application
    own_api = application.resource_server_identifier
    if own_api is None or client.method == "none":
        raise state.wording.not_a_resource_server.refused()
    claims = _verified(state, parameters.require("subject_token"), own_api)
    user = _user(state, claims)
    asked = split_scope(parameters.get("scope"))
    api, scopes = _granted(state, client, parameters, asked)
    grant = Grant(
        application=application,
        user=user,
        api=api,
        requested_scopes=asked,
        scopes=scopes,
        organization=_organization(state, claims, user),
        actor=_actor(state, application.client_id, claims.get("act")),
    )
    return token_reply(state, grant, {"issued_token_type": ACCESS_TOKEN_TYPE})


def _verified(state: TenantState, token: str, audience: str) -> Mapping[str, Any]:
    try:
        key = state.keys.find(jwts.peek(token).header.get("kid"))
        if key is None:
            raise _invalid(state, "it is not of this tenant")
        claims = jwts.verify(token, key.key, frozenset({key.algorithm})).claims
    except jwts.InvalidJwt:
        raise _invalid(state, "it is no access token that can be read") from None
    said = claims.get("aud")
    audiences = [said] if isinstance(said, str) else said or []
    if claims.get("iss") != state.issuer or audience not in audiences:
        raise _invalid(state, "it is not for the API of this client")
    if claims.get("exp", 0) <= state.clock():
        raise _invalid(state, "it has expired")
    return claims


def _user(state: TenantState, claims: Mapping[str, Any]) -> User:
    user = state.users.get(claims.get("sub"))
    if user is None:
        raise _invalid(state, "it is not a user's")
    if user.blocked:
        raise state.wording.user_blocked.refused()
    return user


def _granted(
    state: TenantState,
    client: AuthenticatedClient,
    parameters: Parameters,
    asked: tuple[str, ...],
) -> tuple[Api, tuple[str, ...]]:
    audience = parameters.require("audience")
    api = state.apis.get(audience)
    if api is None:
        raise state.wording.unknown_audience.refused(audience=audience)
    grants = client.application.on_behalf_of_grants
    allowed = api.scopes if grants is None else grants.get(audience, ())
    scopes = tuple(scope for scope in asked or allowed if scope in allowed)
    if not scopes and (asked or grants is not None):
        raise state.wording.on_behalf_of_denied.refused(audience=audience)
    return api, scopes


def _organization(
    state: TenantState, claims: Mapping[str, Any], user: User
) -> Organization | None:
    organization = state.organizations.get(claims.get("org_id"))
    if organization is not None:
        admit(state, organization, user, arrives=False)
    return organization


def _actor(state: TenantState, client_id: str, before: Any) -> Mapping[str, Any]:
    behind, each = 0, before
    while isinstance(each, Mapping):
        behind, each = behind + 1, each.get("act")
    if behind >= _MOST_BEHIND:
        raise state.wording.delegation_chain.refused()
    return {"sub": client_id} if before is None else {"sub": client_id, "act": before}


def _invalid(state: TenantState, reason: str) -> Refused:
    return state.wording.invalid_access_token.refused(reason=reason)
