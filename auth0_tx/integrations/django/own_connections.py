"""Connections to Django's databases on which each statement is committed at once.

A lock that other processes do not see locks nobody out, and a refresh token that was rotated
must not go with a view's transaction that is rolled back.  So what this package writes is not
part of the application's transactions:

1. Outside of ``atomic()``, Django's connection of the thread commits each statement.
2. Within ``atomic()`` (``ATOMIC_REQUESTS``), or without autocommit, a connection of our own does.
   It is a copy of Django's connection and lasts as long: until the end of the request, or for
   ``CONN_MAX_AGE``.  Reads use it too: a transaction may show the database as it was when it
   began (MySQL's default, REPEATABLE READ).
3. SQLite has one writer at a time: a second connection would wait for the transaction that the
   thread itself is in.  There, and in Django's ``TestCase``, which rolls back what a test
   wrote, all is written within the transaction.

A second connection may wait for the first one: for a view that has deleted all rows of the table,
and then logs its user out.  Nothing would end that, so a lock is waited for only for some seconds.

Django closes connections when a request ends.  In other threads nobody does: those of a pool, or
the one that renews locks.  There, who opens a connection closes it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import Error, connections, transaction

LOCK_SECONDS = 3
"""Seconds to wait for a row that another transaction has written, perhaps the thread's own."""


class _Thread(threading.local):
    """The state of the running thread.

    Attributes:
        is_in_request: whether Django serves a request in it.
        own: our own connections, by their aliases.
    """

    is_in_request = False

    def __init__(self) -> None:
        self.own: dict[str, Any] = {}


_thread = _Thread()


@contextmanager
def use_connection(alias: str, *, writes: bool = True) -> Iterator[str]:
    """Yield the alias of a connection on which each statement is committed at once.

    Args:
        alias: the database's name in ``DATABASES``.
        writes: whether rows are written, and so may be locked by others.
    """
    connection: Any = connections[alias]
    is_own = not is_committing(connection) and not is_only_writer(connection)
    if is_own:
        connection = _get_own(connection)
    was_open = connection.connection is not None
    is_broken = True
    try:
        with _bound_waits(connection) if is_own and writes else nullcontext():
            yield connection.alias
        is_broken = False
    except Error:
        # The server may have closed it: the next statement gets another.
        connection.close_if_unusable_or_obsolete()
        is_broken = False
        raise
    finally:
        # An interrupt may have cut in between a statement and its result, which must not be
        # read as the next one's.
        is_leaked = not was_open and not _thread.is_in_request
        if (is_broken or is_leaked) and not connection.in_atomic_block:
            connection.close()


def is_committing(connection: Any) -> bool:
    """Return whether a statement on a connection is committed at once."""
    if connection.in_atomic_block:
        return False
    # To ask a connection that is not open yet would open it.
    return bool(
        connection.settings_dict["AUTOCOMMIT"]
        if connection.connection is None
        else connection.autocommit
    )


def is_only_writer(connection: Any) -> bool:
    """Return whether nothing is to be written beside the transaction of a connection."""
    return connection.vendor == "sqlite" or any(
        block._from_testcase for block in connection.atomic_blocks
    )


def _get_own(connection: Any) -> Any:
    """Return this thread's own connection to the database of Django's *connection*."""
    alias = f"{connection.alias} (auth0_tx)"
    own = _thread.own.get(alias)
    if own is None:
        own = connection.copy(alias)
        own.settings_dict["AUTOCOMMIT"] = True
        own.settings_dict["ATOMIC_REQUESTS"] = False
        # From a pool, each request could take one connection and wait for a second.
        own.settings_dict["OPTIONS"].pop("pool", None)
        # Django's ORM finds it by its alias; the table of connections is the thread's own.
        _thread.own[alias] = connections[alias] = own
    return own


@contextmanager
def _bound_waits(connection: Any) -> Iterator[None]:
    """Bound how long the statements of the block wait for locks."""
    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {LOCK_SECONDS}")
        yield
    elif connection.vendor == "postgresql":
        # A pool between us and the server, such as PgBouncer, would give a setting of the
        # session to others.
        with transaction.atomic(using=connection.alias):
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            yield
    else:
        yield


def _begin_request(**_: object) -> None:
    _thread.is_in_request = True
    _close_obsolete()


def _end_request(**_: object) -> None:
    _thread.is_in_request = False
    _close_obsolete()


def _close_obsolete() -> None:
    for connection in _thread.own.values():
        connection.close_if_unusable_or_obsolete()


request_started.connect(_begin_request, dispatch_uid="auth0_tx.own_connections")
request_finished.connect(_end_request, dispatch_uid="auth0_tx.own_connections")
