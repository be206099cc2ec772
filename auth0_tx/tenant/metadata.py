"""Discovery: the metadata document, at two paths, and the signing keys.

A client reads these before anything else. The members are those of Auth0's sample. It
also names endpoints that the tenant does not have, such as ``/authorize``, since
clients check that they are there.
"""

from __future__ import annotations

from typing import Any

from .client_assertion import ALGORITHMS
from .http_messages import ReceivedRequest, Reply
from .state import TenantState

# OIDC Discovery 4 and RFC 8414 3: Auth0 serves the same document at both.
DISCOVERY_PATHS = (
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
)
JWKS_PATH = "/.well-known/jwks.json"


def answer_discovery(state: TenantState, request: ReceivedRequest) -> Reply:
    """Answer with the metadata of OIDC Discovery 3 and RFC 8414 2, as Auth0 has it."""
    return Reply.of(_build_document(state), headers=_cache_headers(state))


def answer_jwks(state: TenantState, request: ReceivedRequest) -> Reply:
    """Answer with the public keys (RFC 7517 5): current, next and not yet revoked."""
    return Reply.of(state.keys.jwks(state.algorithms), headers=_cache_headers(state))


def _cache_headers(state: TenantState) -> tuple[tuple[str, str], ...]:
    return (("Cache-Control", state.settings.cache_control),)


def _build_document(state: TenantState) -> dict[str, Any]:
    issuer = state.issuer
    # The three that Auth0 always lists, and those that this tenant's APIs and
    # applications are set to.
    id_token_algorithms = {"HS256", "RS256", "PS256", *state.algorithms}
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}authorize",
        "token_endpoint": f"{issuer}oauth/token",
        "device_authorization_endpoint": f"{issuer}oauth/device/code",
        "userinfo_endpoint": f"{issuer}userinfo",
        "mfa_challenge_endpoint": f"{issuer}mfa/challenge",
        "jwks_uri": f"{issuer}.well-known/jwks.json",
        "registration_endpoint": f"{issuer}oidc/register",
        "revocation_endpoint": f"{issuer}oauth/revoke",
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "scopes_supported": [
            "openid",
            "profile",
            "offline_access",
            "name",
            "given_name",
            "family_name",
            "nickname",
            "email",
            "email_verified",
            "picture",
            "created_at",
            "identities",
            "phone",
            "address",
        ],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "response_modes_supported": ["query", "form_post"],
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
            "none",
        ],
        "token_endpoint_auth_signing_alg_values_supported": sorted(ALGORITHMS),
        "claims_supported": [
            "aud",
            "email",
            "email_verified",
            "exp",
            "family_name",
            "given_name",
            "iat",
            "iss",
            "name",
            "nickname",
            "phone_number",
            "picture",
            "sub",
        ],
        "request_uri_parameter_supported": False,
        "request_parameter_supported": False,
        "id_token_signing_alg_values_supported": sorted(id_token_algorithms),
    }
