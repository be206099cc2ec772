"""Vaults for subject tokens in Django's cache or database, for sites without a Redis of their own.

They are the ones of ``auth0_tx.integrations.celery`` in another place, and need no Celery.  Of
several takers, the database gives the token to the one whose DELETE found the row.  A cache has
no such step, but it adds a key in one step: the token is for whoever adds the key that marks this
very value as taken.  The mark lasts as long as the value would have.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.core.cache import caches

from ...clocks import read_time
from ...errors import ConfigurationError, StoreError
from ...secret import Unpicklable, conceal
from ..token_vault import BlockingVault
from .cache_store import format_version, parse_version, to_timeout
from .clients import read_host_keys, read_site_setting
from .database_rows import DatabaseRows, make_key


class _CachePlace(Unpicklable):
    """A place in one of ``CACHES``."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    @property
    def _cache(self) -> Any:
        # Looked up each time: Django makes a connection for each thread.
        return caches[self._alias]

    def put(self, key: str, value: bytes, *, ttl: float) -> None:
        """Keep *value* under *key* for *ttl* seconds."""
        content = format_version(value, read_time() + ttl)
        self._cache.set(_name(key), content, to_timeout(ttl))

    def take(self, key: str) -> bytes | None:
        """Return the value under *key* to the first who asks."""
        name = _name(key)
        content = self._cache.get(name)
        value, ends_at = parse_version(content, read_time())
        if value is None:
            return None
        # One that is put back is sealed anew, and so has another mark.
        mark = f"{name}:{sha256(content).hexdigest()[:32]}"
        if not self._cache.add(mark, b"1", to_timeout(ends_at - read_time())):
            return None
        self._cache.delete(name)
        return value


class _DatabasePlace(Unpicklable):
    """A place in the table of Django's sessions."""

    def __init__(self, alias: str | None) -> None:
        self._rows = DatabaseRows(alias)

    def put(self, key: str, value: bytes, *, ttl: float) -> None:
        """Keep *value* under *key* for *ttl* seconds."""
        if not self._rows.insert(make_key("v", key), value, ttl):
            raise StoreError("the vault has this handle already")

    def take(self, key: str) -> bytes | None:
        """Return the value under *key* to whoever deletes its row."""
        row = make_key("v", key)
        value = self._rows.read(row)
        if value is None or not self._rows.delete(row, value):
            return None
        return value


class DjangoCacheVault(BlockingVault):
    """Keep subject tokens for tasks in one of ``CACHES``; each can be taken once.

    The site and its workers must share the cache: ``LocMemCache`` serves one process, and
    ``FileBasedCache`` may give a token to two workers.  A cache that is full drops tokens.

    Args:
        alias: the cache's name in ``CACHES``.
        secret: seals tokens, in addition to the handles; or several, newest first.  The same
            for all who put and take.  ``None`` for ``AUTH0_TX["SECRET"]``, or else for
            ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``.
        ttl: seconds that a token is kept.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    def __init__(
        self,
        alias: str = "default",
        *,
        secret: str | Sequence[str] | None = None,
        ttl: float = 3_600.0,
    ) -> None:
        secret = conceal(secret)
        if alias not in settings.CACHES:
            raise ConfigurationError(
                f"CACHES has no cache {alias!r}", parameter="alias"
            )
        super().__init__(_CachePlace(alias), _choose_secret(secret), ttl)
        self._alias = alias

    def __repr__(self) -> str:
        return f"DjangoCacheVault({self._alias!r})"


class DjangoDatabaseVault(BlockingVault):
    """Keep subject tokens for tasks in the table of Django's sessions; each can be taken once.

    Each step is committed at once, whatever transaction the view or the task is in.  In Django's
    ``TestCase``, and on SQLite, it is a part of the transaction.

    Args:
        alias: the database's name in ``DATABASES``; ``None`` for the one to which Django
            writes its sessions.
        secret: seals tokens, in addition to the handles; or several, newest first.  The same
            for all who put and take.  ``None`` for ``AUTH0_TX["SECRET"]``, or else for
            ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``.
        ttl: seconds that a token is kept.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    def __init__(
        self,
        alias: str | None = None,
        *,
        secret: str | Sequence[str] | None = None,
        ttl: float = 3_600.0,
    ) -> None:
        secret = conceal(secret)
        super().__init__(_DatabasePlace(alias), _choose_secret(secret), ttl)
        self._alias = alias

    def __repr__(self) -> str:
        return f"DjangoDatabaseVault({self._alias!r})"


def _choose_secret(secret: str | Sequence[str] | None) -> Any:
    """Return the secret that was given, or the project's.

    Raises:
        ConfigurationError: the project has none that is long enough.
    """
    if secret is not None:
        return secret
    configured = conceal(read_site_setting("SECRET", None))
    if configured is not None:
        return configured
    return read_host_keys()


def _name(key: str) -> str:
    return f"auth0_tx:vault:{key}"
