"""What to do about a refusal, where its cause is known.

Auth0's answers name the rule that failed, rarely the setting behind it.
"""

from __future__ import annotations

_RESERVED_SUBJECT_TYPE = (
    "Auth0 keeps urn:ietf token types for its own flows and refuses them as "
    "subject_token_type; send the URI of your own Token Exchange Profile."
)
_GRANT_NOT_ENABLED = (
    "enable Custom Token Exchange for this application: its "
    "token_exchange.allow_any_profile_of_type must contain custom_authentication, "
    "and it must be first-party and OIDC-conformant."
)
_ORGANIZATION_REQUIRED = (
    "this application requires an organization; pass organization=."
)
_CONSENT = "turn on 'Allow Skipping User Consent' for the API that audience names."
_AUDIENCE = "audience must be the identifier of an API of this tenant."
_CLIENT = (
    "check client_id, the secret or key, and that client_auth is the method that the "
    "application is configured for."
)
_BLOCKED = (
    "Auth0 throttles this source IP after repeated refused subject tokens; stop sending, "
    "find the caller that sends bad tokens, and see 'Suspicious IP Throttling' in the "
    "tenant's attack protection."
)
_REQUESTED_TYPE = "authorization_params must not lead to a requested_token_type."


_DELEGATION = (
    "too many services in a row act for this user: call the API with a token that has "
    "fewer behind it."
)
_ACCESS_TOKEN = (
    "access_token must be a user's, of this tenant, not expired, and for the API whose "
    "resource_server_identifier the client's application has."
)
_ON_BEHALF_OF = (
    "on-behalf-of exchange needs an application of type resource_server whose "
    "resource_server_identifier is the audience of access_token, "
    "on_behalf_of_token_exchange among its token_exchange.allow_any_profile_of_type, "
    "and a client grant for the user's access to the audience that is asked for."
)


def hint_for(
    code: str,
    description: str,
    status: int,
    subject_token_type: str | None,
    *,
    on_behalf_of: bool = False,
) -> str | None:
    """Give advice on a refusal, or ``None`` where its cause is not known."""
    said = description.lower()
    if code == "too_many_attempts":
        return _BLOCKED
    if code == "mfa_required" or status == 429:
        return None
    if "delegation chain" in said:
        return _DELEGATION
    if "organization is required" in said:
        return _ORGANIZATION_REQUIRED
    if code == "invalid_client" or (status == 401 and not on_behalf_of):
        return _CLIENT
    if code == "consent_required":
        return _CONSENT
    if "service not found" in said or "service not enabled" in said:
        return _AUDIENCE
    if on_behalf_of:
        return _ACCESS_TOKEN if status == 401 else _ON_BEHALF_OF
    if "requested_token_type" in said:
        return _REQUESTED_TYPE
    if (subject_token_type or "").lower().startswith("urn:ietf:"):
        return _RESERVED_SUBJECT_TYPE
    if code == "unauthorized_client":
        return _GRANT_NOT_ENABLED
    return None
