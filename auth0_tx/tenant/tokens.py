"""Mints the tokens of a successful grant, and the reply that carries them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen
from joserfc.jwk import OctKey

from . import jwts
from .access_tokens import AccessToken
from .applications import REFRESH_TOKEN, Application
from .custom_claims import without_restricted
from .directory import Api, Organization, User
from .http_messages import Reply
from .refresh_tokens import RefreshToken
from .state import TenantState

ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
OIDC_SCOPES = frozenset(
    {"openid", "profile", "email", "address", "phone", "offline_access"}
)
_OPAQUE_LIFETIME = 86400


@frozen(kw_only=True)
class Grant:
    """Hold what a grant decided: for whom, to whom, for which API, with which scopes.

    Args:
        application: The client.
        user: The subject.
        api: The audience; None issues an opaque token for /userinfo.
        requested_scopes: As requested.
        scopes: As granted, of those requested.
        organization: Within which, if any.
        actor: The `act` claim, if any.
        id_token_claims: Custom claims of the ID token.
        access_token_claims: Custom claims of the access token.
        grant_type: Said in access tokens where Auth0 says it.
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


def granted_scopes(
    application: Application,
    api: Api | None,
    requested: tuple[str, ...],
    *,
    refreshable: bool,
) -> tuple[str, ...]:
    """Return the scopes of *requested* that *api* knows, in that order.

    Args:
        application: The client.
        api: The audience, if any.
        requested: As requested.
        refreshable: Whether a refresh token may be issued if asked for.
    """
    known = OIDC_SCOPES | set(api.scopes if api else ())
    offline = api is None or api.allow_offline_access
    if not (refreshable and offline and REFRESH_TOKEN in application.grant_types):
        known -= {"offline_access"}
    return tuple(scope for scope in requested if scope in known)


def first_refresh_token(state: TenantState, grant: Grant) -> RefreshToken:
    """Issue the first refresh token of a new family."""
    issued = RefreshToken(
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
    return state.refresh_tokens.add(issued)


def token_reply(
    state: TenantState, grant: Grant, members: Mapping[str, Any] | None = None
) -> Reply:
    """Issue the tokens of *grant*, and return the reply of RFC 6749 5.1.

    Args:
        state: The tenant.
        grant: What was decided.
        members: More members, such as issued_token_type or refresh_token.
    """
    now, scopes = int(state.clock()), grant.scopes
    lifetime = grant.api.token_lifetime if grant.api else _OPAQUE_LIFETIME
    body: dict[str, Any] = {"access_token": _access_token(state, grant, now, lifetime)}
    if "openid" in scopes:
        body["id_token"] = _id_token(state, grant, now)
    body |= members or {}
    # RFC 6749 5.1: scope is optional if identical to the scope requested.
    if state.settings.always_send_scope or set(scopes) != set(grant.requested_scopes):
        body["scope"] = " ".join(scopes)
    return Reply.of({**body, "expires_in": lifetime, "token_type": "Bearer"})


def split_scope(scope: str | None) -> tuple[str, ...]:
    """Return the scopes in *scope* in order, each once."""
    return tuple(dict.fromkeys((scope or "").split()))


def crafted_id_token(
    state: TenantState,
    sub: str,
    audience: str,
    expires_in: float,
    claims: Mapping[str, Any],
) -> str:
    """Return an ID token for *audience* made outside any grant, *claims* put over it.

    Signed as the application called *audience* has it, with RS256 if there is none.
    """
    now = int(state.clock())
    own = {"iss": state.issuer, "sub": sub, "aud": audience, "iat": now}
    full = {**own, "exp": now + int(expires_in), **claims}
    return sign_as_id_token(state, audience, full)


def crafted_access_token(
    state: TenantState,
    client_id: str,
    user: User,
    api: Api,
    scopes: tuple[str, ...],
    actor: Mapping[str, Any] | None,
    expires_in: float,
) -> str:
    """Return a user's access token for *api* made outside any grant."""
    application = state.applications.get(client_id)
    assert application is not None
    grant = Grant(
        application=application,
        user=user,
        api=api,
        requested_scopes=scopes,
        scopes=scopes,
        actor=actor,
    )
    return _access_token(state, grant, int(state.clock()), int(expires_in))


def sign_as_id_token(
    state: TenantState,
    client_id: str,
    claims: Mapping[str, Any],
    header: Mapping[str, Any] | None = None,
) -> str:
    """Return *claims* signed as *client_id* has its ID tokens, with RS256 if unknown."""
    application = state.applications.get(client_id)
    if application is None:
        return state.keys.sign(claims, header=header)
    algorithm = application.id_token_signing_algorithm
    if algorithm != "HS256":
        return state.keys.sign(claims, algorithm, header)
    secret = (application.client_secret or "").encode()
    return jwts.sign(claims, OctKey(secret, secret), "HS256", header)


def _access_token(state: TenantState, grant: Grant, now: int, lifetime: int) -> str:
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
    if "openid" in grant.scopes:
        audience = [api.identifier, f"{state.issuer}userinfo"]
    claims: dict[str, Any] = {
        **without_restricted(grant.access_token_claims),
        "iss": state.issuer,
        "sub": grant.user.user_id,
        "aud": audience,
        "iat": now,
        "exp": now + lifetime,
        "scope": " ".join(grant.scopes),
        **_shared_claims(state, grant.organization, grant.actor),
    }
    if not claims["scope"]:
        del claims["scope"]
    if api.token_dialect == "rfc9068_profile":
        # RFC 9068 2.2: client_id and jti; 2.1: the media type in the header.
        claims |= {"client_id": client_id, "jti": state.new_id()}
        return state.keys.sign(claims, api.signing_algorithm, {"typ": "at+jwt"})
    claims["azp"] = client_id
    if grant.grant_type is not None:
        claims["gty"] = grant.grant_type
    return state.keys.sign(claims, api.signing_algorithm)


def _id_token(state: TenantState, grant: Grant, now: int) -> str:
    application = grant.application
    claims: dict[str, Any] = {
        **grant.user.claims(grant.scopes),
        **without_restricted(grant.id_token_claims),
        "iss": state.issuer,
        "aud": application.client_id,
        "sub": grant.user.user_id,
        "iat": now,
        "exp": now + application.id_token_lifetime,
        **_shared_claims(state, grant.organization, grant.actor),
    }
    if state.id_token_alteration is not None:
        claims = dict(state.id_token_alteration(claims))
    return sign_as_id_token(state, application.client_id, claims)


def _shared_claims(
    state: TenantState,
    organization: Organization | None,
    actor: Mapping[str, Any] | None,
) -> dict[str, Any]:
    claims: dict[str, Any] = {}
    if organization is not None:
        claims["org_id"] = organization.id
        if state.settings.organization_names:
            claims["org_name"] = organization.name
    if actor is not None:
        claims["act"] = actor
    return claims
