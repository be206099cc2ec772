"""``/userinfo`` (OIDC Core 5.3): the claims of the user that an access token is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import jwts
from .http_messages import FORM, ReceivedRequest, Reply
from .opaque_tokens import AccessToken
from .state import TenantState
from .tokens import split_scope
from .wording import RequestRefused

PATH = "/userinfo"

_REALM = 'Bearer realm="Users"'


def answer_userinfo(state: TenantState, request: ReceivedRequest) -> Reply:
    """Answer with the user's claims, or with the challenge of RFC 6750 3."""
    try:
        return Reply.of(
            _read_claims(state, request), headers=(("Cache-Control", "no-store"),)
        )
    except RequestRefused as refused:
        return refused.reply


def _read_claims(state: TenantState, request: ReceivedRequest) -> dict[str, Any]:
    token = _read_bearer_token(request)
    if token is None:
        # RFC 6750 3.1: no error code in the challenge if no token was sent.
        raise state.wording.userinfo_unauthorized.to_exception(
            headers=(("WWW-Authenticate", _REALM),)
        )
    access = state.access_tokens.get(token, state.clock()) or _verify_jwt(state, token)
    user = state.users.get(access.user_id) if access is not None else None
    if access is None or user is None or user.blocked or "openid" not in access.scopes:
        # The same challenge for all: whoever holds a stolen token learns nothing.
        refusal = state.wording.userinfo_unauthorized
        challenge = f'{_REALM}, error="invalid_token"'
        raise refusal.to_exception(headers=(("WWW-Authenticate", challenge),))
    # Auth0 shows the actor here as well as in the tokens.
    actor = {} if access.actor is None else {"act": access.actor}
    return {"sub": user.user_id, **user.claims(access.scopes), **actor}


def _read_bearer_token(request: ReceivedRequest) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme:
        return token.strip() if scheme.lower() == "bearer" else None
    # RFC 6750 2.2: in a form, if the method is one that has a body.
    if request.method == "POST":
        media_type = request.headers.get("content-type", "").partition(";")[0]
        if media_type.strip().lower() == FORM:
            return dict(request.form).get("access_token")
    return None


def _verify_jwt(state: TenantState, token: str) -> AccessToken | None:
    try:
        key = state.keys.find(jwts.peek(token).header.get("kid"))
        if key is None:
            return None
        claims = jwts.verify(token, key.key, frozenset({key.algorithm})).claims
    except jwts.InvalidJwt:
        return None
    audience = claims.get("aud")
    # A token for an API is good here only if it was granted with openid.
    is_for_userinfo = (
        isinstance(audience, list) and f"{state.issuer}userinfo" in audience
    )
    if claims.get("iss") != state.issuer or not is_for_userinfo:
        return None
    return _to_access_token(claims, state.clock())


def _to_access_token(claims: Mapping[str, Any], now: float) -> AccessToken | None:
    sub, expires_at, scope = claims.get("sub"), claims.get("exp"), claims.get("scope")
    if not isinstance(sub, str) or not isinstance(scope, str):
        return None
    if not isinstance(expires_at, (int, float)) or expires_at <= now:
        return None
    return AccessToken(
        user_id=sub,
        scopes=split_scope(scope),
        actor=claims.get("act"),
        expires_at=expires_at,
    )
