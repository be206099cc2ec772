"""Rows of our own in the table of Django's sessions.

So no migration is needed, and ``clearsessions`` deletes what has expired.  Each step is one
statement, which is committed at once (``own_connections``), so of several writers one succeeds.

A row's key is a hash of 40 characters, the most that there is room for.  Django's own have 32,
so the two are never mixed up.  Sent as Django's session cookie, one of ours is an empty session:
Django did not sign what is in the row.

A row's text is a digest of the value and then the value in base64.  Values are compared by the
digest: MySQL compares text without regard to case, and Oracle does not compare long text.
"""

from __future__ import annotations

from base64 import b32hexencode, b64decode, b64encode
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from importlib import import_module
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.db import IntegrityError, OperationalError, router, transaction
from django.utils import timezone

from ...errors import ConfigurationError, StoreError
from ...secret import SecretBytes, Unpicklable
from .own_connections import use_connection

T = TypeVar("T")

_KEY_LENGTH = 40

_MOST_TRIES = 20
"""Attempts at a statement that the database refuses because of another at the same time."""

_CONFLICTS = frozenset({"40001", "40P01", 1213})
"""Serialization failures and deadlocks, as PostgreSQL and MySQL name them."""


class DatabaseRows(Unpicklable):
    """Values under a key, for a time, in the table of Django's sessions.

    Args:
        alias: the database's name in ``DATABASES``; ``None`` for the one to which Django
            writes its sessions.
    """

    def __init__(self, alias: str | None) -> None:
        self.alias = alias

    def read(self, key: str) -> bytes | None:
        """Return the value of a row that has not expired, or ``None``."""

        def select(rows: Any) -> list[str]:
            live = rows.filter(session_key=key, expire_date__gt=timezone.now())
            return list(live.values_list("session_data", flat=True))

        texts = self.run(select, writes=False)
        return _parse(texts[0]) if texts else None

    def insert(self, key: str, value: bytes, ttl: float) -> bool:
        """Add a row; return whether there was none, or only one that has expired."""
        columns = format_columns(_format(value), ttl)

        def insert(rows: Any) -> bool:
            if insert_row(rows, key, columns):
                return True
            now, there = timezone.now(), rows.filter(session_key=key)
            if there.filter(expire_date__lte=now).update(**columns):
                return True
            # It may have been deleted since: as before it was there.
            return not there.exists() and insert_row(rows, key, columns)

        return self.run(insert)

    def replace(self, key: str, value: bytes, ttl: float, expected: bytes) -> bool:
        """Replace a row's value; return whether it was *expected*."""
        columns = format_columns(_format(value), ttl)

        def update(rows: Any) -> bool:
            live = rows.filter(session_key=key, expire_date__gt=timezone.now())
            return bool(_compare(live, expected).update(**columns))

        return self.run(update)

    def delete(self, key: str, expected: bytes | None = None) -> bool:
        """Delete a row, or only one with the value *expected*; return whether it was there."""

        def delete(rows: Any) -> bool:
            there = rows.filter(session_key=key)
            deleted, _ = (
                there if expected is None else _compare(there, expected)
            ).delete()
            return bool(deleted)

        return self.run(delete)

    def run(self, act: Callable[[Any], T], *, writes: bool = True) -> T:
        """Return what *act* returns for the rows of the table.

        Args:
            act: is called again if the database refuses a statement because of another one.
            writes: whether it writes.

        Raises:
            ConfigurationError: the table's application is not installed.
            StoreError: it was called in the thread of an event loop.
        """
        model = find_model()
        alias = self.alias or router.db_for_write(model)
        for tries_left in reversed(range(_MOST_TRIES)):
            try:
                with use_connection(alias, writes=writes) as name:
                    return act(model._base_manager.using(name))
            except OperationalError as error:
                if not tries_left or not _is_conflict(error):
                    raise
            except SynchronousOnlyOperation:
                # Raised below instead, without this error as its context.
                break
        raise StoreError(
            "Django's database cannot be used in the thread of an event loop",
            hint="In an async view, await a method whose name begins with a, such as "
            "request.auth0.aget_user(), or sync_to_async(vault.put)(token).",
        )


def find_model() -> Any:
    """Return the model of Django's sessions, as the session engine has it.

    Raises:
        ConfigurationError: the model's application is not installed.
    """
    from django.contrib.sessions.backends.db import SessionStore

    engine = find_engine()
    if not issubclass(engine, SessionStore):
        engine = SessionStore
    try:
        return engine.get_model_class()
    except RuntimeError:
        # Django refuses to import the model.
        pass
    raise ConfigurationError(
        "the table of Django's sessions is not installed",
        parameter="state_store",
        hint="Add 'django.contrib.sessions' to INSTALLED_APPS, and run manage.py migrate.",
    )


def find_engine() -> Any:
    """Return the class that ``SESSION_ENGINE`` names.

    Raises:
        ConfigurationError: it cannot be imported.
    """
    try:
        return import_module(settings.SESSION_ENGINE).SessionStore
    except (ImportError, AttributeError):
        pass
    raise ConfigurationError(
        "SESSION_ENGINE cannot be imported",
        parameter="state_store",
        hint="It is a module with a class SessionStore, such as "
        "'django.contrib.sessions.backends.db'.",
    )


def make_key(kind: str, *names: str) -> str:
    """Return the key of a row: the letter of its kind, and a hash of each name.

    With several names, all keys that have the first in common begin alike.
    """
    # In lower case: MySQL takes upper and lower case for the same.
    hashes = [b32hexencode(sha256(name.encode()).digest()) for name in names]
    each = (_KEY_LENGTH - len(kind)) // len(names)
    return kind + "".join(text.decode().lower()[:each] for text in hashes)


def format_columns(text: str, ttl: float) -> dict[str, Any]:
    """Return what a row's columns are to have, apart from its key."""
    return {
        "session_data": text,
        "expire_date": timezone.now() + timedelta(seconds=ttl),
    }


def insert_row(rows: Any, key: str, columns: dict[str, Any]) -> bool:
    """Add a row; return whether there was none with this key."""
    row = rows.model(session_key=key, **columns)
    try:
        # In a transaction of its own, or a savepoint: PostgreSQL ends the one that fails.
        with transaction.atomic(using=rows.db):
            # Unlike save(), this sends no signals: those are for Django's own sessions.
            rows.bulk_create([row])
    except IntegrityError:
        return False
    return True


def _compare(rows: Any, expected: bytes) -> Any:
    return rows.filter(session_data__startswith=_digest(expected))


def _digest(value: bytes) -> str:
    return sha256(value).hexdigest()


def _format(value: bytes) -> str:
    return f"{_digest(value)}:{b64encode(value).decode()}"


def _parse(text: str) -> bytes | None:
    """Return the value in a row's text, or ``None`` if it is not one of ours."""
    digest, _, encoded = text.partition(":")
    try:
        value = b64decode(encoded, validate=True)
    except ValueError:
        return None
    return SecretBytes(value) if digest == _digest(value) else None


def _is_conflict(error: OperationalError) -> bool:
    """Return whether the same statement may succeed when it is sent again."""
    cause: Any = error.__cause__
    code = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return not _CONFLICTS.isdisjoint([code, *error.args[:1]])
