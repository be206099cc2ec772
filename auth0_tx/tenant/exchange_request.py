"""A token exchange request, checked up to the point where its Action runs.

The checks go from the outside in: the parameters (RFC 8693 2.1), whether the
application may use the profile, the throttle, and then the actor, the API and the
organization. Auth0 does not document its order; a request that breaks two rules may be
refused for the other one there. The throttle comes before the Action, since the Action
is what an attacker would use to guess subject tokens.
"""

from __future__ import annotations

from attrs import field, frozen

from .action_event import EventUser
from .actor_token import find_actor_user
from .client_authentication import AuthenticatedClient
from .directory import Api, Organization
from .http_messages import ReceivedRequest
from .parameters import Parameters
from .profiles import Profile, is_reserved
from .session_transfer import check_client, is_session_transfer_audience
from .state import TenantState
from .subjects import find_requested_organization
from .tokens import split_scope


@frozen(kw_only=True)
class ExchangeRequest:
    """A token exchange request that may go to its Action."""

    client: AuthenticatedClient
    profile: Profile
    subject_token: str = field(repr=False)
    actor_token: str | None = field(repr=False)
    actor_user: EventUser | None
    api: Api | None
    is_session_transfer: bool
    organization: Organization | None
    scopes: tuple[str, ...]
    ip: str
    parameters: Parameters = field(repr=False)


def find_caller_address(request: ReceivedRequest, client: AuthenticatedClient) -> str:
    """Return the address a request counts against: the end user's, if it is trusted."""
    forwarded = request.headers.get("auth0-forwarded-for", "").strip()
    # Anybody can send the header. Auth0 believes it only from an application that is
    # set to be trusted and that has authenticated.
    trusted = client.application.trust_forwarded_for and client.method != "none"
    return forwarded if forwarded and trusted else request.client_address[0]


def check_exchange_request(
    state: TenantState, client: AuthenticatedClient, parameters: Parameters, ip: str
) -> ExchangeRequest:
    """Return the exchange that ``parameters`` request.

    Args:
        state: The tenant.
        client: The application that sent them.
        parameters: The parameters of the request.
        ip: The address that the request counts against.

    Raises:
        RequestRefused: They break a rule of RFC 8693, or of the tenant.
    """
    subject_token = parameters.require("subject_token")
    token_type = parameters.require("subject_token_type")
    actor_token = parameters.get("actor_token")
    # RFC 8693 2.1: actor_token_type is REQUIRED with actor_token, and MUST NOT be
    # included without it.
    if (actor_token is None) != (parameters.get("actor_token_type") is None):
        raise state.wording.half_actor_pair.to_exception()
    profile = _find_profile(state, client, token_type)
    # Auth0 refuses it even when it is empty, unlike any other parameter.
    if "requested_token_type" in parameters:
        raise state.wording.requested_token_type.to_exception()
    if state.throttle is not None and state.throttle.is_blocked(ip, state.clock()):
        raise state.wording.too_many_attempts.to_exception()
    application, audience = client.application, _read_audience(state, parameters)
    is_session_transfer = audience is not None and is_session_transfer_audience(
        state, audience
    )
    if is_session_transfer:
        check_client(state, client)
    return ExchangeRequest(
        client=client,
        profile=profile,
        subject_token=subject_token,
        actor_token=actor_token,
        actor_user=find_actor_user(state, application, parameters),
        api=None if is_session_transfer else _find_api(state, audience),
        is_session_transfer=is_session_transfer,
        organization=find_requested_organization(
            state, application, parameters.get("organization")
        ),
        scopes=split_scope(parameters.get("scope")),
        ip=ip,
        parameters=parameters,
    )


def _find_profile(
    state: TenantState, client: AuthenticatedClient, token_type: str
) -> Profile:
    wording, application = state.wording, client.application
    if not (application.first_party and application.oidc_conformant):
        raise wording.application_not_eligible.to_exception()
    if not application.custom_token_exchange:
        raise wording.custom_token_exchange_disabled.to_exception()
    if is_reserved(token_type, by_prefix=state.settings.reserved_by_prefix):
        raise wording.reserved_subject_token_type.to_exception(type=token_type)
    profile = state.profiles.get(token_type)
    if profile is None:
        raise wording.unknown_subject_token_type.to_exception(type=token_type)
    return profile


def _read_audience(state: TenantState, parameters: Parameters) -> str | None:
    audience = parameters.get("audience")
    # Auth0's "Resource Parameter Compatibility Profile": RFC 8707 2 beside audience.
    if audience is None and state.settings.resource_parameter:
        audience = parameters.get("resource")
    return audience or state.settings.default_audience


def _find_api(state: TenantState, audience: str | None) -> Api | None:
    if audience is None:
        return None
    api = state.apis.get(audience)
    if api is None:
        raise state.wording.unknown_audience.to_exception(audience=audience)
    # An exchange has no browser in which a user could consent.
    if not api.skip_consent:
        raise state.wording.consent_required.to_exception()
    return api
