"""Runs the Action of a profile: builds its event, and collects its decisions.

Theory of operation. ``run_action`` calls the user's code with the event and the api,
and returns the decisions, whatever happened: the log shows what an Action set before it
refused or failed. ``check_decisions`` then raises the refusal, if there is one. Its
order matters. A refusal goes before a failure, as an Action that refused and went on
has still refused; and only a rejected subject token counts toward the throttle.
"""

from __future__ import annotations

import logging

from .action_api import (
    ActionApi,
    ActionArgumentError,
    ActionStopped,
    Decisions,
    Denial,
    Rejection,
)
from .action_event import (
    Event,
    EventClient,
    EventClientAuthentication,
    EventOrganization,
    EventRequest,
    EventResourceServer,
    EventTenant,
    EventTransaction,
    Secrets,
)
from .directory import Organization
from .exchange_request import ExchangeRequest
from .http_messages import ReceivedRequest
from .state import TenantState
from .wording import RequestRefused

_logger = logging.getLogger(__name__)


def run_action(
    state: TenantState, request: ReceivedRequest, exchange: ExchangeRequest
) -> Decisions:
    """Run the Action of ``exchange`` and return its decisions; never raise."""
    decisions = Decisions()
    action = exchange.profile.action or state.legacy.run_action
    try:
        action(_build_event(state, request, exchange), ActionApi(decisions))
    except ActionStopped:
        # The refusal is in the decisions.
        pass
    except ActionArgumentError as error:
        refusal = state.wording.invalid_action_argument
        decisions.failure = refusal.to_exception(message=str(error))
    except Exception as error:
        # The Action is code we did not write, and may raise anything. Auth0 answers
        # server_error, and puts the reason into its log alone.
        token_type = exchange.profile.subject_token_type
        _logger.exception("the Action of %s raised an exception", token_type)
        failure = state.wording.action_failed.to_exception()
        failure.log = f"{failure.description} {type(error).__name__}: {error}"
        decisions.failure = failure
    return decisions


def check_decisions(state: TenantState, ip: str, decisions: Decisions) -> None:
    """Raise the refusal in ``decisions``, if there is one.

    Args:
        state: The tenant.
        ip: The address that a rejected subject token counts against.
        decisions: The decisions of the Action.

    Raises:
        RequestRefused: The Action refused, or failed.
    """
    refusal = decisions.refusal
    if isinstance(refusal, Rejection):
        # Auth0 counts rejected subject tokens alone, not denials.
        if state.throttle is not None:
            state.throttle.count_rejection(ip, state.clock())
        raise state.wording.invalid_subject_token.to_exception(reason=refusal.reason)
    if isinstance(refusal, Denial):
        # The code is the Action's own, and Auth0 answers 400, but for this one.
        status = 500 if refusal.code == "server_error" else 400
        raise RequestRefused(status, refusal.code, refusal.reason)
    if decisions.failure is not None:
        raise decisions.failure


def _build_event(
    state: TenantState, request: ReceivedRequest, exchange: ExchangeRequest
) -> Event:
    parameters, application = exchange.parameters, exchange.client.application
    return Event(
        transaction=EventTransaction(
            subject_token=exchange.subject_token,
            subject_token_type=exchange.profile.subject_token_type,
            actor_token=exchange.actor_token,
            actor_token_type=parameters.get("actor_token_type"),
            actor_token_user=exchange.actor_user,
            requested_scopes=exchange.scopes,
            requested_token_type=parameters.get("requested_token_type"),
        ),
        client=EventClient(
            client_id=application.client_id,
            name=application.name,
            metadata=application.metadata,
            authentication=EventClientAuthentication(type=exchange.client.method),
        ),
        organization=_to_event_organization(exchange.organization),
        resource_server=EventResourceServer(identifier=exchange.api.identifier)
        if exchange.api
        else None,
        request=_to_event_request(request, exchange),
        tenant=EventTenant(id=state.settings.tenant_id),
        secrets=Secrets(exchange.profile.secrets),
    )


def _to_event_organization(
    organization: Organization | None,
) -> EventOrganization | None:
    if organization is None:
        return None
    return EventOrganization(
        id=organization.id,
        name=organization.name,
        display_name=organization.display_name,
        metadata=organization.metadata,
    )


def _to_event_request(
    request: ReceivedRequest, exchange: ExchangeRequest
) -> EventRequest:
    headers = request.headers
    return EventRequest(
        body=exchange.parameters.body,
        ip=exchange.ip,
        hostname=headers.get("host", ""),
        user_agent=headers.get("user-agent", ""),
        method=request.method,
        language=headers.get("accept-language", ""),
    )
