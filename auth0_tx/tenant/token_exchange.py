"""The token exchange grant (RFC 8693) as Auth0's Custom Token Exchange has it, and the other.

Checks the request, runs the profile's Action, acts on what it decided, and logs.
"""

from __future__ import annotations

from attrs import evolve

from .action_api import Decisions
from .action_run import run_action
from .client_authentication import AuthenticatedClient
from .exchange_request import ExchangeRequest, caller_address, checked_request
from .http_messages import ReceivedRequest, Reply
from .logs import LogEvent
from .membership import settled_organization
from .on_behalf_of import exchange_on_behalf_of, is_on_behalf_of
from .parameters import Parameters
from .session_transfer_reply import check_actor, session_transfer_reply
from .state import TenantState
from .subjects import settled_user
from .tokens import (
    ACCESS_TOKEN_TYPE,
    Grant,
    first_refresh_token,
    granted_scopes,
    token_reply,
)
from .wording import Refused


def exchange(
    state: TenantState,
    request: ReceivedRequest,
    client: AuthenticatedClient,
    parameters: Parameters,
) -> Reply:
    """Answer a token exchange.

    Raises:
        Refused: A rule of the tenant, or the Action, refuses it.
    """
    ip, decisions = caller_address(request, client), Decisions()
    entry = LogEvent(
        type="fecte",
        date=state.clock(),
        client_id=client.application.client_id,
        subject_token_type=parameters.get("subject_token_type"),
        ip=ip,
    )
    try:
        if is_on_behalf_of(parameters):
            reply = exchange_on_behalf_of(state, client, parameters)
            state.logs.append(evolve(entry, type="secte"))
            return reply
        asked = checked_request(state, client, parameters, ip)
        run_action(state, request, asked, decisions)
        grant = _granted(state, asked, decisions)
        if asked.session_transfer:
            check_actor(state, grant)
    except Refused as refused:
        _log(state, evolve(entry, description=refused.log), decisions)
        raise
    _log(state, evolve(entry, type="secte", user_id=grant.user.user_id), decisions)
    if asked.session_transfer:
        return session_transfer_reply(state, grant, ip)
    members = {"issued_token_type": ACCESS_TOKEN_TYPE}
    if "offline_access" in grant.scopes:
        members["refresh_token"] = first_refresh_token(state, grant).token
    return token_reply(state, grant, members)


def _granted(state: TenantState, asked: ExchangeRequest, decisions: Decisions) -> Grant:
    application = asked.client.application
    organization = settled_organization(
        state, application, asked.organization, decisions.organization
    )
    user = settled_user(state, application, decisions.user, organization)
    acting, sent = decisions.actor is not None, asked.actor_token is not None
    if user.mfa:
        if acting or sent:
            raise state.wording.mfa_with_actor.refused()
        members = {"mfa_token": f"Fe26.2*{state.new_id()}"}
        raise state.wording.mfa_required.refused(members=members)
    # One page of Auth0's withholds refresh tokens when an actor is set, another when an
    # actor_token is sent.
    by_token = state.settings.actor_token_withholds_refresh_token and sent
    session = {"sid": state.new_id()} if state.settings.session_ids else {}
    return Grant(
        application=application,
        user=user,
        api=asked.api,
        requested_scopes=asked.scopes,
        scopes=granted_scopes(
            application, asked.api, asked.scopes, refreshable=not (acting or by_token)
        ),
        organization=organization,
        actor=decisions.actor,
        id_token_claims={**session, **decisions.id_token_claims},
        access_token_claims=decisions.access_token_claims,
    )


def _log(state: TenantState, entry: LogEvent, decisions: Decisions) -> None:
    state.logs.append(
        evolve(entry, actor=decisions.actor, metadata=dict(decisions.metadata))
    )
