"""Sessions in Django's database: committed at once, in whatever transaction the view is."""

from __future__ import annotations

import asyncio
import time
import unittest
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from auth0_tx import ConfigurationError, StoreError
from auth0_tx.tenant import Tenant
from auth0_tx.testing import MovableClock
from tests.e2e.sessions.logins import count_refreshes
from tests.e2e.sessions.visits import list_reuses
from tests.frameworks import django_settings  # noqa: F401
from tests.integrations.django.test_django_integration import (
    API,
    Project,
    get,
    log_in_new_browser,
)
from tests.stores.django_databases import IN_FILE, open_database

Open = Callable[..., str]


@pytest.fixture
def open_postgres(postgres: dict[str, Any]) -> Iterator[Open]:
    """Return a function that makes tables in the PostgreSQL, and returns their alias."""
    with ThreadPoolExecutor(1) as thread, ExitStack() as stack:

        def open_alias(**changes: Any) -> str:
            settings = {**postgres, **changes}
            settings["OPTIONS"] = {
                **postgres["OPTIONS"],
                # To find its connections by.
                "application_name": token_hex(8),
                **changes.get("OPTIONS", {}),
            }
            return stack.enter_context(open_database(settings, thread))

        yield open_alias


@pytest.fixture
def open_sqlite(tmp_path: Path) -> Iterator[Open]:
    """Return a function that makes a database in a file, and returns its alias."""
    with ThreadPoolExecutor(1) as thread, ExitStack() as stack:

        def open_alias(**changes: Any) -> str:
            settings = {**IN_FILE, "NAME": str(tmp_path / "file"), **changes}
            return stack.enter_context(open_database(settings, thread))

        yield open_alias


@pytest.fixture(params=["postgres", "sqlite"])
def open_either(request: pytest.FixtureRequest) -> Open:
    """Return a function that makes a database of either kind."""
    opened: Open = request.getfixturevalue(f"open_{request.param}")
    return opened


def make_store(alias: str) -> Any:
    from auth0_tx.integrations.django import DjangoDatabaseStore

    return DjangoDatabaseStore(alias)


def run_elsewhere(act: Callable[[], Any]) -> Any:
    """Return what another process would see: another thread, with another connection."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(act).result()


def ask_of_others(alias: str, expression: str) -> list[Any]:
    """Return an expression of each connection of an alias but the one that asks."""
    from django.db import connections

    try:
        with connections[alias].cursor() as cursor:
            cursor.execute(
                f"SELECT {expression} FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND application_name = current_setting('application_name')"
            )
            return list(cursor.fetchall())
    finally:
        connections[alias].close()


def count_connections(alias: str) -> int:
    """Return how many connections PostgreSQL has, apart from the one that asks."""

    def count() -> int:
        return len(ask_of_others(alias, "pid"))

    # The server takes a moment to see that a connection is closed.
    until = time.monotonic() + 5
    while (found := run_elsewhere(count)) and time.monotonic() < until:
        time.sleep(0.02)
    return int(found)


# Transactions.


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_rollback(open_postgres: Open, level: str) -> None:
    """A write within a transaction is seen by others at once, and outlives its rollback."""
    from django.contrib.sessions.models import Session
    from django.db import transaction
    from django.db.backends.postgresql.psycopg_any import IsolationLevel

    number = IsolationLevel[level.replace(" ", "_")]
    alias = open_postgres(OPTIONS={"isolation_level": number})
    store = make_store(alias)
    store.set("session:a", b"1", ttl=60, expected=None)
    with pytest.raises(KeyError), transaction.atomic(using=alias):  # noqa: PT012
        # From here on, a transaction of this level sees what there is now.
        assert Session.objects.using(alias).exists()
        assert store.set("session:a", b"2", ttl=60, expected=b"1")
        assert store.set("session:b", b"1", ttl=60, expected=None)
        store.add_to_index("index:a", "session:b", ttl=60)

        assert b"2" == run_elsewhere(lambda: store.get("session:a"))
        assert run_elsewhere(
            lambda: store.set("session:a", b"3", ttl=60, expected=b"2")
        )
        assert b"3" == store.get("session:a")
        raise KeyError

    assert b"3" == store.get("session:a")
    assert b"1" == store.get("session:b")
    assert ["session:b"] == store.read_index("index:a")


def test_transaction_that_failed(open_postgres: Open) -> None:
    """A transaction in which a statement failed takes no other: the session is saved."""
    from django.contrib.sessions.models import Session
    from django.db import DatabaseError, connections, transaction

    alias = open_postgres()
    store = make_store(alias)
    with transaction.atomic(using=alias):
        with pytest.raises(DatabaseError), connections[alias].cursor() as cursor:
            cursor.execute("SELECT nothing")
        with pytest.raises(DatabaseError):
            Session.objects.using(alias).exists()
        assert store.set("session:a", b"1", ttl=60, expected=None)
        transaction.set_rollback(True, using=alias)

    assert b"1" == store.get("session:a")


def test_lock_of_the_own_transaction(
    open_postgres: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view that has deleted all rows, and then logs out, does not wait for itself for ever."""
    from django.contrib.sessions.models import Session
    from django.db import OperationalError, transaction

    from auth0_tx.integrations.django import own_connections

    alias = open_postgres()
    store = make_store(alias)
    store.set("session:a", b"1", ttl=60, expected=None)
    monkeypatch.setattr(own_connections, "LOCK_SECONDS", 1)
    with transaction.atomic(using=alias):
        Session.objects.using(alias).all().delete()
        with pytest.raises(OperationalError, match="lock timeout"):
            store.delete("session:a")
        assert store.set("session:b", b"1", ttl=60, expected=None)

    assert store.get("session:a") is None
    assert b"1" == store.get("session:b")


def test_without_autocommit(open_postgres: Open) -> None:
    """Where the project commits by itself, sessions are committed all the same."""
    from django.db import connections, transaction

    alias = open_postgres(AUTOCOMMIT=False)
    store = make_store(alias)
    connections[alias].ensure_connection()
    store.set("session:a", b"1", ttl=60, expected=None)
    transaction.rollback(using=alias)
    connections[alias].close()

    assert b"1" == run_elsewhere(lambda: store.get("session:a"))


def test_one_writer(open_sqlite: Open) -> None:
    """SQLite has one writer: a write within a transaction is part of it, and does not hang."""
    from django.db import transaction

    alias = open_sqlite()
    store = make_store(alias)
    started = time.monotonic()
    with pytest.raises(KeyError), transaction.atomic(using=alias):  # noqa: PT012
        assert store.set("session:a", b"1", ttl=60, expected=None)
        assert not store.set("session:a", b"2", ttl=60, expected=None)
        assert b"1" == store.get("session:a")
        raise KeyError
    with transaction.atomic(using=alias):
        assert store.set("session:b", b"1", ttl=60, expected=None)

    assert store.get("session:a") is None
    assert b"1" == store.get("session:b")
    assert time.monotonic() - started < 30


def test_django_test_case(open_either: Open) -> None:
    """Within Django's TestCase all is part of the test's transaction, and ends with it."""
    from django.db import transaction
    from django.test import TestCase

    alias = open_either()
    store = make_store(alias)
    seen = []

    class Case(TestCase):
        databases = {alias}  # noqa: RUF012

        def test_store(self) -> None:
            with transaction.atomic(using=alias):
                assert store.set("session:a", b"1", ttl=60, expected=None)
                assert not store.set("session:a", b"2", ttl=60, expected=None)
            store.add_to_index("index:a", "session:a", ttl=60)
            seen.append((store.get("session:a"), store.read_index("index:a")))

    result = unittest.TextTestRunner().run(Case("test_store"))

    assert [] == [*result.errors, *result.failures]
    assert [(b"1", ["session:a"])] == seen
    assert (None, []) == (store.get("session:a"), store.read_index("index:a"))


# Connections.


def test_who_opens_closes(open_postgres: Open) -> None:
    """In a thread that serves no request, no connection is left behind."""
    from django.db import connections, transaction

    alias = open_postgres()
    store = make_store(alias)

    def use() -> None:
        store.get("session:a")
        with transaction.atomic(using=alias):
            store.get("session:a")
        # That one is Django's: it was opened by the transaction.
        connections[alias].close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: use(), range(8)))
        use()
        assert 0 == count_connections(alias)


def test_connections_of_a_request(
    open_postgres: Open, project: Project, auth0_tenant: Tenant
) -> None:
    """A request opens one connection of Django's and one beside it, which end with it."""
    from django.core.signals import request_finished
    from django.db import close_old_connections, connections

    alias = open_postgres(ATOMIC_REQUESTS=True)
    project({"STATE_STORE": f"database:{alias}"})
    visitor = log_in_new_browser(auth0_tenant)
    own = f"{alias} (auth0_tx)"
    opened = []

    def count(**_: Any) -> None:
        opened.append(connections[own].connection)

    request_finished.connect(count)
    try:
        assert "auth0|alice" == get(visitor, "/user").json()["sub"]
    finally:
        request_finished.disconnect(count)
    # The test client leaves Django's own connections to the test.
    close_old_connections()

    assert 1 == len(opened)
    assert 0 == count_connections(alias)


def test_server_ends_a_connection(open_postgres: Open) -> None:
    """After the server has closed a connection, one call fails, and the next one works."""
    from django.db import connections, transaction

    alias = open_postgres(CONN_MAX_AGE=None)
    store = make_store(alias)
    connections[alias].ensure_connection()

    run_elsewhere(lambda: ask_of_others(alias, "pg_terminate_backend(pid)"))
    with pytest.raises(Exception, match=r"terminat|closed"):
        store.get("session:a")
    assert store.set("session:a", b"1", ttl=60, expected=None)
    connections[alias].close()
    with transaction.atomic(using=alias):
        assert b"1" == store.get("session:a")
    connections[alias].close()


def test_interrupt(open_postgres: Open) -> None:
    """An interrupt between a statement and its result leaves no connection to be used again."""
    from django.db import connections

    from auth0_tx.integrations.django.own_connections import use_connection

    alias = open_postgres()
    connections[alias].ensure_connection()
    with pytest.raises(KeyboardInterrupt), use_connection(alias):
        raise KeyboardInterrupt

    assert connections[alias].connection is None


async def test_event_loop(open_either: Open) -> None:
    """In the thread of an event loop Django refuses its database, and we say what to do."""
    store = make_store(open_either())
    with pytest.raises(StoreError, match="event loop") as caught:
        store.get("session:a")

    assert "aget_user" in (caught.value.hint or "")
    assert await asyncio.to_thread(store.get, "session:a") is None


# Requests.


@pytest.mark.parametrize("then", ["", "?then=error"])
def test_atomic_requests(
    open_postgres: Open,
    project: Project,
    auth0_tenant: Tenant,
    auth0_clock: MovableClock,
    then: str,
) -> None:
    """A view that renews a token and fails is rolled back, and the new token is kept."""
    alias = open_postgres(ATOMIC_REQUESTS=True)
    settings = {"STATE_STORE": f"database:{alias}", "CLOCK": auth0_clock}
    project(settings)
    auth0_tenant.apis.change(API, token_lifetime=60)
    visitor = log_in_new_browser(auth0_tenant)
    visitor.raise_request_exception = False
    for path, expected in ((f"/token{then}", 500 if then else 200), ("/token", 200)):
        auth0_clock.move(61)
        # Another worker, which remembers nothing.
        project(settings)
        assert expected == get(visitor, path).status_code

    assert "auth0|alice" == get(visitor, "/user").json()["sub"]
    assert 2 == count_refreshes(auth0_tenant)
    assert [] == list_reuses(auth0_tenant)


def test_one_query(open_either: Open, project: Project, auth0_tenant: Tenant) -> None:
    """To know the user costs one query."""
    from django.db import connections
    from django.test.utils import CaptureQueriesContext

    alias = open_either()
    project({"STATE_STORE": f"database:{alias}"})
    visitor = log_in_new_browser(auth0_tenant)
    with CaptureQueriesContext(connections[alias]) as queries:
        assert "auth0|alice" == get(visitor, "/user-async").json()["sub"]
    connections[alias].close()

    # One for the user, and one for the session.
    assert 2 == len(queries)


# Rows.


def test_expired_rows(open_either: Open) -> None:
    """What has expired is deleted, and nothing else."""
    from django.contrib.sessions.models import Session

    alias = open_either()
    store = make_store(alias)
    store.set("session:a", b"1", ttl=0.001, expected=None)
    store.set("session:b", b"1", ttl=60, expected=None)
    time.sleep(0.01)
    store.clear_expired()

    assert 1 == Session.objects.using(alias).count()
    assert b"1" == store.get("session:b")


@pytest.mark.parametrize("text", ["", "no colon", "00:!!", "00:eHg="])
def test_changed_row(open_sqlite: Open, text: str) -> None:
    """A row that was changed is no session."""
    from django.contrib.sessions.models import Session

    alias = open_sqlite()
    store = make_store(alias)
    store.set("session:a", b"1", ttl=60, expected=None)
    Session.objects.using(alias).update(session_data=text)

    assert store.get("session:a") is None


def test_as_a_cookie_of_django(open_sqlite: Open) -> None:
    """A row's key, sent as the cookie of Django's session, is an empty session."""
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session

    alias = open_sqlite()
    make_store(alias).set("session:a", b"1", ttl=60, expected=None)
    (row,) = Session.objects.using(alias).all()

    assert 40 == len(row.session_key)
    assert {} == SessionStore(row.session_key).decode(row.session_data)


def test_table_is_missing() -> None:
    """Without Django's session table, a store says what to do."""
    from django.test import override_settings

    with (
        override_settings(SESSION_ENGINE="nowhere.at_all"),
        pytest.raises(ConfigurationError, match="SESSION_ENGINE"),
    ):
        make_store("default").get("session:a")
