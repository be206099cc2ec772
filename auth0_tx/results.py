"""The results of a bulk exchange and of a tenant check.

They are apart from ``values``, which a process loads for its first exchange.
"""

from __future__ import annotations

import attrs

from .errors import CustomTokenExchangeError, SigningKeyError
from .secret import Unpicklable
from .values import TokenExchangeResponse


@attrs.frozen(kw_only=True)
class BulkExchangeResult(Unpicklable):
    """The outcome of one row of ``exchange_many``: either *response* or *error* is ``None``.

    Attributes:
        index: the row's place in the input, from 0.
        response: the tokens.
        error: how the exchange failed.  With ``retry_safe`` the row may be given to another
            ``exchange_many``.
    """

    index: int
    response: TokenExchangeResponse | None = None
    error: CustomTokenExchangeError | None = None


@attrs.frozen(kw_only=True)
class TenantCheck:
    """A tenant's answers when its documents were fetched for a check.

    Attributes:
        issuer: the tenant's issuer, as its ID tokens name it.
        signing_keys: how many of its published keys can verify a token.
        keys_error: the reason why the keys could not be fetched or read, if so.
        clock_skew: seconds that this machine's clock is ahead of the tenant, to a second
            or two; ``None`` if the tenant's answer has no valid ``Date``.
    """

    issuer: str
    signing_keys: int
    keys_error: SigningKeyError | None = None
    clock_skew: float | None = None
