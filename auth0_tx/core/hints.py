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


def hint_for(
    code: str, description: str, status: int, subject_token_type: str | None
) -> str | None:
    """Give advice on a refusal, or ``None`` where its cause is not known."""
    said = description.lower()
    if code == "too_many_attempts":
        return _BLOCKED
    if code == "mfa_required" or status == 429:
        return None
    if "organization is required" in said:
        return _ORGANIZATION_REQUIRED
    if status == 401 or code == "invalid_client":
        return _CLIENT
    if code == "consent_required":
        return _CONSENT
    if "service not found" in said or "service not enabled" in said:
        return _AUDIENCE
    if "requested_token_type" in said:
        return _REQUESTED_TYPE
    if (subject_token_type or "").lower().startswith("urn:ietf:"):
        return _RESERVED_SUBJECT_TYPE
    if code == "unauthorized_client":
        return _GRANT_NOT_ENABLED
    return None
