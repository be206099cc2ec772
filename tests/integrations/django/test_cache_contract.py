"""The contract of a store, run against each kind of cache that Django has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

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


class _StoreInThread:
    """A store whose methods run in one thread, which has the connection to its database."""

    def __init__(self, store: Any, thread: ThreadPoolExecutor) -> None:
        self._store, self._thread = store, thread

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)
        return lambda *args, **named: self._thread.submit(
            method, *args, **named
        ).result()


@pytest.fixture(params=CACHES)
def store(
    request: pytest.FixtureRequest,
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
        if request.param != "database":
            yield StoreUnderTest(DjangoCacheStore(), False)
            return

        def drop() -> None:
            with connection.cursor() as cursor:
                cursor.execute("DROP TABLE cached_sessions")
            # Django keeps a database in memory open; this thread's ends here.
            connection.connection.close()
            connection.connection = None

        # The tests of the contract are async, and Django refuses its database on an event loop.
        with ThreadPoolExecutor(1) as thread:
            create = partial(call_command, "createcachetable", verbosity=0)
            thread.submit(create).result()
            yield StoreUnderTest(_StoreInThread(DjangoCacheStore(), thread), False)
            thread.submit(drop).result()
