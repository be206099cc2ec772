"""Cached tokens: how long they serve, which are not cached, and how they are sealed."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.cache.tokens import (
    CachedTokens,
    make_cached_tokens,
    open_entry,
    own_copy,
    read_tokens,
    seal_entry,
    write_tokens,
)
from auth0_tx.errors import IdTokenError
from auth0_tx.values import CachePolicy, TokenExchangeResponse
from tests.core.world import NOW, SECRETS

POLICY = CachePolicy(margin_seconds=30, renew_seconds=100)


def response(**changes: Any) -> TokenExchangeResponse:
    """Return a response of the token endpoint."""
    given: dict[str, Any] = {
        "access_token": SECRETS["access_token"],
        "token_type": "Bearer",
        "expires_in": 3_600,
        "scope": "openid",
        **changes,
    }
    return TokenExchangeResponse(**given)


def cache_response(
    policy: CachePolicy = POLICY,
    *,
    tokens_end: float = inf,
    renewable: bool = True,
    random: float = 0.0,
    **changes: Any,
) -> CachedTokens | None:
    """Return what is cached of a response."""
    return make_cached_tokens(
        response(**changes),
        policy,
        tokens_end=tokens_end,
        renewable=renewable,
        now=NOW,
        random=random,
    )


def measure_lifetime(policy: CachePolicy = POLICY, **changes: Any) -> float:
    """Return for how many seconds a response serves."""
    tokens = cache_response(policy, **changes)
    return 0.0 if tokens is None else tokens.ends_at - NOW


def test_expiry() -> None:
    """Tokens serve until the margin before their expiry."""
    tokens = cache_response()
    assert tokens is not None

    assert 3_570 == tokens.ends_at - NOW
    assert tokens.is_good(NOW)
    assert tokens.is_good(NOW + 3_569.9)
    assert not tokens.is_good(NOW + 3_570)


def test_clocks_apart() -> None:
    """Tokens of a process whose clock is up to a minute ahead serve, for no longer than issued."""
    tokens = cache_response()
    assert tokens is not None
    read = read_tokens(write_tokens(tokens), NOW - 0.2)
    assert read is not None

    assert tokens.is_good(NOW - 0.2)
    assert tokens.is_good(NOW - 60)
    assert not tokens.is_good(NOW - 61)
    assert 3_600 == tokens.to_response(NOW - 59).expires_in
    assert 3_600 == read.response.expires_in
    assert 3_600 == read.to_response(NOW - 59).expires_in
    assert 3_599 == read.to_response(NOW + 1).expires_in


def test_other_limits() -> None:
    """Tokens outlive neither the policy's age nor the exchanged tokens."""
    assert 60 == measure_lifetime(CachePolicy(max_age=60))
    assert 10 == measure_lifetime(tokens_end=NOW + 10)
    assert 0 == measure_lifetime(tokens_end=NOW - 1)
    assert 0 == measure_lifetime(tokens_end=0.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_in": None},
        {"expires_in": 30},
        {"refresh_token": SECRETS["refresh_token"]},
        {"token_type": "N_A"},
        {"act_error": IdTokenError("no")},
    ],
    ids=["no-lifetime", "too-short", "refresh-token", "no-bearer", "no-actor"],
)
def test_not_for_a_cache(changes: dict[str, Any]) -> None:
    """A response without a lifetime, for one caller, or with an error in it isn't cached."""
    assert cache_response(**changes) is None


def test_what_is_left() -> None:
    """Cached tokens are returned with the seconds that they last from then."""
    tokens = cache_response()
    assert tokens is not None

    assert [3_600, 3_600, 3_595, 3_500] == [
        tokens.to_response(NOW + passed).expires_in for passed in (0, 0.9, 5, 100)
    ]


def test_end() -> None:
    """The moment at which cached tokens expire is the same whenever they are returned."""
    ends = int(NOW) + 3_600
    tokens = cache_response(expires_at=ends)
    assert tokens is not None
    again = read_tokens(write_tokens(tokens), NOW + 7)
    assert again is not None

    assert [ends] * 3 == [
        tokens.to_response(NOW + 5).expires_at,
        again.response.expires_at,
        again.to_response(NOW + 100).expires_at,
    ]


def test_renewal() -> None:
    """Tokens are renewed in the last part of their lifetime, at a random moment."""
    early, late = cache_response(random=0.0), cache_response(random=0.99)
    assert early is not None
    assert late is not None

    assert 100 == early.ends_at - early.renew_at
    assert 50 < late.ends_at - late.renew_at < 51


def test_short_lives() -> None:
    """A short lifetime leaves at most a fifth for renewal."""
    tokens = cache_response(CachePolicy(margin_seconds=0), expires_in=100)
    assert tokens is not None

    assert 20 == tokens.ends_at - tokens.renew_at


def test_no_renewal() -> None:
    """Tokens that may be good for one use are never exchanged early."""
    for tokens in (
        cache_response(renewable=False),
        cache_response(CachePolicy(renew_seconds=0)),
    ):
        assert tokens is not None
        assert inf == tokens.renew_at


@given(
    act=st.none() | st.dictionaries(st.text(), st.text()),
    scope=st.none() | st.text(),
    renewable=st.booleans(),
)
def test_round_trip(act: Any, scope: str | None, renewable: bool) -> None:
    """Tokens that were written, sealed and opened are read back unchanged."""
    tokens = cache_response(act=act, scope=scope, renewable=renewable)
    assert tokens is not None
    payload = open_entry(b"k" * 32, seal_entry(b"k" * 32, write_tokens(tokens), "a"))
    assert payload is not None
    read = read_tokens(payload, NOW)
    assert read is not None

    assert tokens.response == read.response
    assert (tokens.stored_at, tokens.renew_at, tokens.ends_at) == (
        read.stored_at,
        read.renew_at,
        read.ends_at,
    )


@given(st.binary(max_size=60))
def test_what_was_not_sealed(octets: bytes) -> None:
    """Anything else under a key does not open."""
    assert open_entry(b"k" * 32, octets) is None


@given(st.integers(min_value=0), st.integers(1, 255))
def test_altered(at: int, by: int) -> None:
    """An entry with one bit changed, or of another key, does not open."""
    octets = bytearray(seal_entry(b"k" * 32, b"payload", "a"))
    octets[at % len(octets)] ^= by

    assert open_entry(b"k" * 32, bytes(octets)) is None
    assert open_entry(b"l" * 32, seal_entry(b"k" * 32, b"payload", "a")) is None


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b"7", b"[1,2,3]", b"\xff"])
def test_another_version(payload: bytes) -> None:
    """An entry of another version of the library isn't read."""
    assert read_tokens(payload, NOW) is None


def test_own_copy() -> None:
    """Callers that share a response cannot change each other's."""
    shared = response(act={"sub": "agent"}, act_error=IdTokenError("no"))
    mine, yours = own_copy(shared), own_copy(shared)
    assert mine.act is not None
    mine.act["sub"] = "me"

    assert yours.act == shared.act == {"sub": "agent"}
    assert mine.act_error is not yours.act_error
    assert str(mine.act_error) == str(shared.act_error)
