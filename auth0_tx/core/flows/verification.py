"""Verifying an ID token: its keys from the tenant, its claims against what was asked."""

from __future__ import annotations

from typing import Any

from ...errors import IdTokenError
from ...values import TokenExchangeResponse
from ..context import Context
from ..effects import Flow
from ..wire.metadata import Metadata
from .keys import keys_for

ID_TOKEN_ALGORITHMS = ("RS256", "PS256")
"""What Auth0 signs ID tokens with; HS256 is left out, as its key is the client's secret."""


def verified_claims(
    context: Context,
    metadata: Metadata,
    response: TokenExchangeResponse,
    organization: str | None,
    deadline: float,
) -> Flow[dict[str, Any]]:
    """Give the claims of the response's ID token.

    Raises:
        IdTokenError: the ID token does not hold.
        SigningKeyError: the keys to tell cannot be had.
    """
    from ..jose.id_token import Expected, check_id_token
    from ..jose.jws import key_id

    id_token = response.id_token
    assert id_token is not None
    keys = yield from keys_for(context, metadata, key_id(id_token), deadline)
    expected = Expected(
        issuer=metadata.issuer,
        client_id=context.settings.client_id,
        now=context.clock(),
        organization=organization,
        access_token=response.access_token,
    )
    checked = check_id_token(id_token, keys, expected, algorithms=ID_TOKEN_ALGORITHMS)
    if isinstance(checked, IdTokenError):
        raise checked
    return checked
