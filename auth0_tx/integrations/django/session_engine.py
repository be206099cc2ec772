"""``"STATE_STORE": "session"``: a store in the place where Django keeps its own sessions.

Django saves a session as a whole when a request is over, unless the answer is a 5xx, and the last
of two requests wins.  A refresh token is spent once, so what is kept there would be lost now and
then.  A login session has a row or a key of its own beside Django's instead, in the same database
or cache.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from ...errors import ConfigurationError
from .cache_store import DjangoCacheStore
from .database_rows import find_engine
from .database_store import DjangoDatabaseStore


def make_store(text: str) -> Any:
    """Return the store that a short form of ``STATE_STORE`` stands for; ``None`` for others.

    Raises:
        ConfigurationError: Django's sessions are kept where a login session must not be.
    """
    kind, mark, alias = text.partition(":")
    if text == "session":
        return _make_store_beside_sessions()
    if kind == "database":
        return DjangoDatabaseStore(alias if mark else None)
    if kind == "cache":
        return DjangoCacheStore(alias or "default")
    return None


def _make_store_beside_sessions() -> Any:
    from django.contrib.sessions.backends import cache, db

    engine = find_engine()
    if issubclass(engine, db.SessionStore):
        return DjangoDatabaseStore()
    if issubclass(engine, cache.SessionStore):
        return DjangoCacheStore(settings.SESSION_CACHE_ALIAS)
    raise ConfigurationError(
        "STATE_STORE 'session' needs a SESSION_ENGINE that keeps sessions in the database or "
        "in a cache",
        parameter="state_store",
        hint="Leave STATE_STORE out, and sessions are in encrypted cookies of their own; or "
        "set it to 'database' or 'cache:alias'.",
    )
