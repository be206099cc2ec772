"""Login sessions in the table of Django's sessions, sealed, for all processes that share it.

A session is a row.  So is each key under a label of the index: the row's key begins with a hash
of the label, so that all rows of a label are found by a range of the primary key, and two logins
of a user never write the same row.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.utils import timezone

from ...clocks import read_monotonic, read_time
from ...secret import Unpicklable
from .database_rows import DatabaseRows, format_columns, insert_row, make_key

_SESSION, _LABELLED = "s", "ix"

# Of a key with two names, and of the range that all keys with the same first name are in.
_HALF = 19
_FIRST, _LAST = "0" * _HALF, "v" * _HALF


class DjangoDatabaseStore(Unpicklable):
    """Keep sessions in Django's database, in the table of Django's own sessions.

    It needs no request and no ``SessionMiddleware``.  Each write is committed at once, whatever
    transaction the view is in, and so is not part of a rollback.  SQLite has only one writer:
    there a write within ``atomic()`` is part of the transaction, and waits for its end.

    ``manage.py clearsessions`` deletes what has expired, if ``SESSION_ENGINE`` keeps Django's
    own sessions in the database; otherwise call :meth:`clear_expired` now and then.

    Args:
        alias: the database's name in ``DATABASES``; ``None`` for the one to which Django
            writes its own sessions.
    """

    def __init__(self, alias: str | None = None) -> None:
        self.alias = alias
        self._rows = DatabaseRows(alias)

    def __repr__(self) -> str:
        return f"DjangoDatabaseStore({self.alias!r})"

    def get(self, key: str) -> bytes | None:
        """Return what is stored under *key* and has not expired, or ``None``: one query."""
        return self._rows.read(make_key(_SESSION, key))

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value* for *ttl* seconds if *expected* is what is stored now."""
        row = make_key(_SESSION, key)
        if expected is None:
            return self._rows.insert(row, value, ttl)
        return self._rows.replace(row, value, ttl, expected)

    def delete(self, key: str, *, expected: bytes | None = None) -> None:
        """Delete what is stored under *key*; with *expected*, only if it is that value."""
        self._rows.delete(make_key(_SESSION, key), expected)

    def add_to_index(self, label: str, key: str, *, ttl: float) -> None:
        """Remember *key* under *label*, for at least *ttl* seconds."""
        row = make_key(_LABELLED, label, key)
        # The second clock decides where a test has stopped the first one.
        added_at = f"{read_time():.6f} {read_monotonic():.6f}"
        columns = format_columns(f"{added_at} {key}", ttl)

        def add(rows: Any) -> None:
            there = rows.filter(session_key=row)
            # A shorter time does not cut a longer one.
            if there.filter(expire_date__lt=columns["expire_date"]).update(**columns):
                return
            if insert_row(rows, row, columns):
                return
            if not there.update(session_data=columns["session_data"]):
                # Deleted in between, by a logout.
                insert_row(rows, row, columns)

        self._rows.run(add)

    def read_index(self, label: str) -> list[str]:
        """Return the keys under *label*, from the one that was added first to the last."""

        def select(rows: Any) -> list[str]:
            # Not by what a key begins with: MySQL looks for that in the whole table.
            begins = make_key(_LABELLED, label, "")[:-_HALF]
            labelled = rows.filter(
                session_key__gte=begins + _FIRST,
                session_key__lte=begins + _LAST,
                expire_date__gt=timezone.now(),
            )
            return list(labelled.values_list("session_data", flat=True))

        texts = self._rows.run(select, writes=False)
        added = [text.split(" ") for text in texts]
        added.sort(key=lambda parts: (float(parts[0]), float(parts[1])))
        return [key for _, _, key in added]

    def remove_from_index(self, label: str, keys: Collection[str]) -> None:
        """Forget *keys* under *label*; keys added meanwhile stay."""
        names = [make_key(_LABELLED, label, key) for key in keys]
        if names:
            self._rows.run(lambda rows: rows.filter(session_key__in=names).delete())

    def clear_expired(self) -> None:
        """Delete all rows of the table that have expired, Django's own included."""
        now = timezone.now()
        self._rows.run(lambda rows: rows.filter(expire_date__lt=now).delete())
