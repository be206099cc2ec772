"""The result of one refresh, apart from ``Rotations``, which clients without sessions have too."""

from __future__ import annotations

from typing import Any

import attrs

from ...errors import CustomTokenExchangeError
from ...values import TokenExchangeResponse


@attrs.frozen(eq=False)
class RefreshOutcome:
    """The result of one refresh, or of another exchange for a session.

    Attributes:
        audience: the audience that was sent, if one was.
        scope: the scope that was sent, if one was.
        response: the tokens.
        claims: those of its ID token, verified; ``None`` if there is no new one.
        at: epoch seconds of the response.
        is_refresh: whether a refresh token brought it.
        is_rotated: whether the refresh token that was sent is spent, as another came.
        problem: what is wrong with the response, or with its ID token.  The refresh token is
            kept, as the one before is spent; the access token is not handed out.
    """

    audience: str | None
    scope: str | None
    response: TokenExchangeResponse
    claims: dict[str, Any] | None = attrs.field(repr=False)
    at: float
    is_refresh: bool = False
    is_rotated: bool = False
    problem: CustomTokenExchangeError | None = None
