"""Mints the tokens of a successful grant, and the reply that carries them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen
from joserfc.jwk import OctKey

from . import jwts
from .applications import REFRESH_TOKEN, Application
from .directory import Api, Organization, User
from .http_messages import Reply
from .state import RefreshToken, TenantState

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
        organization: Within which, if any.
        actor: The `act` claim, if any.
        refreshable: Whether a refresh token may be issued if asked for.
    """

    application: Application
    user: User
    api: Api | None
    requested_scopes: tuple[str, ...]
    organization: Organization | None = None
    actor: Mapping[str, Any] | None = field(default=None)
    refreshable: bool = True

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return the scopes granted: requested ones the API knows, in that order."""
        known = OIDC_SCOPES | set(self.api.scopes if self.api else ())
        if not self._offline:
            known -= {"offline_access"}
        return tuple(scope for scope in self.requested_scopes if scope in known)

    @property
    def _offline(self) -> bool:
        return (
            self.refreshable
            and REFRESH_TOKEN in self.application.grant_types
            and (self.api is None or self.api.allow_offline_access)
        )


def token_reply(
    state: TenantState, grant: Grant, members: Mapping[str, Any] | None = None
) -> Reply:
    """Issue the tokens of *grant*, and return the reply of RFC 6749 5.1.

    Args:
        state: The tenant.
        grant: What was decided.
        members: More members, such as issued_token_type.
    """
    now, scopes = int(state.clock()), grant.scopes
    lifetime = grant.api.token_lifetime if grant.api else _OPAQUE_LIFETIME
    body: dict[str, Any] = {"access_token": _access_token(state, grant, now, lifetime)}
    if "offline_access" in scopes:
        body["refresh_token"] = _refresh_token(state, grant)
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
    application = state.applications.get(audience)
    if application is None:
        return state.keys.sign(full)
    return _sign_id_token(state, application, full)


def _sign_id_token(
    state: TenantState, application: Application, claims: Mapping[str, Any]
) -> str:
    algorithm = application.id_token_signing_algorithm
    if algorithm != "HS256":
        return state.keys.sign(claims, algorithm)
    secret = (application.client_secret or "").encode()
    return jwts.sign(claims, OctKey(secret, secret), "HS256")


def _access_token(state: TenantState, grant: Grant, now: int, lifetime: int) -> str:
    api, client_id = grant.api, grant.application.client_id
    if api is None:
        return state.new_id()
    audience: str | list[str] = api.identifier
    if "openid" in grant.scopes:
        audience = [api.identifier, f"{state.issuer}userinfo"]
    claims: dict[str, Any] = {
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
    return state.keys.sign({**claims, "azp": client_id}, api.signing_algorithm)


def _id_token(state: TenantState, grant: Grant, now: int) -> str:
    application = grant.application
    claims: dict[str, Any] = {
        **grant.user.claims(grant.scopes),
        "iss": state.issuer,
        "aud": application.client_id,
        "sub": grant.user.user_id,
        "iat": now,
        "exp": now + application.id_token_lifetime,
        **_shared_claims(state, grant.organization, grant.actor),
    }
    if state.id_token_alteration is not None:
        claims = dict(state.id_token_alteration(claims))
    return _sign_id_token(state, application, claims)


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


def _refresh_token(state: TenantState, grant: Grant) -> str:
    issued = RefreshToken(
        token=state.new_id(),
        client_id=grant.application.client_id,
        user_id=grant.user.user_id,
        audience=grant.api.identifier if grant.api else None,
        scopes=grant.scopes,
        organization=grant.organization.id if grant.organization else None,
        issued_at=state.clock(),
    )
    return state.refresh_tokens.add(issued).token
