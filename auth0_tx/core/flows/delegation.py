"""Who acts: the ``act`` claim, read from a verified ID token and from nothing else."""

from __future__ import annotations

from base64 import urlsafe_b64decode

import attrs

from ...errors import CustomTokenExchangeErrorCode as Code
from ...errors import IdTokenError
from ...values import CustomTokenExchangeOptions, TokenExchangeResponse
from ..context import Context
from ..effects import Flow
from .granting import Exchanged
from .verification import verified_claims


def with_actor(
    context: Context, options: CustomTokenExchangeOptions, issued: Exchanged
) -> Flow[TokenExchangeResponse]:
    """Add the acting party to the response, or why it cannot be told.

    The tokens are issued by now, so no trouble with the ID token may lose them.
    """
    response, sent = issued.response, options.actor_token is not None
    if response.id_token is None:
        return _without(response, _NO_ID_TOKEN) if sent else response
    if not sent and not _may_name_actor(response.id_token):
        return response
    try:
        claims = yield from verified_claims(
            context, issued.metadata, response, options.organization, issued.deadline
        )
    except IdTokenError as error:
        failure = error
    else:
        act = claims.get("act")
        if act is None:
            return _without(response, _NO_ACT) if sent else response
        return attrs.evolve(response, act=act)
    return _without(response, failure)


def _may_name_actor(id_token: str) -> bool:
    """Look, unverified, whether verifying could bring an actor: an Action may set one unasked."""
    try:
        payload = urlsafe_b64decode(id_token.split(".")[1] + "==")
    except (IndexError, ValueError):
        return False
    return b'"act"' in payload


def _without(
    response: TokenExchangeResponse, error: IdTokenError
) -> TokenExchangeResponse:
    return attrs.evolve(response, act_error=error.evolve(tokens_issued=True))


_NO_ID_TOKEN = IdTokenError(
    "an actor token was sent, and no ID token came that could name the actor",
    Code.MISSING_ID_TOKEN,
    hint="add openid to the scope; act is read from the ID token.",
)
_NO_ACT = IdTokenError(
    "an actor token was sent, and the ID token names no actor",
    hint="the Action of the profile must call api.authentication.setActor().",
)
