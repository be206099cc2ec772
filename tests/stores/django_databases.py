"""Databases of Django's for a test, each with the table of Django's sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

IN_MEMORY = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": "file:{}?mode=memory&cache=shared",
    "OPTIONS": {"uri": True},
}
IN_FILE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": "{}.sqlite3",
    # Others may write for as long as many of them at once take on a busy machine.
    "OPTIONS": {"timeout": 60},
}


class CalledInThreads:
    """A store whose methods run in threads: Django refuses its database on an event loop."""

    def __init__(self, store: Any, threads: ThreadPoolExecutor) -> None:
        self._store, self._threads = store, threads

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)
        return lambda *args, **named: self._threads.submit(
            method, *args, **named
        ).result()


@contextmanager
def open_database(
    settings: dict[str, Any], threads: ThreadPoolExecutor
) -> Iterator[str]:
    """Yield the alias of a database for a test.

    Args:
        settings: what ``DATABASES`` has for it; the name may have a place for a unique word.
        threads: where it is used, one thread if it is in memory.
    """
    from tests.frameworks import django_settings  # noqa: F401, I001
    from django.contrib.sessions.models import Session
    from django.db import connections
    from django.db.backends.base.base import BaseDatabaseWrapper

    alias = f"sessions-{token_hex(4)}"
    named = {**settings, "NAME": settings["NAME"].format(token_hex(4))}
    with_defaults = connections.configure_settings({"default": {}, alias: named})
    connections.settings[alias] = with_defaults[alias]

    def change(act: str) -> None:
        with connections[alias].schema_editor() as editor:
            getattr(editor, act)(Session)
        if not connections[alias].get_autocommit():
            connections[alias].commit()
        connections[alias].close()

    def close() -> None:
        # Django keeps a database in memory open.
        BaseDatabaseWrapper.close(connections[alias])

    try:
        threads.submit(change, "create_model").result()
        try:
            yield alias
        finally:
            threads.submit(change, "delete_model").result()
    finally:
        threads.submit(close).result()
        if connections[alias].connection is not None:
            # The test has used it in its own thread, too.
            close()
        del connections[alias]
        del connections.settings[alias]
