"""The contract of a store, run against each kind of cache that Django has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frameworks import django_settings  # noqa: F401
from tests.stores.store_under_test import StoreUnderTest
from tests.stores.test_store_contract import (  # noqa: F401
    test_a_write_renews_the_time,
    test_add_to_index_again,
    test_delete,
    test_delete_what_is_expected,
    test_expiry,
    test_index,
    test_index_lasts_as_its_longest,
    test_no_update_is_lost,
    test_racing_to_add,
    test_racing_to_be_first,
    test_racing_to_remove,
    test_racing_to_replace,
    test_remove_everything_from_index,
    test_remove_from_index,
    test_set_where_nothing_is,
    test_set_where_something_is,
    test_values_are_exact,
    test_what_is_set,
)

_ONE_BY_ONE = {
    "file": "a cache in files does not add a key in one step",
    "database": "the database of these tests is in memory, for one connection",
}
_AT_ONCE = {
    "test_racing_to_be_first",
    "test_racing_to_replace",
    "test_racing_to_add",
    "test_racing_to_remove",
    "test_no_update_is_lost",
}
CACHES = ("redis", "locmem", "database", "file")


@pytest.fixture(params=CACHES)
def store(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    redis_url: str,
    redis_prefix: str,
    tmp_path: Path,
) -> Iterator[StoreUnderTest]:
    """Return a store over each kind of cache."""
    from django.core.management import call_command
    from django.db import connection
    from django.test import override_settings

    from auth0_tx.integrations.django import DjangoCacheStore

    if request.param in _ONE_BY_ONE and request.function.__name__ in _AT_ONCE:
        pytest.skip(_ONE_BY_ONE[request.param])
    backends = "django.core.cache.backends"
    cache = {
        "redis": {
            "BACKEND": f"{backends}.redis.RedisCache",
            "LOCATION": redis_url,
            "KEY_PREFIX": redis_prefix,
        },
        "locmem": {
            "BACKEND": f"{backends}.locmem.LocMemCache",
            "LOCATION": redis_prefix,
        },
        "database": {
            "BACKEND": f"{backends}.db.DatabaseCache",
            "LOCATION": "cached_sessions",
        },
        "file": {
            "BACKEND": f"{backends}.filebased.FileBasedCache",
            "LOCATION": str(tmp_path),
        },
    }[request.param]
    with override_settings(CACHES={"default": cache}):
        if request.param == "database":
            # The tests of the contract are async; nothing else uses their event loop.
            monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
            call_command("createcachetable", verbosity=0)
        yield StoreUnderTest(DjangoCacheStore(), False)
        if request.param == "database":
            with connection.cursor() as cursor:
                cursor.execute("DROP TABLE cached_sessions")
