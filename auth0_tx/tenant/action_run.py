"""Runs a profile's Action: tells it the event, collects what it decides."""

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
from .wording import Refused

_logger = logging.getLogger(__name__)


def run_action(
    state: TenantState,
    request: ReceivedRequest,
    asked: ExchangeRequest,
    decisions: Decisions,
) -> None:
    """Run the Action of *asked* and leave in *decisions* what it decided.

    Raises:
        Refused: It refused, or failed.
    """
    action = asked.profile.action or state.legacy.action
    failure: Refused | None = None
    try:
        action(_event(state, request, asked), ActionApi(decisions))
    except ActionStopped:
        pass
    except ActionArgumentError as error:
        wording = state.wording.invalid_action_argument
        failure = wording.refused(message=str(error))
    except Exception as error:
        # The Action is code we did not write: whatever it raises, Auth0 answers
        # server_error and puts the reason in its log.
        _logger.exception("the Action of %s raised", asked.profile.subject_token_type)
        failure = state.wording.action_failed.refused()
        failure.log = f"{failure.description} {type(error).__name__}: {error}"
    # A refusal stands even if the Action went on and failed afterwards.
    refusal = decisions.refusal
    if isinstance(refusal, Rejection):
        if state.throttle is not None:
            state.throttle.count(asked.ip, state.clock())
        raise state.wording.invalid_subject_token.refused(reason=refusal.reason)
    if isinstance(refusal, Denial):
        # Any code is the Action's own, and answers 400, but for this one.
        status = 500 if refusal.code == "server_error" else 400
        raise Refused(status, refusal.code, refusal.reason)
    if failure is not None:
        raise failure


def _event(
    state: TenantState, request: ReceivedRequest, asked: ExchangeRequest
) -> Event:
    parameters, application = asked.parameters, asked.client.application
    return Event(
        transaction=EventTransaction(
            subject_token=asked.subject_token,
            subject_token_type=asked.profile.subject_token_type,
            actor_token=asked.actor_token,
            actor_token_type=parameters.get("actor_token_type"),
            actor_token_user=asked.actor_user,
            requested_scopes=asked.scopes,
            requested_token_type=parameters.get("requested_token_type"),
        ),
        client=EventClient(
            client_id=application.client_id,
            name=application.name,
            metadata=application.metadata,
            authentication=EventClientAuthentication(type=asked.client.method),
        ),
        organization=_organization(asked.organization),
        resource_server=EventResourceServer(identifier=asked.api.identifier)
        if asked.api
        else None,
        request=_request(request, asked),
        tenant=EventTenant(id=state.settings.tenant_id),
        secrets=Secrets(asked.profile.secrets),
    )


def _organization(organization: Organization | None) -> EventOrganization | None:
    if organization is None:
        return None
    return EventOrganization(
        id=organization.id,
        name=organization.name,
        display_name=organization.display_name,
        metadata=organization.metadata,
    )


def _request(request: ReceivedRequest, asked: ExchangeRequest) -> EventRequest:
    headers = request.headers
    return EventRequest(
        body=asked.parameters.body,
        ip=asked.ip,
        hostname=headers.get("host", ""),
        user_agent=headers.get("user-agent", ""),
        method=request.method,
        language=headers.get("accept-language", ""),
    )
