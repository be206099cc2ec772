"""What one token exchange asks for, once everything before the Action is checked."""

from __future__ import annotations

from attrs import field, frozen

from .action_event import EventUser
from .actor_token import actor_token_user
from .client_authentication import AuthenticatedClient
from .directory import Api, Organization
from .http_messages import ReceivedRequest
from .membership import requested_organization
from .parameters import Parameters
from .profiles import Profile, is_reserved
from .session_transfer_reply import check_client, is_session_transfer
from .state import TenantState
from .tokens import split_scope


@frozen(kw_only=True)
class ExchangeRequest:
    """Hold a request that may go to its Action."""

    client: AuthenticatedClient
    profile: Profile
    subject_token: str = field(repr=False)
    actor_token: str | None = field(repr=False)
    actor_user: EventUser | None
    api: Api | None
    session_transfer: bool
    organization: Organization | None
    scopes: tuple[str, ...]
    ip: str
    parameters: Parameters = field(repr=False)


def caller_address(request: ReceivedRequest, client: AuthenticatedClient) -> str:
    """Return the address a request counts against: the end user's, if it is trusted."""
    forwarded = request.headers.get("auth0-forwarded-for", "").strip()
    # Auth0 believes the header only from an application that authenticated.
    trusted = client.application.trust_forwarded_for and client.method != "none"
    return forwarded if forwarded and trusted else request.client_address[0]


def checked_request(
    state: TenantState, client: AuthenticatedClient, parameters: Parameters, ip: str
) -> ExchangeRequest:
    """Return what *parameters* ask for.

    Raises:
        Refused: They break a rule of RFC 8693, or of the tenant.
    """
    subject_token = parameters.require("subject_token")
    token_type = parameters.require("subject_token_type")
    actor_token = parameters.get("actor_token")
    # RFC 8693 2.1: actor_token_type is REQUIRED with actor_token, and MUST NOT be
    # included without it.
    if (actor_token is None) != (parameters.get("actor_token_type") is None):
        raise state.wording.half_actor_pair.refused()
    profile = _profile(state, client, token_type)
    # Refused by Auth0 even when sent empty, unlike any other parameter.
    if "requested_token_type" in parameters:
        raise state.wording.requested_token_type.refused()
    if state.throttle is not None and state.throttle.blocks(ip, state.clock()):
        raise state.wording.too_many_attempts.refused()
    application, audience = client.application, _audience(state, parameters)
    session_transfer = audience is not None and is_session_transfer(state, audience)
    if session_transfer:
        check_client(state, client)
    return ExchangeRequest(
        client=client,
        profile=profile,
        subject_token=subject_token,
        actor_token=actor_token,
        actor_user=actor_token_user(state, application, parameters),
        api=None if session_transfer else _api(state, audience),
        session_transfer=session_transfer,
        organization=requested_organization(
            state, application, parameters.get("organization")
        ),
        scopes=split_scope(parameters.get("scope")),
        ip=ip,
        parameters=parameters,
    )


def _profile(
    state: TenantState, client: AuthenticatedClient, token_type: str
) -> Profile:
    wording, application = state.wording, client.application
    if not (application.first_party and application.oidc_conformant):
        raise wording.application_not_eligible.refused()
    if not application.custom_token_exchange:
        raise wording.custom_token_exchange_disabled.refused()
    if is_reserved(token_type, by_prefix=state.settings.reserved_by_prefix):
        raise wording.reserved_subject_token_type.refused(type=token_type)
    profile = state.profiles.get(token_type)
    if profile is None:
        raise wording.unknown_subject_token_type.refused(type=token_type)
    return profile


def _audience(state: TenantState, parameters: Parameters) -> str | None:
    audience = parameters.get("audience")
    if audience is None and state.settings.resource_parameter:
        audience = parameters.get("resource")
    return audience or state.settings.default_audience


def _api(state: TenantState, audience: str | None) -> Api | None:
    if audience is None:
        return None
    api = state.apis.get(audience)
    if api is None:
        raise state.wording.unknown_audience.refused(audience=audience)
    if not api.skip_consent:
        raise state.wording.consent_required.refused()
    return api
