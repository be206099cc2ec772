"""The grant that redeems a refresh token, and the endpoint that revokes one.

Theory of operation. A refresh (RFC 6749 6) finds the token's record, checks that its
client, user, organization and API are still there, and narrows the scopes to those
granted before. If the application rotates its refresh tokens, the token is used up and
its successor is in the reply; the record of a used token stays, so that a second use is
noticed and ends the whole family (RFC 9700 4.14.2, ``refresh_tokens.py``). The checks
come first: a refresh that is refused must not use up the token.

Audiences other than the one first granted are those of Auth0's multi-resource refresh
tokens. Revocation (RFC 7009) ends the token's family.
"""

from __future__ import annotations

from attrs import evolve

from .applications import Application
from .client_authentication import AuthenticatedClient, authenticate_client
from .directory import Api, Organization, User
from .exchange_request import find_caller_address
from .http_messages import ReceivedRequest, Reply
from .parameters import Parameters, parse_parameters
from .refresh_tokens import RefreshToken, ReusedRefreshToken, UnknownRefreshToken
from .state import LogEvent, TenantState
from .subjects import check_membership
from .tokens import OIDC_SCOPES, Grant, issue_tokens, split_scope
from .wording import RequestRefused

REVOCATION_PATH = "/oauth/revoke"


def redeem_refresh_token(
    state: TenantState,
    request: ReceivedRequest,
    client: AuthenticatedClient,
    parameters: Parameters,
) -> Reply:
    """Answer a refresh.

    Raises:
        RequestRefused: The token is invalid, belongs to another client, or its user may
            not have tokens any more.
    """
    entry = LogEvent(
        type="fertft",
        date=state.clock(),
        client_id=client.application.client_id,
        ip=find_caller_address(request, client),
    )
    try:
        grant = _settle_grant(state, client.application, parameters)
        successor = _rotate_token(state, client.application, parameters)
    except RequestRefused as refused:
        reused = isinstance(refused.__cause__, ReusedRefreshToken)
        # Auth0 logs a reuse under a type of its own: it may mean a stolen token.
        failed = evolve(entry, type="ferrt") if reused else entry
        state.logs.append(evolve(failed, description=refused.log))
        raise
    state.logs.append(evolve(entry, type="sertft", user_id=grant.user.user_id))
    # RFC 6749 6: without a new refresh token the client keeps the one it has.
    members = {} if successor is None else {"refresh_token": successor.token}
    # Auth0's samples of this grant always have the scope.
    return issue_tokens(state, grant, {**members, "scope": " ".join(grant.scopes)})


def _settle_grant(
    state: TenantState, application: Application, parameters: Parameters
) -> Grant:
    record = state.refresh_tokens.get(parameters.require("refresh_token"))
    # RFC 6749 5.2: a token that was issued to another client is invalid, too.
    if record is None or record.client_id != application.client_id:
        raise _unknown_token(state)
    user, organization = _find_user_and_organization(state, record)
    requested = split_scope(parameters.get("scope"))
    audience = parameters.get("audience")
    api = state.apis.get(record.audience)
    allowed = record.scopes
    if audience is not None and audience != record.audience:
        other = _find_other_api(state, application, audience)
        if other is not None:
            api, api_scopes = other
            oidc_scopes = (scope for scope in record.scopes if scope in OIDC_SCOPES)
            allowed = (*oidc_scopes, *api_scopes)
    # RFC 6749 6: without scope, those granted before; with scope, never more of them.
    scopes = tuple(scope for scope in requested or allowed if scope in allowed)
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


def _find_user_and_organization(
    state: TenantState, record: RefreshToken
) -> tuple[User, Organization | None]:
    user = state.users.get(record.user_id)
    organization = state.organizations.get(record.organization)
    api_removed = record.audience is not None and record.audience not in state.apis
    organization_removed = record.organization is not None and organization is None
    # Auth0 removes the refresh tokens of whatever it removes.
    if user is None or api_removed or organization_removed:
        raise _unknown_token(state)
    if user.blocked:
        raise state.wording.user_blocked.to_exception()
    if organization is not None:
        check_membership(state, organization, user, may_join=False)
    return user, organization


def _find_other_api(
    state: TenantState, application: Application, audience: str
) -> tuple[Api, tuple[str, ...]] | None:
    """Return another API and its scopes that the client may have, or ``None``."""
    api, policies = state.apis.get(audience), application.refresh_token_policies
    if api is not None and application.first_party and api.skip_consent:
        if policies is None:
            return api, api.scopes
        if audience in policies:
            scopes = (scope for scope in policies[audience] if scope in api.scopes)
            return api, tuple(scopes)
    if state.settings.refuse_other_refresh_audience:
        raise state.wording.unknown_audience.to_exception(audience=audience)
    # Auth0 does not refuse: it answers with a token for the audience first granted. A
    # client must look at the token it gets.
    return None


def _rotate_token(
    state: TenantState, application: Application, parameters: Parameters
) -> RefreshToken | None:
    """Use the token up and return its successor, or ``None`` if it stays valid."""
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
        raise _unknown_token(state) from None
    except ReusedRefreshToken as error:
        # The same reply as for an unknown token: a thief learns nothing.
        refused = _unknown_token(state)
        refused.log = "Reused rotating refresh token detected, revoked the family"
        raise refused from error


def _unknown_token(state: TenantState) -> RequestRefused:
    return state.wording.unknown_refresh_token.to_exception()


def answer_revocation(state: TenantState, request: ReceivedRequest) -> Reply:
    """Answer a revocation (RFC 7009): 200 also for a token that is unknown."""
    try:
        _revoke_token(state, request)
    except RequestRefused as refused:
        return refused.reply
    return Reply(200)


def _revoke_token(state: TenantState, request: ReceivedRequest) -> None:
    parameters = parse_parameters(
        request,
        state.wording,
        refuse_repeated=state.settings.refuse_repeated_parameters,
    )
    client_id = authenticate_client(state, request, parameters).application.client_id
    token = parameters.require("token")
    record = state.refresh_tokens.get(token)
    # RFC 7009 2.1: only its own client may revoke a token; 2.2: an invalid one is not
    # an error. Another client's token looks invalid: the client must learn nothing of
    # it.
    if record is None or record.client_id != client_id:
        return
    state.refresh_tokens.revoke(token)
    state.logs.append(
        LogEvent(
            type="srrt",
            date=state.clock(),
            client_id=client_id,
            user_id=record.user_id,
            ip=request.client_address[0],
        )
    )
