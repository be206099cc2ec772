"""The project's client: made of ``AUTH0_TX`` when it is needed, and anew when that changes."""

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
from ..settings_values import keywords_of

SETTING = "AUTH0_TX"
_WATCHED = (SETTING, "SECRET_KEY", "SECRET_KEY_FALLBACKS", "CACHES")

# Keywords that take an object, which a setting may name by its path.
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
        """Give the client."""
        client = self._client
        if client is not None:
            return client
        renew_if_forked()
        with self._lock:
            if self._client is None:
                self._client = ServerClient(**keywords())
            return self._client

    def drop(self) -> None:
        """Close the client; the next to ask makes another."""
        renew_if_forked()
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


_clients = _Clients()


def get_client() -> ServerClient:
    """Give the project's client, which threads and forked workers share.

    Raises:
        ConfigurationError: ``AUTH0_TX`` breaks a rule, or is not there.
    """
    return _clients.get()


def keywords() -> dict[str, Any]:
    """Give the client's keywords, as ``AUTH0_TX`` says.

    Raises:
        ConfigurationError: a name is unknown, or a path leads nowhere.
    """
    given = conceal(getattr(settings, SETTING, None))
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            "the setting AUTH0_TX must be a dictionary", parameter=SETTING
        )
    found = keywords_of(given, "AUTH0_TX[{!r}]")
    for name in _OBJECTS:
        if isinstance(found.get(name), str):
            found[name] = _object(name, found[name])
    if "secret" not in found:
        # Django's own keys, which rotate; ours are derived from them, for one purpose each.
        keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        found["secret"] = conceal([each for each in keys if each]) or None
    return found


def _object(name: str, text: str) -> Any:
    kind, _, alias = text.partition(":")
    if name == "state_store" and text == "session":
        from .session_store import DjangoSessionStore

        return DjangoSessionStore()
    if name == "state_store" and kind == "cache":
        from .cache_store import DjangoCacheStore

        return DjangoCacheStore(alias or "default")
    if name == "token_cache" and kind == "cache":
        from .cache_tokens import DjangoTokenCache

        return DjangoTokenCache(alias or "default")
    if name == "token_cache" and text == "memory":
        from ...caches import MemoryTokenCache

        return MemoryTokenCache()
    if name == "domain" and not _is_path(text):
        return text
    try:
        return import_string(text)
    except ImportError:
        pass
    raise ConfigurationError(
        f"AUTH0_TX[{name.upper()!r}] is a path to nothing that can be imported",
        parameter=name,
    )


def _is_path(text: str) -> bool:
    """Tell a dotted path from a domain: its last part is no top-level name, but a Python one."""
    last = text.rpartition(".")[2]
    return "_" in text and last.isidentifier() and "-" not in text


def _changed(*, setting: str, **_: Any) -> None:
    if setting in _WATCHED:
        _clients.drop()


setting_changed.connect(_changed, dispatch_uid="auth0_tx")
