"""On-Behalf-Of token exchange: an API exchanges the access token it was called with.

No profile and no Action take part: the tenant verifies the access token itself, and the
exchanging client becomes the actor. The new token is for the same user, within the same
organization, and for another API. Each exchange adds a level to the ``act`` claim (RFC
8693 4.1), so that the chain of services that a call has passed can be read from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import jwts
from .client_authentication import AuthenticatedClient
from .directory import Api, Organization, User
from .http_messages import Reply
from .parameters import Parameters
from .state import TenantState
from .subjects import check_membership
from .tokens import ACCESS_TOKEN_TYPE, Grant, issue_tokens, split_scope
from .wording import RequestRefused

# How many actors the token may name already; Auth0 documents the limit.
_MAX_EARLIER_ACTORS = 4


def is_on_behalf_of(parameters: Parameters) -> bool:
    """Return whether an exchange is of this kind, and not one of a profile.

    Auth0 requires requested_token_type here, and refuses it with a profile.
    """
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
        RequestRefused: The client, the token or the request breaks a rule.
    """
    application = client.application
    own_api = application.resource_server_identifier
    # Only the API that the token was issued for may exchange it, and has to prove that
    # it is that API.
    if own_api is None or client.method == "none":
        raise state.wording.not_a_resource_server.to_exception()
    claims = _verify_access_token(state, parameters.require("subject_token"), own_api)
    user = _find_user(state, claims)
    requested_scopes = split_scope(parameters.get("scope"))
    api, scopes = _find_api_and_scopes(state, client, parameters, requested_scopes)
    grant = Grant(
        application=application,
        user=user,
        api=api,
        requested_scopes=requested_scopes,
        scopes=scopes,
        organization=_find_organization(state, claims, user),
        actor=_add_actor(state, application.client_id, claims.get("act")),
    )
    return issue_tokens(state, grant, {"issued_token_type": ACCESS_TOKEN_TYPE})


def _verify_access_token(
    state: TenantState, token: str, audience: str
) -> Mapping[str, Any]:
    try:
        key = state.keys.find(jwts.peek(token).header.get("kid"))
        if key is None:
            raise _invalid_token(state, "it was not issued by this tenant")
        claims = jwts.verify(token, key.key, frozenset({key.algorithm})).claims
    except jwts.InvalidJwt:
        raise _invalid_token(state, "it is not a valid JWT") from None
    aud = claims.get("aud")
    # RFC 7519 4.1.3: a string or an array of strings.
    audiences = [aud] if isinstance(aud, str) else aud or []
    # RFC 8693 5: a token must not be exchanged by anyone who happens to have seen it.
    if claims.get("iss") != state.issuer or audience not in audiences:
        raise _invalid_token(state, "it was not issued for the API of this client")
    if claims.get("exp", 0) <= state.clock():
        raise _invalid_token(state, "it has expired")
    return claims


def _find_user(state: TenantState, claims: Mapping[str, Any]) -> User:
    user = state.users.get(claims.get("sub"))
    # A token of the client credentials grant has no user.
    if user is None:
        raise _invalid_token(state, "it is not the token of a user")
    if user.blocked:
        raise state.wording.user_blocked.to_exception()
    return user


def _find_api_and_scopes(
    state: TenantState,
    client: AuthenticatedClient,
    parameters: Parameters,
    requested: tuple[str, ...],
) -> tuple[Api, tuple[str, ...]]:
    audience = parameters.require("audience")
    api = state.apis.get(audience)
    if api is None:
        raise state.wording.unknown_audience.to_exception(audience=audience)
    # The client's grants limit the scopes, not those of the token it was called with.
    grants = client.application.on_behalf_of_grants
    allowed = api.scopes if grants is None else grants.get(audience, ())
    scopes = tuple(scope for scope in requested or allowed if scope in allowed)
    if not scopes and (requested or grants is not None):
        raise state.wording.on_behalf_of_denied.to_exception(audience=audience)
    return api, scopes


def _find_organization(
    state: TenantState, claims: Mapping[str, Any], user: User
) -> Organization | None:
    organization = state.organizations.get(claims.get("org_id"))
    # Checked again: the user may have left since the token was issued.
    if organization is not None:
        check_membership(state, organization, user, may_join=False)
    return organization


def _add_actor(state: TenantState, client_id: str, earlier: Any) -> Mapping[str, Any]:
    """Return the ``act`` claim with this client outermost (RFC 8693 4.1)."""
    depth, actor = 0, earlier
    while isinstance(actor, Mapping):
        depth, actor = depth + 1, actor.get("act")
    if depth >= _MAX_EARLIER_ACTORS:
        raise state.wording.delegation_chain.to_exception()
    if earlier is None:
        return {"sub": client_id}
    return {"sub": client_id, "act": earlier}


def _invalid_token(state: TenantState, reason: str) -> RequestRefused:
    return state.wording.invalid_access_token.to_exception(reason=reason)
