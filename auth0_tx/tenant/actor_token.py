"""Checks the actor's token before the Action sees it, where Auth0 does so itself."""

from __future__ import annotations

import attrs

from . import jwts
from .action_event import EventUser
from .applications import Application
from .parameters import Parameters
from .profiles import ID_TOKEN_TYPE, is_reserved
from .state import TenantState

# An ID token signed with a client's secret (HS256) proves nothing to the tenant.
_ALGORITHMS = frozenset({"RS256", "PS256"})


class _Invalid(Exception):
    pass


def actor_token_user(
    state: TenantState, application: Application, parameters: Parameters
) -> EventUser | None:
    """Return the user named by an actor_token that is an ID token of this tenant.

    Returns None for any other type: the Action has to verify that itself.

    Raises:
        Refused: The ID token does not hold, or the type is a reserved one.
    """
    token = parameters.get("actor_token")
    token_type = parameters.get("actor_token_type")
    if token is None or token_type is None:
        return None
    if token_type != ID_TOKEN_TYPE:
        if is_reserved(token_type, by_prefix=state.settings.reserved_by_prefix):
            raise state.wording.reserved_actor_token_type.refused(type=token_type)
        return None
    try:
        return _user(state, application, token)
    except (_Invalid, jwts.InvalidJwt) as error:
        raise state.wording.invalid_actor_token.refused(reason=str(error)) from None


def _user(state: TenantState, application: Application, token: str) -> EventUser:
    # Signature, expiry, issuer and user are checked; and it must be the client's own.
    signing_key = state.keys.find(jwts.peek(token).header.get("kid"))
    if signing_key is None:
        raise _Invalid("no applicable key found in the JSON Web Key Set")
    claims = jwts.verify(token, signing_key.key, _ALGORITHMS).claims
    for name in ("iss", "sub", "aud", "exp", "iat"):
        if name not in claims:
            raise _Invalid(f"missing required '{name}' claim")
    if claims["iss"] != state.issuer:
        raise _Invalid("unexpected 'iss' claim value")
    audience = claims["aud"]
    if application.client_id not in (
        audience if isinstance(audience, list) else [audience]
    ):
        raise _Invalid("unexpected 'aud' claim value")
    expires = claims["exp"]
    if not isinstance(expires, (int, float)) or expires <= state.clock():
        raise _Invalid("'exp' claim timestamp check failed")
    user = state.users.get(claims["sub"]) if isinstance(claims["sub"], str) else None
    if user is None:
        raise _Invalid("user not found")
    if user.blocked:
        raise _Invalid("user is blocked")
    shown = {attribute.name for attribute in attrs.fields(EventUser)}
    return EventUser(**attrs.asdict(user, filter=lambda a, _: a.name in shown))
