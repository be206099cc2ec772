"""The refresh token grant (RFC 6749 6) as Auth0 has it.

Audiences other than the one first granted are those of multi-resource refresh tokens.
"""

from __future__ import annotations

from attrs import evolve

from .applications import Application
from .client_authentication import AuthenticatedClient
from .directory import Api, Organization, User
from .exchange_request import caller_address
from .http_messages import ReceivedRequest, Reply
from .logs import LogEvent
from .membership import admit
from .parameters import Parameters
from .refresh_tokens import RefreshToken, ReusedRefreshToken, UnknownRefreshToken
from .state import TenantState
from .tokens import OIDC_SCOPES, Grant, split_scope, token_reply
from .wording import Refused


def refresh(
    state: TenantState,
    request: ReceivedRequest,
    client: AuthenticatedClient,
    parameters: Parameters,
) -> Reply:
    """Answer a refresh.

    Raises:
        Refused: The token is not good, not the client's, or its user's no more.
    """
    entry = LogEvent(
        type="fertft",
        date=state.clock(),
        client_id=client.application.client_id,
        ip=caller_address(request, client),
    )
    try:
        grant = _granted(state, client.application, parameters)
        successor = _redeemed(state, client.application, parameters)
    except Refused as refused:
        reused = isinstance(refused.__cause__, ReusedRefreshToken)
        kind = evolve(entry, type="ferrt") if reused else entry
        state.logs.append(evolve(kind, description=refused.log))
        raise
    state.logs.append(evolve(entry, type="sertft", user_id=grant.user.user_id))
    members = {} if successor is None else {"refresh_token": successor.token}
    # Auth0's samples of this grant have the scope always.
    return token_reply(state, grant, {**members, "scope": " ".join(grant.scopes)})


def _granted(
    state: TenantState, application: Application, parameters: Parameters
) -> Grant:
    record = state.refresh_tokens.get(parameters.require("refresh_token"))
    # RFC 6749 5.2: one issued to another client is as invalid as none.
    if record is None or record.client_id != application.client_id:
        raise _unknown(state)
    user, organization = _still_there(state, record)
    asked = split_scope(parameters.get("scope"))
    audience = parameters.get("audience")
    api = state.apis.get(record.audience)
    allowed = record.scopes
    if audience is not None and audience != record.audience:
        other = _other_api(state, application, audience)
        if other is not None:
            api, names = other
            allowed = (*(s for s in record.scopes if s in OIDC_SCOPES), *names)
    # RFC 6749 6: the scopes granted before where none are asked for, and never more.
    scopes = tuple(scope for scope in asked or allowed if scope in allowed)
    return Grant(
        application=application,
        user=user,
        api=api,
        requested_scopes=scopes,
        scopes=scopes,
        organization=organization,
        id_token_claims=record.id_token_claims,
        access_token_claims=record.access_token_claims,
        grant_type="refresh_token",
    )


def _still_there(
    state: TenantState, record: RefreshToken
) -> tuple[User, Organization | None]:
    user = state.users.get(record.user_id)
    organization = state.organizations.get(record.organization)
    gone = record.audience is not None and record.audience not in state.apis
    # Auth0 removes the refresh tokens of what it removes.
    if user is None or gone or (record.organization and organization is None):
        raise _unknown(state)
    if user.blocked:
        raise state.wording.user_blocked.refused()
    if organization is not None:
        admit(state, organization, user, arrives=False)
    return user, organization


def _other_api(
    state: TenantState, application: Application, audience: str
) -> tuple[Api, tuple[str, ...]] | None:
    """Return another API and its scopes that the client may have; None: it may not."""
    api, policies = state.apis.get(audience), application.refresh_token_policies
    refused = not application.first_party or api is None or not api.skip_consent
    if api is not None and not refused and policies is None:
        return api, api.scopes
    if api is not None and not refused and policies and audience in policies:
        return api, tuple(s for s in policies[audience] if s in api.scopes)
    if state.settings.refuse_other_refresh_audience:
        raise state.wording.unknown_audience.refused(audience=audience)
    # As at Auth0, whose answer is then a token for the audience first granted.
    return None


def _redeemed(
    state: TenantState, application: Application, parameters: Parameters
) -> RefreshToken | None:
    """Use the token up and return its successor; None where it stays good."""
    token = parameters.require("refresh_token")
    if not application.rotating_refresh_tokens:
        return None
    try:
        return state.refresh_tokens.rotate(
            token,
            now=state.clock(),
            leeway=application.refresh_token_leeway,
            new_id=state.new_id,
        )
    except UnknownRefreshToken:  # pragma: no cover - its family ended meanwhile
        raise _unknown(state) from None
    except ReusedRefreshToken as error:
        refused = _unknown(state)
        refused.log = "Reused rotating refresh token detected, revoked the family"
        raise refused from error


def _unknown(state: TenantState) -> Refused:
    return state.wording.unknown_refresh_token.refused()
