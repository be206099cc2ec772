"""Every status and text with which the tenant refuses, as settings with defaults.

Auth0 documents some of these; many are only seen in the wild or inferred. A test that
depends on one should set it, as in
``Tenant(wording=Wording(mfa_required=Refusal(401, "mfa_required", "...")))``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import fields, frozen

from .http_messages import Reply


class RequestRefused(Exception):
    """Raised by a rule of the tenant that refuses a request; becomes its reply.

    Args:
        status: The HTTP status.
        error: The ``error`` member.
        description: The ``error_description`` member.
        headers: More headers, such as WWW-Authenticate.
        members: More members of the body, such as mfa_token.

    Attributes:
        log: The reason in full, for the tenant's log; the reply may say less, so that
            it does not help an attacker.
    """

    def __init__(
        self,
        status: int,
        error: str,
        description: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, error, description)
        self.status = status
        self.error = error
        self.description = description
        self.headers = headers
        self.members: dict[str, Any] = dict(members or {})
        self.log = description

    @property
    def reply(self) -> Reply:
        """Return the error response of RFC 6749 5.2."""
        body = {
            "error": self.error,
            "error_description": self.description,
            **self.members,
        }
        return Reply.of(body, status=self.status, headers=self.headers)


@frozen
class Refusal:
    """The wording of one refusal.

    Args:
        status: The HTTP status.
        error: The ``error`` member.
        description: The ``error_description`` member; names in braces are filled in.
    """

    status: int
    error: str
    description: str

    def to_exception(
        self,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        members: Mapping[str, Any] | None = None,
        **details: str,
    ) -> RequestRefused:
        """Return the exception to raise, with ``details`` in the description."""
        return RequestRefused(
            self.status,
            self.error,
            self.description.format(**details),
            headers=headers,
            members=members,
        )


def format_changes(record: Any) -> str:
    """Return the repr of an attrs record, with the fields that are not the default.

    A default value is printed in every signature that has it: whole, it would fill a
    screen of ``help(Tenant)``.
    """
    changes = [
        f"{attribute.name}={value!r}"
        for attribute in fields(type(record))
        if (value := getattr(record, attribute.name)) != attribute.default
    ]
    return f"{type(record).__name__}({', '.join(changes)})"


@frozen(kw_only=True, repr=False)
class Wording:
    """The wording of each rule's refusal; its repr shows those that are changed."""

    def __repr__(self) -> str:
        """Return the fields that were set."""
        return format_changes(self)

    # -- the request --------------------------------------------------------------
    malformed_body: Refusal = Refusal(400, "invalid_request", "Invalid request body")
    missing_parameter: Refusal = Refusal(
        400, "invalid_request", "Missing required parameter: {name}"
    )
    repeated_parameter: Refusal = Refusal(
        400, "invalid_request", "Parameter sent more than once: {name}"
    )
    unsupported_grant_type: Refusal = Refusal(
        400, "unsupported_grant_type", "Grant type not supported"
    )

    # -- the application ----------------------------------------------------------
    bad_client_secret: Refusal = Refusal(401, "access_denied", "Unauthorized")
    client_authentication_failed: Refusal = Refusal(
        401, "invalid_client", "Client authentication failed"
    )
    several_client_authentications: Refusal = Refusal(
        400, "invalid_request", "More than one client authentication method was used"
    )
    grant_type_not_allowed: Refusal = Refusal(
        403,
        "unauthorized_client",
        "Grant type '{grant_type}' not allowed for the client.",
    )
    custom_token_exchange_disabled: Refusal = Refusal(
        403,
        "unauthorized_client",
        "Custom Token Exchange is not enabled for the client.",
    )
    application_not_eligible: Refusal = Refusal(
        403,
        "unauthorized_client",
        "Custom Token Exchange needs a first-party, OIDC conformant client.",
    )

    # -- the tokens sent ----------------------------------------------------------
    requested_token_type: Refusal = Refusal(
        400,
        "invalid_request",
        "Invalid subject_token_type and requested_token_type combination.",
    )
    # -- on behalf of a user; all but the second are inferred -----------------------
    not_a_resource_server: Refusal = Refusal(
        403,
        "unauthorized_client",
        "This client is not a resource server and cannot exchange access tokens",
    )
    delegation_chain: Refusal = Refusal(
        400,
        "invalid_request",
        "Delegation chain (`act` claim) depth exceeds the maximum allowed limit of 4",
    )
    invalid_access_token: Refusal = Refusal(
        401, "invalid_token", "Invalid subject token: {reason}"
    )
    on_behalf_of_denied: Refusal = Refusal(
        403, "access_denied", "Client is not authorized to act for users at {audience}"
    )
    # -- token exchange --------------------------------------------------------------
    reserved_subject_token_type: Refusal = Refusal(
        400, "invalid_request", "subject_token_type is reserved: {type}"
    )
    unknown_subject_token_type: Refusal = Refusal(
        400,
        "invalid_request",
        "No token exchange profile for subject_token_type: {type}",
    )
    half_actor_pair: Refusal = Refusal(
        400,
        "invalid_request",
        "actor_token and actor_token_type must be sent together.",
    )
    reserved_actor_token_type: Refusal = Refusal(
        400, "invalid_request", "actor_token_type is reserved: {type}"
    )
    invalid_actor_token: Refusal = Refusal(
        400, "invalid_request", "Invalid actor token: {reason}"
    )

    # -- the Action ---------------------------------------------------------------
    invalid_subject_token: Refusal = Refusal(400, "invalid_request", "{reason}")
    action_failed: Refusal = Refusal(
        500, "server_error", "Script generated an unhandled asynchronous exception."
    )
    invalid_action_argument: Refusal = Refusal(500, "server_error", "{message}")
    user_not_set: Refusal = Refusal(
        500, "server_error", "The Action did not set a user for the transaction."
    )

    # -- the user -----------------------------------------------------------------
    user_not_found: Refusal = Refusal(400, "invalid_request", "User not found")
    user_blocked: Refusal = Refusal(403, "access_denied", "user is blocked")
    unknown_connection: Refusal = Refusal(
        400, "invalid_request", "Connection not found: {connection}"
    )
    connection_not_enabled: Refusal = Refusal(
        403, "access_denied", "Connection not enabled: {connection}"
    )
    import_mode_connection: Refusal = Refusal(
        400,
        "invalid_request",
        "setUserByConnection cannot be used with a connection in import mode: "
        "{connection}",
    )
    mfa_required: Refusal = Refusal(
        403, "mfa_required", "Multifactor authentication required"
    )
    mfa_with_actor: Refusal = Refusal(
        400,
        "invalid_request",
        "MFA is not supported using actor_token with the requested token exchange "
        "profile.",
    )

    # -- the organization ---------------------------------------------------------
    organization_required: Refusal = Refusal(
        400, "invalid_request", "parameter organization is required for this client"
    )
    organization_not_allowed: Refusal = Refusal(
        400, "invalid_request", "parameter organization is not allowed for this client"
    )
    unknown_organization: Refusal = Refusal(
        400, "invalid_request", "parameter organization is invalid: {organization}"
    )
    organization_mismatch: Refusal = Refusal(
        400,
        "invalid_request",
        "The organization set by the Action differs from the one requested.",
    )
    not_a_member: Refusal = Refusal(
        403,
        "access_denied",
        "user {user_id} is not part of the {organization} organization",
    )

    # -- the API ------------------------------------------------------------------
    unknown_audience: Refusal = Refusal(
        403, "access_denied", "Service not found: {audience}"
    )
    consent_required: Refusal = Refusal(403, "consent_required", "Consent required")
    session_transfer_disabled: Refusal = Refusal(
        400,
        "invalid_request",
        "Session Transfer Tokens cannot be requested on this tenant.",
    )
    session_transfer_public: Refusal = Refusal(
        403,
        "unauthorized_client",
        "Session Transfer Tokens cannot be requested by a public client.",
    )
    setactor_required: Refusal = Refusal(
        400,
        "invalid_request",
        "setActor is required when requesting a session transfer token via token "
        "exchange.",
    )
    session_transfer_nested_actor: Refusal = Refusal(
        400,
        "invalid_request",
        "A session transfer token has a single actor.",
    )

    # -- refresh tokens -----------------------------------------------------------
    unknown_refresh_token: Refusal = Refusal(
        403, "invalid_grant", "Unknown or invalid refresh token."
    )

    # -- userinfo -----------------------------------------------------------------
    userinfo_unauthorized: Refusal = Refusal(401, "invalid_token", "Unauthorized")

    # -- logout -------------------------------------------------------------------
    unknown_logout_client: Refusal = Refusal(
        400, "invalid_request", "Unknown client: {client_id}"
    )
    return_to_not_allowed: Refusal = Refusal(
        400,
        "invalid_request",
        'The "returnTo" querystring parameter "{return_to}" is not defined as a valid '
        'URL in "Allowed Logout URLs".',
    )

    # -- limits -------------------------------------------------------------------
    too_many_attempts: Refusal = Refusal(
        429,
        "too_many_attempts",
        "We have detected suspicious login behavior and further attempts will be "
        "blocked. Please contact the administrator.",
    )
