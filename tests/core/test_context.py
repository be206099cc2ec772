"""The state that a client's flows share, and how long it is valid."""

from __future__ import annotations

import pytest

from auth0_tx.core.context import BoundedCache, CachedDocument, Context
from auth0_tx.values import RetryPolicy
from tests.core.world import METADATA, NOW, SECRETS, Clock, build_client


@pytest.mark.parametrize(
    ("kept", "fresh"),
    [
        (CachedDocument("x", NOW, NOW + 1), True),
        (CachedDocument("x", NOW - 10, NOW + 0.001), True),
        (CachedDocument("x", NOW - 10, NOW), False),
        (CachedDocument("x", NOW + 1, NOW + 100), False),
        (CachedDocument("x", NOW - 10, NOW - 5, retry_at=NOW + 1), True),
        (CachedDocument("x", NOW - 10, NOW - 5, retry_at=NOW), False),
        (CachedDocument("x", NOW + 1, NOW + 2, retry_at=NOW + 30), False),
    ],
)
def test_fresh(kept: CachedDocument[str], fresh: bool) -> None:
    """A document is used unasked while it is fresh, and a while after a failed refresh."""
    assert fresh is kept.is_fresh(NOW)


@pytest.mark.parametrize(
    ("refresh_at", "fresh_until", "found"),
    [
        (NOW + 1, NOW + 1, "x"),
        (NOW, NOW + 1, None),
        (NOW + 1, NOW, None),
    ],
)
def test_due(refresh_at: float, fresh_until: float, found: str | None) -> None:
    """A document that is due for a refresh is not found by those who would not refresh it."""
    cache: BoundedCache[str] = BoundedCache(2)
    document = CachedDocument("x", NOW - 10, fresh_until, refresh_at)
    cache.add("a", document)

    assert found == cache.find_fresh("a", NOW)
    assert (NOW >= refresh_at) is document.is_due(NOW)


def test_cache_replaces_in_place() -> None:
    """A document is replaced in one step, is the newest then, and pushes the oldest out."""
    cache: BoundedCache[str] = BoundedCache(2)
    for name in ("a", "b", "a", "c"):
        cache.replace(name, CachedDocument(name, NOW, NOW))

    assert ["a", "c"] == list(cache)


def test_cache() -> None:
    """A cache is bounded, and forgets what was least recently stored."""
    cache: BoundedCache[str] = BoundedCache(2)
    for name in ("a", "b", "a", "c"):
        cache.add(name, CachedDocument(name, NOW, NOW))

    assert cache.get("b") is None
    assert ["a", "c"] == [kept.value for key in "ac" if (kept := cache.get(key))]


def test_cache_replaces() -> None:
    """Storing a key again replaces its value, and pushes nothing out."""
    cache: BoundedCache[str] = BoundedCache(2)
    for name, value in (("a", "old"), ("b", "b"), ("a", "new")):
        cache.add(name, CachedDocument(value, NOW, NOW))
    a, b = cache.get("a"), cache.get("b")

    assert a is not None
    assert b is not None
    assert ("new", "b") == (a.value, b.value)


def test_many_tenants() -> None:
    """A client of many tenants keeps a hundred of their documents."""
    context = build_client(Clock(), domain=str)
    for number in range(1_000):
        context.metadata.add(
            f"t{number}.auth0.com", CachedDocument(METADATA, NOW, NOW + 60)
        )
    kept = [
        number
        for number in range(1_000)
        if context.metadata.get(f"t{number}.auth0.com")
    ]

    assert list(range(900, 1_000)) == kept


def test_clients_share_nothing(context: Context, clock: Clock) -> None:
    """Two clients have caches and a budget of their own."""
    other = build_client(clock, retry=RetryPolicy(budget=7))

    assert other.metadata is not context.metadata
    assert other.key_sets is not context.key_sets
    assert (50, 7) == (context.retries.budget, other.retries.budget)


def test_context_prints_no_secret(context: Context) -> None:
    """The shared state does not print secrets."""
    assert SECRETS["client_secret"] not in repr(context)
    assert repr(b"k" * 32) not in repr(context)
