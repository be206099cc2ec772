"""Exchanged tokens as they are cached: for how long, when renewed, and written how.

Time and chance are arguments.  What is given from a cache says how long it lasts from now.
"""

from __future__ import annotations

import json
from math import inf

import attrs

from ..secret import SecretBytes, Unpicklable
from ..values import CachePolicy, TokenExchangeResponse

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_decode = json.JSONDecoder().raw_decode

_RENEWED_PART = 0.2
"""The part of its time, at its end, in which a short-lived token may be renewed."""

_JITTER = 0.5
"""The part of the time for renewal by which tokens that came together may differ."""


@attrs.define(kw_only=True, eq=False)
class CachedTokens(Unpicklable):
    """What one exchange brought, and how long it serves others.

    Attributes:
        response: the tokens, as they were given last.
        lifetime: seconds that they last from when they came.
        stored_at: epoch seconds, when they came.
        renew_at: epoch seconds, from when one caller renews them.
        ends_at: epoch seconds, from when they are not given any more.
    """

    response: TokenExchangeResponse
    lifetime: int
    stored_at: float
    renew_at: float
    ends_at: float

    def is_good(self, now: float) -> bool:
        """Tell whether they may be given; a clock that was set back makes them useless."""
        return self.stored_at <= now < self.ends_at

    def given(self, now: float) -> TokenExchangeResponse:
        """Give the tokens, with the seconds that they last from *now*."""
        left = self.lifetime - int(now - self.stored_at)
        given = self.response
        # Most who ask within a second of each other can have the same value.
        if given.expires_in != left:
            given = self.response = attrs.evolve(given, expires_in=left)
        return own_copy(given)


def cached_tokens(
    response: TokenExchangeResponse,
    policy: CachePolicy,
    *,
    tokens_end: float,
    renewable: bool,
    now: float,
    random: float,
) -> CachedTokens | None:
    """Make what is cached of an answer; ``None`` where it is not for a cache.

    Args:
        response: the answer.
        policy: the application's.
        tokens_end: epoch seconds, when the first of the tokens that were exchanged ends.
        renewable: whether the same tokens may be exchanged again.
        now: epoch seconds.
        random: at least 0, less than 1: the jitter.
    """
    # Trouble with an actor must not last longer than itself.
    if not is_shareable(response) or response.act_error is not None:
        return None
    if response.expires_in is None:
        return None
    ends = min(
        now + response.expires_in - policy.margin_seconds,
        now + (policy.max_age if policy.max_age is not None else inf),
        tokens_end,
    )
    if ends <= now:
        return None
    lead = min(policy.renew_seconds, (ends - now) * _RENEWED_PART)
    renew = ends - lead * (1 - _JITTER * random) if renewable and lead else inf
    return CachedTokens(
        response=response,
        lifetime=response.expires_in,
        stored_at=now,
        renew_at=renew,
        ends_at=ends,
    )


def own_copy(response: TokenExchangeResponse) -> TokenExchangeResponse:
    """Give one of several callers an answer that no other can change."""
    act, error = response.act, response.act_error
    if act is None and error is None:
        return response
    return attrs.evolve(
        response,
        act=None if act is None else _decode(_encode(act))[0],
        act_error=None if error is None else error.evolve(),
    )


def is_shareable(response: TokenExchangeResponse) -> bool:
    """Tell whether an answer may serve more than one caller.

    A refresh token that rotates is spent by the first of two who use it, and what is no
    bearer token may be good for one use.
    """
    return response.refresh_token is None and response.token_type.lower() == "bearer"


def write_tokens(tokens: CachedTokens) -> bytes:
    """Write tokens as JSON, to be sealed."""
    response = tokens.response
    value = (
        # JSON has no infinity.
        None if tokens.renew_at == inf else tokens.renew_at,
        tokens.stored_at,
        tokens.ends_at,
        tokens.lifetime,
        response.access_token,
        response.token_type,
        response.scope,
        response.issued_token_type,
        response.id_token,
        response.act,
    )
    return SecretBytes(_encode(value).encode("utf-8", "surrogatepass"))


def read_tokens(payload: bytes, now: float) -> CachedTokens | None:
    """Read what :func:`write_tokens` wrote; ``None`` for all else.

    It was sealed, so that nobody else has written it: what is in it need not be looked at.

    Args:
        payload: what was written.
        now: epoch seconds, at which the tokens are to be given.
    """
    try:
        (renew_at, stored_at, ends_at, lifetime, *values), _ = _decode(
            payload.decode("utf-8", "surrogatepass")
        )
        access_token, token_type, scope, issued_token_type, id_token, act = values
    except (ValueError, TypeError, RecursionError):
        return None
    return CachedTokens(
        response=TokenExchangeResponse(
            access_token=access_token,
            token_type=token_type,
            expires_in=lifetime - int(now - stored_at),
            scope=scope,
            issued_token_type=issued_token_type,
            id_token=id_token,
            act=act,
        ),
        lifetime=lifetime,
        stored_at=stored_at,
        renew_at=inf if renew_at is None else renew_at,
        ends_at=ends_at,
    )
