"""The token cache in memory: its bound, its locks, and what it prints."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.caches import MemoryTokenCache
from auth0_tx.core.cache.tokens import CachedTokens
from auth0_tx.errors import ConfigurationError
from auth0_tx.values import TokenExchangeResponse
from tests.core.world import NOW, SECRETS


def tokens(ends: float = 100.0) -> CachedTokens:
    """Return tokens that last *ends* seconds."""
    response = TokenExchangeResponse(
        access_token=SECRETS["access_token"], token_type="Bearer", expires_in=100
    )
    return CachedTokens(
        response=response,
        lifetime=100,
        stored_at=NOW,
        renew_at=NOW + ends,
        ends_at=NOW + ends,
    )


@pytest.mark.parametrize("most", [0, -1, True, 1.5, "1", None])
def test_bound(most: Any) -> None:
    """``max_entries`` must be a whole number above 0."""
    with pytest.raises(ConfigurationError, match="max_entries"):
        MemoryTokenCache(most)


def test_least_recently_used() -> None:
    """To make room, the least recently used entry goes."""
    cache = MemoryTokenCache(max_entries=2)
    kept = [tokens() for _ in range(3)]
    cache.keep(b"a", kept[0], NOW)
    cache.keep(b"b", kept[1], NOW)
    cache.find(b"a", NOW)
    cache.keep(b"c", kept[2], NOW)

    assert [kept[0], None, kept[2]] == [
        cache.find(key, NOW) for key in (b"a", b"b", b"c")
    ]


def test_ended() -> None:
    """An ended entry isn't found, and is dropped when the next one is stored."""
    cache = MemoryTokenCache()
    for key in (b"a", b"b"):
        cache.keep(key, tokens(10), NOW)
    assert cache.find(b"b", NOW + 10) is None
    cache.keep(b"c", tokens(20), NOW + 10)

    assert 1 == len(cache)


def test_ended_before() -> None:
    """Tokens that have already ended aren't stored, not even as the only ones."""
    cache = MemoryTokenCache()
    cache.keep(b"a", tokens(10), NOW + 10)

    assert 0 == len(cache)


@given(
    st.lists(st.tuples(st.sampled_from("klf"), st.integers(0, 9), st.integers(0, 30)))
)
def test_any_use(steps: list[tuple[str, int, int]]) -> None:
    """The bound holds in any use, and the newest live tokens are found."""
    cache, expected, now = MemoryTokenCache(max_entries=20), {}, NOW
    for step, number, seconds in steps:
        key = b"%d" % number
        if step == "k":
            expected[key] = tokens(now - NOW + seconds)
            cache.keep(key, expected[key], now)
        elif step == "l":
            now += seconds
        else:
            found = expected.get(key)
            good = found if found is not None and found.is_good(now) else None

            assert cache.find(key, now) is good
    assert len(cache) <= 10


def test_locks() -> None:
    """A key has one owner, who alone can free it, and whose lock ends by itself."""
    cache = MemoryTokenCache(max_entries=2)

    assert cache.lock("key", b"one", until=10, now=0)
    assert not cache.lock("key", b"two", until=10, now=0)
    cache.unlock("key", b"two")
    assert not cache.lock("key", b"two", until=10, now=9)
    assert cache.lock("key", b"two", until=20, now=10)
    cache.unlock("key", b"two")
    assert cache.lock("key", b"one", until=30, now=11)
    for number in range(5):
        assert cache.lock(f"{number}", b"one", until=30, now=11)
    assert len(cache._locks) <= 2


def test_nothing_shows() -> None:
    """Neither a cache nor its content prints, or can be pickled."""
    cache = MemoryTokenCache(max_entries=5)
    cache.keep(b"a", tokens(), NOW)

    assert "MemoryTokenCache(max_entries=5)" == repr(cache)
    assert SECRETS["access_token"] not in repr(tokens())
    with pytest.raises(TypeError):
        cache.__reduce_ex__(2)
