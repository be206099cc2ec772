"""Verifying an ID token: its keys from the tenant, its claims against what was asked.

The ``act`` claim says who acts for the user, so it is read from a verified ID token and
from nothing else.  Verification comes after the tokens were issued: whatever goes wrong
here must not lose them, so an exchange returns them with ``act_error``.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from ...errors import CustomTokenExchangeErrorCode as Code
from ...errors import IdTokenError, SigningKeyError
from ...values import CustomTokenExchangeOptions, TokenExchangeResponse
from ..context import Call
from ..effects import Flow
from ..wire.metadata import Metadata
from .tenant_documents import load_keys

if TYPE_CHECKING:
    from ..jose.keys import KeySet

T = TypeVar("T")

ID_TOKEN_ALGORITHMS = ("RS256", "PS256")
"""Auth0's signature algorithms; HS256 is left out, as its key is the client's secret."""


def verify_id_token(
    call: Call,
    metadata: Metadata,
    tokens: TokenExchangeResponse,
    organization: str | None,
) -> Flow[dict[str, Any]]:
    """Return the claims of the response's ID token.

    Raises:
        IdTokenError: the ID token is missing or invalid; the tokens were issued.
        SigningKeyError: the keys to verify it cannot be fetched.
    """
    # Here and not at the top: an exchange without an ID token needs no JOSE library.
    from ..jose.id_token import Expected, check_id_token

    if tokens.id_token is None:
        raise _NO_ID_TOKEN.evolve()
    id_token = tokens.id_token
    expected = Expected(
        issuer=metadata.issuer,
        client_id=call.settings.client_id,
        now=call.context.clock(),
        # Whoever asks for an organization must check that the token is for it (Auth0).
        organization=organization,
        access_token=tokens.access_token,
    )

    def verify(keys: KeySet) -> dict[str, Any] | IdTokenError:
        return check_id_token(id_token, keys, expected, algorithms=ID_TOKEN_ALGORITHMS)

    claims: dict[str, Any] | IdTokenError
    try:
        claims = yield from verify_with_keys(call, metadata, id_token, verify)
    except SigningKeyError as error:
        claims = error
    # Raised outside the handler, so that it has no context.
    if isinstance(claims, IdTokenError):
        raise claims.evolve(tokens_issued=True)
    return claims


def verify_with_keys(
    call: Call,
    metadata: Metadata,
    token: str,
    verify: Callable[[KeySet], T | IdTokenError],
) -> Flow[T | IdTokenError]:
    """Verify a token with the tenant's keys, and once more if they turn out to be old.

    Args:
        call: the call.
        metadata: the tenant's.
        token: the token, whose ``kid`` is read from it unverified.
        verify: verifies the token with a set of keys.

    Returns:
        The result of *verify*.

    Raises:
        SigningKeyError: there are no keys to verify it with.
    """
    # Here and not at the top: an exchange without an ID token needs no JOSE library.
    from ..jose.jws import key_id, may_pass_with_other_keys

    kid = key_id(token)
    keys = yield from load_keys(call, metadata, kid)
    result = verify(keys)
    if not (isinstance(result, IdTokenError) and may_pass_with_other_keys(result)):
        return result
    try:
        newer = yield from load_keys(call, metadata, kid, failed=keys)
    except SigningKeyError:
        # The first answer stands: there were keys, and they did not verify the token.
        return result
    return result if newer is keys else verify(newer)


def add_actor(
    call: Call,
    options: CustomTokenExchangeOptions,
    metadata: Metadata,
    tokens: TokenExchangeResponse,
) -> Flow[TokenExchangeResponse]:
    """Return the response with the acting party, or with the reason why it has none."""
    sent_actor = options.actor_token is not None
    if tokens.id_token is None:
        return _without_actor(tokens, _NO_ID_TOKEN_FOR_ACTOR) if sent_actor else tokens
    # Verification needs the keys, and a first fetch of them takes a round trip.
    if not sent_actor and not _may_name_actor(tokens.id_token):
        return tokens
    try:
        claims = yield from verify_id_token(
            call, metadata, tokens, options.organization
        )
    # The tokens were issued: they are returned, and the actor is not known.
    except IdTokenError as error:
        return _without_actor(tokens, error)
    # Checked by now as RFC 8693 section 4.1 has it: an object with a sub at each level.
    act = claims.get("act")
    if act is None:
        return _without_actor(tokens, _NO_ACT) if sent_actor else tokens
    return attrs.evolve(tokens, act=act)


def _may_name_actor(id_token: str) -> bool:
    """Return whether verifying could bring an actor, by a look at the unverified claims.

    An Action may set an actor that was not asked for.  Most set none, and verifying takes
    longer than all the rest of an exchange.
    """
    try:
        payload = urlsafe_b64decode(id_token.split(".")[1] + "==")
    except (IndexError, ValueError):
        return False
    return b'"act"' in payload


def _without_actor(
    tokens: TokenExchangeResponse, error: IdTokenError
) -> TokenExchangeResponse:
    return attrs.evolve(tokens, act_error=error.evolve(tokens_issued=True))


_NO_ID_TOKEN = IdTokenError(
    "the server sent no ID token, so the user cannot be identified",
    Code.MISSING_ID_TOKEN,
    tokens_issued=True,
    hint="check that the tenant grants the scope openid to this application.",
)
_NO_ID_TOKEN_FOR_ACTOR = IdTokenError(
    "an actor token was sent, and the server sent no ID token that could name the actor",
    Code.MISSING_ID_TOKEN,
    hint="add openid to the scope; act is read from the ID token.",
)
_NO_ACT = IdTokenError(
    "an actor token was sent, and the ID token names no actor",
    hint="the Action of the profile must call api.authentication.setActor().",
)
