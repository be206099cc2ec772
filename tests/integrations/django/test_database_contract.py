"""The contract of a store, run against each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.stores.django_databases import (
    IN_FILE,
    IN_MEMORY,
    CalledInThreads,
    open_database,
)
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

THREADS = {"memory": 1, "file": 8, "postgres": 8, "serializable": 8}


@pytest.fixture(params=THREADS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreUnderTest]:
    """Return a store over each kind of database."""
    from auth0_tx.integrations.django import DjangoDatabaseStore

    settings: dict[str, Any]
    if request.param in ("postgres", "serializable"):
        settings = dict(request.getfixturevalue("postgres"))
        if request.param == "serializable":
            # The server refuses a statement that meets another one: it is sent again.
            options = settings["OPTIONS"]["options"]
            level = f"{options} -c default_transaction_isolation=serializable"
            settings["OPTIONS"] = {"options": level}
    elif request.param == "file":
        settings = {**IN_FILE, "NAME": str(tmp_path / IN_FILE["NAME"])}
    else:
        settings = IN_MEMORY
    with (
        ThreadPoolExecutor(THREADS[request.param]) as threads,
        open_database(settings, threads) as alias,
    ):
        store = CalledInThreads(DjangoDatabaseStore(alias), threads)
        yield StoreUnderTest(store, False)
