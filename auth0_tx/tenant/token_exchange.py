"""The token exchange grant (RFC 8693): Auth0's Custom Token Exchange, and On-Behalf-Of.

Theory of operation. The two kinds are told apart by their token types. An on-behalf-of
exchange runs no Action (``on_behalf_of.py``). Any other exchange is checked
(``exchange_request.py``), its profile's Action runs and decides for whom tokens are
issued (``action_run.py``), and the tenant settles the decisions: organization, user,
second factor, scopes. Then it issues the tokens, or a session transfer token instead.

Every exchange is logged once, refused or not, and before its tokens are issued: the log
is what a test looks at to learn why, as an administrator does at Auth0.
"""

from __future__ import annotations

from attrs import evolve

from .action_api import Decisions
from .action_run import check_decisions, run_action
from .client_authentication import AuthenticatedClient
from .exchange_request import (
    ExchangeRequest,
    check_exchange_request,
    find_caller_address,
)
from .http_messages import ReceivedRequest, Reply
from .on_behalf_of import exchange_on_behalf_of, is_on_behalf_of
from .parameters import Parameters
from .session_transfer import check_actor, issue_session_transfer
from .state import LogEvent, TenantState
from .subjects import resolve_organization, resolve_user
from .tokens import (
    ACCESS_TOKEN_TYPE,
    Grant,
    filter_scopes,
    issue_refresh_token,
    issue_tokens,
)
from .wording import RequestRefused


def exchange_token(
    state: TenantState,
    request: ReceivedRequest,
    client: AuthenticatedClient,
    parameters: Parameters,
) -> Reply:
    """Answer a token exchange.

    Raises:
        RequestRefused: A rule of the tenant, or the Action, refuses it.
    """
    ip, decisions = find_caller_address(request, client), Decisions()
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
        exchange = check_exchange_request(state, client, parameters, ip)
        decisions = run_action(state, request, exchange)
        check_decisions(state, ip, decisions)
        grant = _settle_grant(state, exchange, decisions)
        if exchange.is_session_transfer:
            check_actor(state, grant)
    except RequestRefused as refused:
        _log(state, evolve(entry, description=refused.log), decisions)
        raise
    _log(state, evolve(entry, type="secte", user_id=grant.user.user_id), decisions)
    if exchange.is_session_transfer:
        return issue_session_transfer(state, grant, ip)
    # RFC 8693 2.2.1: issued_token_type is REQUIRED.
    members = {"issued_token_type": ACCESS_TOKEN_TYPE}
    if "offline_access" in grant.scopes:
        members["refresh_token"] = issue_refresh_token(state, grant).token
    return issue_tokens(state, grant, members)


def _settle_grant(
    state: TenantState, exchange: ExchangeRequest, decisions: Decisions
) -> Grant:
    application = exchange.client.application
    organization = resolve_organization(
        state, application, exchange.organization, decisions.organization
    )
    user = resolve_user(state, application, decisions.user, organization)
    has_actor = decisions.actor is not None
    has_actor_token = exchange.actor_token is not None
    if user.mfa:
        # Auth0 cannot ask an actor for the second factor of the user.
        if has_actor or has_actor_token:
            raise state.wording.mfa_with_actor.to_exception()
        # Auth0's own mfa_token is a sealed value with this prefix.
        members = {"mfa_token": f"Fe26.2*{state.new_id()}"}
        raise state.wording.mfa_required.to_exception(members=members)
    # One page of Auth0 withholds refresh tokens when an actor is set, another when an
    # actor_token is sent.
    withheld = has_actor or (
        has_actor_token and state.settings.actor_token_withholds_refresh_token
    )
    # Auth0 creates no session in a token exchange, and so has no sid. The setting adds
    # one, for tests of a back-channel logout by session.
    session = {"sid": state.new_id()} if state.settings.session_ids else {}
    return Grant(
        application=application,
        user=user,
        api=exchange.api,
        requested_scopes=exchange.scopes,
        scopes=filter_scopes(
            application, exchange.api, exchange.scopes, is_refreshable=not withheld
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
