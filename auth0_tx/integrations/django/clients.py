"""The project's client: made from ``AUTH0_TX`` when first needed, and again when that changes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from ...client import ServerClient
from ...errors import ConfigurationError
from ...secret import conceal
from ...shells.after_fork import register_renewable, renew_if_forked
from ..settings import to_keywords, use_host_keys

SETTING = "AUTH0_TX"
SETTING_TEMPLATE = "AUTH0_TX[{!r}]"
_WATCHED = (SETTING, "SECRET_KEY", "SECRET_KEY_FALLBACKS", "CACHES")

# Keywords that take an object, which a setting may name by its import path.
_OBJECTS = ("clock", "domain", "on_event", "session", "state_store", "token_cache")


class _Clients:
    """The one client of a process."""

    def __init__(self) -> None:
        self._client: ServerClient | None = None
        self.renew()
        register_renewable(self)

    def renew(self) -> None:
        """Start over with a free lock; the client knows of forks itself."""
        self._lock = threading.Lock()

    def get(self) -> ServerClient:
        """Return the client; the first call makes it."""
        client = self._client
        if client is not None:
            return client
        renew_if_forked()
        with self._lock:
            if self._client is None:
                self._client = ServerClient(**read_keywords())
            return self._client

    def drop(self) -> None:
        """Close the client; the next call of :meth:`get` makes another."""
        renew_if_forked()
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


_clients = _Clients()


def get_client() -> ServerClient:
    """Return the project's client, which threads and forked workers share.

    Raises:
        ConfigurationError: ``AUTH0_TX`` breaks a rule, or is missing.
    """
    return _clients.get()


def read_keywords() -> dict[str, Any]:
    """Return the client's keywords, as ``AUTH0_TX`` has them.

    Raises:
        ConfigurationError: a name is unknown, or an import path cannot be imported.
    """
    given = conceal(getattr(settings, SETTING, None))
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            "the setting AUTH0_TX must be a dictionary", parameter=SETTING
        )
    keywords = to_keywords(given, SETTING_TEMPLATE)
    for name in _OBJECTS:
        if isinstance(keywords.get(name), str):
            keywords[name] = _to_object(name, keywords[name])
    if "secret" not in keywords:
        # Django's own keys, which the project rotates already.  What seals is derived from
        # them for one purpose, so nothing that Django signs is of use here.
        keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        keywords["secret"] = use_host_keys(keys, SETTING_TEMPLATE.format("SECRET"))
    return keywords


def _to_object(name: str, text: str) -> Any:
    """Return what a short form or an import path stands for."""
    kind, _, alias = text.partition(":")
    if name == "state_store" and text == "session":
        from .session_store import DjangoSessionStore

        return DjangoSessionStore()
    if name == "state_store" and kind == "cache":
        from .cache_store import DjangoCacheStore

        return DjangoCacheStore(alias or "default")
    if name == "token_cache" and kind == "cache":
        from .cache_store import DjangoTokenCache

        return DjangoTokenCache(alias or "default")
    if name == "token_cache" and text == "memory":
        from ...caches import MemoryTokenCache

        return MemoryTokenCache()
    if name == "domain" and not _is_import_path(text):
        return text
    try:
        return import_string(text)
    except ImportError:
        # Raised below instead: this error's text has the setting's value.
        pass
    raise ConfigurationError(
        f"AUTH0_TX[{name.upper()!r}] is an import path that cannot be imported",
        parameter=name,
    )


def _is_import_path(text: str) -> bool:
    """Return whether *text* is an import path and not a domain.

    A domain has no underscore and ends with a top-level domain; the path of a function such
    as ``sites.domain_of_request`` has one in practice.
    """
    last = text.rpartition(".")[2]
    return "_" in text and last.isidentifier() and "-" not in text


def _drop_client(*, setting: str, **_: Any) -> None:
    if setting in _WATCHED:
        _clients.drop()


setting_changed.connect(_drop_client, dispatch_uid="auth0_tx")
