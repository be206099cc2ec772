"""Advice on a refusal whose cause is known.

Auth0's responses name the rule that failed, rarely the setting behind it: an application
without the right grant, a missing profile and a bad audience all read alike.  The cases
here are those that a developer meets while setting up a tenant.

``find_hint`` goes from the certain to the likely: codes that mean one thing come first,
then descriptions, then causes that the request itself makes likely.  If nothing fits, the
result is ``None``: wrong advice costs more than no advice.
"""

from __future__ import annotations

TOO_MANY_AT_ONCE = (
    "to exchange many tokens, use exchange_many(), which starts each when a connection is "
    "free; otherwise make fewer calls at once, or raise max_connections or timeout."
)
"""For a call whose time passed while others had the connections."""

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
_CONSENT = "turn on 'Allow Skipping User Consent' for the API named by audience."
_AUDIENCE = "audience must be the identifier of an API of this tenant."
_CLIENT = (
    "check client_id, the secret or key, and that client_auth is the authentication "
    "method that the application is configured for."
)
_BLOCKED = (
    "Auth0 throttles this source IP after too many refused subject tokens; stop sending, "
    "find the caller that sends bad tokens, and see 'Suspicious IP Throttling' in the "
    "tenant's attack protection."
)
_REQUESTED_TYPE = "authorization_params must not lead to a requested_token_type."

_DELEGATION = (
    "too many services have acted for this user one after another: start from a token "
    "with a shorter chain of actors."
)
_ACCESS_TOKEN = (
    "access_token must be a user's token from this tenant, not expired, and for the API "
    "that is the resource_server_identifier of the client's application."
)
_ON_BEHALF_OF = (
    "on-behalf-of exchange needs an application of type resource_server whose "
    "resource_server_identifier is the audience of access_token, "
    "on_behalf_of_token_exchange among its token_exchange.allow_any_profile_of_type, "
    "and a client grant for user access to the requested audience."
)


def find_hint(
    code: str,
    description: str,
    status: int,
    subject_token_type: str | None,
    *,
    on_behalf_of: bool = False,
) -> str | None:
    """Return advice on a refusal, or ``None`` if its cause is not known.

    Args:
        code: the server's error code, or "".
        description: the server's description, with secrets already removed.
        status: the HTTP status.
        subject_token_type: the one that was sent, or ``None``.
        on_behalf_of: whether it was an on-behalf-of exchange.
    """
    text = description.lower()
    if code == "too_many_attempts":
        return _BLOCKED
    # The error itself says what to do: ask for the second factor, or wait.
    if code == "mfa_required" or status == 429:
        return None
    if "delegation chain" in text:
        return _DELEGATION
    if "organization is required" in text:
        return _ORGANIZATION_REQUIRED
    # RFC 6749 5.2: 401 is for a client that failed to authenticate.  On behalf of a user,
    # Auth0 also sends it for the access token.
    if code == "invalid_client" or (status == 401 and not on_behalf_of):
        return _CLIENT
    if code == "consent_required":
        return _CONSENT
    if "service not found" in text or "service not enabled" in text:
        return _AUDIENCE
    if on_behalf_of:
        return _ACCESS_TOKEN if status == 401 else _ON_BEHALF_OF
    if "requested_token_type" in text:
        return _REQUESTED_TYPE
    # Before unauthorized_client: Auth0 answers a urn:ietf type with that code too.
    if (subject_token_type or "").lower().startswith("urn:ietf:"):
        return _RESERVED_SUBJECT_TYPE
    if code == "unauthorized_client":
        return _GRANT_NOT_ENABLED
    return None
