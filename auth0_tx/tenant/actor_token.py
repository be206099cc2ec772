"""Checks an actor's ID token before the Action sees it, as Auth0 does.

Auth0 verifies an actor_token itself only if it is one of its own ID tokens: signature,
issuer, audience, expiry and user. Any other type is for the Action to verify. The
reasons are worded like panva/jose, the library that the one message seen from Auth0,
"'exp' claim timestamp check failed", comes from.
"""

from __future__ import annotations

import attrs

from . import jwts
from .action_event import EventUser
from .applications import Application
from .parameters import Parameters
from .profiles import ID_TOKEN_TYPE, is_reserved
from .state import TenantState

# Not HS256: whoever knows the client's secret can sign with it, so that such an ID
# token proves nothing to the tenant.
_ALGORITHMS = frozenset({"RS256", "PS256"})


class _InvalidActorToken(Exception):
    pass


def find_actor_user(
    state: TenantState, application: Application, parameters: Parameters
) -> EventUser | None:
    """Return the user of an actor_token that is an ID token of this tenant.

    Returns ``None`` for any other type: the Action has to verify that itself.

    Raises:
        RequestRefused: The ID token is invalid, or the type is a reserved one.
    """
    token = parameters.get("actor_token")
    token_type = parameters.get("actor_token_type")
    if token is None or token_type is None:
        return None
    if token_type != ID_TOKEN_TYPE:
        if is_reserved(token_type, by_prefix=state.settings.reserved_by_prefix):
            raise state.wording.reserved_actor_token_type.to_exception(type=token_type)
        return None
    try:
        return _verify_id_token(state, application, token)
    except (_InvalidActorToken, jwts.InvalidJwt) as error:
        refusal = state.wording.invalid_actor_token
        raise refusal.to_exception(reason=str(error)) from None


def _verify_id_token(
    state: TenantState, application: Application, token: str
) -> EventUser:
    signing_key = state.keys.find(jwts.peek(token).header.get("kid"))
    if signing_key is None:
        raise _InvalidActorToken("no applicable key found in the JSON Web Key Set")
    claims = jwts.verify(token, signing_key.key, _ALGORITHMS).claims
    # OIDC Core 2: the claims that every ID token has.
    for name in ("iss", "sub", "aud", "exp", "iat"):
        if name not in claims:
            raise _InvalidActorToken(f"missing required '{name}' claim")
    if claims["iss"] != state.issuer:
        raise _InvalidActorToken("unexpected 'iss' claim value")
    audience = claims["aud"]
    # The client's own: an ID token issued to another application is not its to use.
    if application.client_id not in (
        audience if isinstance(audience, list) else [audience]
    ):
        raise _InvalidActorToken("unexpected 'aud' claim value")
    expires_at = claims["exp"]
    if not isinstance(expires_at, (int, float)) or expires_at <= state.clock():
        raise _InvalidActorToken("'exp' claim timestamp check failed")
    user = state.users.get(claims["sub"]) if isinstance(claims["sub"], str) else None
    if user is None:
        raise _InvalidActorToken("user not found")
    if user.blocked:
        raise _InvalidActorToken("user is blocked")
    # Auth0 shows the Action a part of the user alone.
    shown = {attribute.name for attribute in attrs.fields(EventUser)}
    return EventUser(
        **attrs.asdict(user, filter=lambda attribute, _: attribute.name in shown)
    )
