"""Issues the tokens of a successful grant, and the reply that carries them.

Theory of operation. Each grant settles for whom, for which client and API, and with
which scopes, and describes that in a ``Grant``. This module turns it into tokens. An
access token is a JWT if it is for an API, and otherwise opaque, good for ``/userinfo``
only. An ID token comes with the ``openid`` scope. Custom claims go in first, so that no
Action can overwrite a claim that the tenant sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen
from joserfc.jwk import OctKey

from . import jwts
from .applications import REFRESH_TOKEN, Application
from .directory import Api, Organization, User
from .http_messages import Reply
from .opaque_tokens import AccessToken
from .refresh_tokens import RefreshToken
from .state import TenantState

ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
OIDC_SCOPES = frozenset(
    {"openid", "profile", "email", "address", "phone", "offline_access"}
)
# Seconds: Auth0's default for its own /userinfo audience.
_OPAQUE_LIFETIME = 86400
# The claims that only the tenant may set. Auth0 drops a custom claim of such a name
# without an error.
_RESTRICTED_CLAIMS = frozenset(
    {
        *("act", "at_hash", "aud", "auth_time", "azp", "c_hash", "client_id", "cnf"),
        *("events", "exp", "gty", "iat", "iss", "jti", "nbf", "nonce", "org_id"),
        *("org_name", "permissions", "scope", "sub"),
    }
)


@frozen(kw_only=True)
class Grant:
    """The result of a grant: for whom, to whom, for which API, with which scopes.

    Args:
        application: The client.
        user: The subject.
        api: The audience; ``None`` issues an opaque token for /userinfo.
        requested_scopes: The scopes requested.
        scopes: The scopes granted, of those requested.
        organization: The organization, or ``None``.
        actor: The ``act`` claim, or ``None``.
        id_token_claims: Custom claims of the ID token.
        access_token_claims: Custom claims of the access token.
        grant_type: The ``gty`` claim of access tokens; ``None`` where Auth0 has none.
    """

    application: Application
    user: User
    api: Api | None
    requested_scopes: tuple[str, ...]
    scopes: tuple[str, ...]
    organization: Organization | None = None
    actor: Mapping[str, Any] | None = field(default=None)
    id_token_claims: Mapping[str, Any] = field(factory=dict)
    access_token_claims: Mapping[str, Any] = field(factory=dict)
    grant_type: str | None = None


def filter_scopes(
    application: Application,
    api: Api | None,
    requested: tuple[str, ...],
    *,
    is_refreshable: bool,
) -> tuple[str, ...]:
    """Return the ``requested`` scopes that ``api`` defines, in that order.

    Auth0 leaves the others out without an error.

    Args:
        application: The client.
        api: The audience, or ``None``.
        requested: The scopes requested.
        is_refreshable: Whether a refresh token may be issued if asked for.
    """
    known = OIDC_SCOPES | set(api.scopes if api else ())
    offline = api is None or api.allow_offline_access
    # Auth0 leaves offline_access out of the scopes when it issues no refresh token.
    if not (is_refreshable and offline and REFRESH_TOKEN in application.grant_types):
        known -= {"offline_access"}
    return tuple(scope for scope in requested if scope in known)


def issue_refresh_token(state: TenantState, grant: Grant) -> RefreshToken:
    """Issue the first refresh token of a new family."""
    record = RefreshToken(
        token=state.new_id(),
        client_id=grant.application.client_id,
        user_id=grant.user.user_id,
        audience=grant.api.identifier if grant.api else None,
        scopes=grant.scopes,
        organization=grant.organization.id if grant.organization else None,
        issued_at=state.clock(),
        id_token_claims=grant.id_token_claims,
        access_token_claims=grant.access_token_claims,
    )
    return state.refresh_tokens.add(record)


def issue_tokens(
    state: TenantState, grant: Grant, members: Mapping[str, Any] | None = None
) -> Reply:
    """Issue the tokens of ``grant`` and return the reply of RFC 6749 5.1.

    Args:
        state: The tenant.
        grant: The result of the grant.
        members: More members, such as issued_token_type or refresh_token.
    """
    # Whole seconds, as Auth0's tokens have them.
    now, scopes = int(state.clock()), grant.scopes
    lifetime = grant.api.token_lifetime if grant.api else _OPAQUE_LIFETIME
    body: dict[str, Any] = {
        "access_token": issue_access_token(state, grant, now, lifetime)
    }
    # OIDC Core 3.1.2.1: the openid scope asks for an ID token.
    if "openid" in scopes:
        body["id_token"] = _issue_id_token(state, grant, now)
    body |= members or {}
    # RFC 6749 5.1: scope is optional if identical to the scope requested.
    if state.settings.always_send_scope or set(scopes) != set(grant.requested_scopes):
        body["scope"] = " ".join(scopes)
    return Reply.of({**body, "expires_in": lifetime, "token_type": "Bearer"})


def split_scope(scope: str | None) -> tuple[str, ...]:
    """Return the scopes in ``scope`` in order, each once (RFC 6749 3.3)."""
    return tuple(dict.fromkeys((scope or "").split()))


def sign_as_id_token(
    state: TenantState,
    client_id: str,
    claims: Mapping[str, Any],
    header: Mapping[str, Any] | None = None,
) -> str:
    """Return ``claims`` signed like the ID tokens of ``client_id``; else with RS256."""
    application = state.applications.get(client_id)
    if application is None:
        return state.keys.sign(claims, header=header)
    algorithm = application.id_token_signing_algorithm
    if algorithm != "HS256":
        return state.keys.sign(claims, algorithm, header)
    # OIDC Core 10.1: the HMAC key is the client secret.
    secret = (application.client_secret or "").encode()
    return jwts.sign(claims, OctKey(secret, secret), "HS256", header)


def issue_access_token(
    state: TenantState, grant: Grant, now: int, lifetime: int
) -> str:
    """Return an access token of ``grant``, valid for ``lifetime`` seconds."""
    api, client_id = grant.api, grant.application.client_id
    if api is None:
        token = state.new_id()
        access = AccessToken(
            user_id=grant.user.user_id,
            scopes=grant.scopes,
            actor=grant.actor,
            expires_at=now + lifetime,
        )
        state.access_tokens.add(token, access)
        return token
    audience: str | list[str] = api.identifier
    # As Auth0 does: with openid the token is also good for /userinfo.
    if "openid" in grant.scopes:
        audience = [api.identifier, f"{state.issuer}userinfo"]
    claims: dict[str, Any] = {
        **_drop_restricted(grant.access_token_claims),
        "iss": state.issuer,
        "sub": grant.user.user_id,
        "aud": audience,
        "iat": now,
        "exp": now + lifetime,
        "scope": " ".join(grant.scopes),
        **_build_shared_claims(state, grant.organization, grant.actor),
    }
    # RFC 6749 3.3: a scope has at least one token; an empty one is left out.
    if not claims["scope"]:
        del claims["scope"]
    if api.token_dialect == "rfc9068_profile":
        # RFC 9068 2.2: client_id and jti; 2.1: the media type in the header.
        claims |= {"client_id": client_id, "jti": state.new_id()}
        return state.keys.sign(claims, api.signing_algorithm, {"typ": "at+jwt"})
    # Auth0's own dialect says azp for client_id, and has no jti.
    claims["azp"] = client_id
    if grant.grant_type is not None:
        claims["gty"] = grant.grant_type
    return state.keys.sign(claims, api.signing_algorithm)


def _issue_id_token(state: TenantState, grant: Grant, now: int) -> str:
    application = grant.application
    claims: dict[str, Any] = {
        **grant.user.claims(grant.scopes),
        **_drop_restricted(grant.id_token_claims),
        "iss": state.issuer,
        "aud": application.client_id,
        "sub": grant.user.user_id,
        "iat": now,
        "exp": now + application.id_token_lifetime,
        **_build_shared_claims(state, grant.organization, grant.actor),
    }
    # Last: a test may take a claim away that every ID token has.
    if state.id_token_alteration is not None:
        claims = dict(state.id_token_alteration(claims))
    return sign_as_id_token(state, application.client_id, claims)


def _drop_restricted(claims: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in claims.items() if name not in _RESTRICTED_CLAIMS
    }


def _build_shared_claims(
    state: TenantState,
    organization: Organization | None,
    actor: Mapping[str, Any] | None,
) -> dict[str, Any]:
    claims: dict[str, Any] = {}
    if organization is not None:
        claims["org_id"] = organization.id
        # Auth0 adds the name only if requests may use it as well.
        if state.settings.organization_names:
            claims["org_name"] = organization.name
    if actor is not None:
        claims["act"] = actor
    return claims
