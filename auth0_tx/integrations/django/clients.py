"""The project's clients: made from ``AUTH0_TX`` when first needed, and again when that changes.

``AUTH0_TX`` is either the settings of one client, or the settings of several by their names,
as in ``CACHES``.  One of them is ``default``: Django's users log in with it, and the others
take over what they do not set themselves, except credentials and the cookie's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from ...client import ServerClient
from ...errors import ConfigurationError
from ...locks import OwnedLock
from ...secret import conceal
from ...shells.after_fork import register_renewable, renew_if_forked
from ..settings import (
    DEFAULT,
    add_defaults,
    check_keywords,
    check_session_cookies,
    make_unknown_client_error,
    to_keywords,
    use_host_keys,
)

SETTING = "AUTH0_TX"
_TEMPLATE = "AUTH0_TX[{!r}]"
_WATCHED = (
    SETTING,
    "CACHES",
    "DATABASES",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "SESSION_CACHE_ALIAS",
    "SESSION_ENGINE",
)

# Keywords that take an object, which a setting may name by its import path.
_OBJECTS = ("clock", "domain", "on_event", "session", "state_store", "token_cache")

# Settings of the site, which are not keywords of a client.
ANSWER_ERRORS = "ANSWER_ERRORS"
LOGIN = "LOGIN"
LOGIN_CHECK_SECONDS = "LOGIN_CHECK_SECONDS"
_OF_SITE = (ANSWER_ERRORS, LOGIN, LOGIN_CHECK_SECONDS)

LOGIN_OPTIONS = ("subject_token_type", "audience", "scope", "organization")
"""The options of a login that settings may name; the token is posted."""


class _Clients:
    """The clients of a process, by their names."""

    def __init__(self) -> None:
        self._clients: dict[str, ServerClient] = {}
        self.renew()
        register_renewable(self)

    def renew(self) -> None:
        """Start over with a free lock; the clients know of forks themselves."""
        self._lock = OwnedLock()

    def get(self, name: str) -> ServerClient:
        """Return the client *name*; the first call makes all of them."""
        client = self._clients.get(name)
        if client is not None:
            return client
        renew_if_forked()
        client = self._lock.run(self._make_all).get(name)
        if client is None:
            raise make_unknown_client_error(SETTING, name, self._clients, SETTING)
        return client

    def drop(self) -> None:
        """Close the clients; the next call of :meth:`get` makes others."""
        renew_if_forked()
        for client in self._lock.run(self._take_all).values():
            client.close()

    def _make_all(self) -> dict[str, ServerClient]:
        if not self._clients:
            self._clients = _make_clients()
        return self._clients

    def _take_all(self) -> dict[str, ServerClient]:
        clients, self._clients = self._clients, {}
        return clients


_clients = _Clients()


def get_client(name: str = DEFAULT) -> ServerClient:
    """Return one of the project's clients, which threads and forked workers share.

    Args:
        name: the client's name in ``AUTH0_TX``.

    Raises:
        ConfigurationError: ``AUTH0_TX`` breaks a rule, is missing, or has no such client.
    """
    return _clients.get(name)


def list_client_names() -> list[str]:
    """Return the names of the project's clients, the default client's first.

    Raises:
        ConfigurationError: ``AUTH0_TX`` has clients with names, and none is the default.
    """
    return list(_read_settings())


def read_keywords(name: str = DEFAULT) -> dict[str, Any]:
    """Return the keywords of a client, as ``AUTH0_TX`` has them.

    Args:
        name: the client's name in ``AUTH0_TX``.

    Raises:
        ConfigurationError: a setting is unknown, an import path cannot be imported, or there
            is no such client.
    """
    clients = _read_settings()
    if name not in clients:
        raise make_unknown_client_error(SETTING, name, clients, SETTING)
    read_login_check_seconds()
    keywords = _to_keywords(DEFAULT, clients[DEFAULT])
    if name != DEFAULT:
        keywords = add_defaults(name, _to_keywords(name, clients[name]), keywords)
    if "secret" not in keywords:
        keywords["secret"] = read_host_keys(name)
    return keywords


def read_host_keys(name: str = DEFAULT) -> list[str] | None:
    """Return Django's own keys, which seal where ``AUTH0_TX`` has no ``SECRET``.

    The project rotates them already.  Sealing keys are derived from them for one purpose, so
    nothing that Django signs is of use here.

    Args:
        name: the client's name in ``AUTH0_TX``.

    Raises:
        ConfigurationError: ``SECRET_KEY`` is too short.
    """
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return use_host_keys(keys, get_template(name).format("SECRET"))


def read_site_setting(setting: str, default: Any, name: str = DEFAULT) -> Any:
    """Return a setting of ``AUTH0_TX`` that is not a client's keyword.

    Args:
        setting: its name, such as ``LOGIN``.
        default: what is returned if it is not set.
        name: the client beside whose keywords it is set.
    """
    return _read_settings().get(name, {}).get(setting, default)


def read_login_options(name: str = DEFAULT) -> dict[str, str]:
    """Return the options of logins by a posted token, as ``LOGIN`` has them.

    Args:
        name: the client's name in ``AUTH0_TX``.

    Raises:
        ConfigurationError: ``LOGIN`` is not a dictionary of these options.
    """
    given = read_site_setting(LOGIN, {}, name)
    if not isinstance(given, Mapping) or not all(
        option in LOGIN_OPTIONS and isinstance(given[option], str) for option in given
    ):
        raise ConfigurationError(
            f"{get_template(name).format(LOGIN)} must be a dictionary of "
            f"{', '.join(LOGIN_OPTIONS)}",
            parameter=LOGIN,
        )
    return dict(given)


def read_login_check_seconds() -> float:
    """Return for how many seconds a session that was found in its store is not asked for again.

    Raises:
        ConfigurationError: ``LOGIN_CHECK_SECONDS`` is not a number, or less than 0.
    """
    seconds = read_site_setting(LOGIN_CHECK_SECONDS, 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        seconds = -1
    # Not a number is not more than anything.
    if not seconds >= 0:
        raise ConfigurationError(
            f"{get_template().format(LOGIN_CHECK_SECONDS)} must be a number of seconds, "
            "0 or more",
            parameter=LOGIN_CHECK_SECONDS,
        )
    return float(seconds)


def get_template(name: str = DEFAULT) -> str:
    """Return how an error shows a setting of a client; ``{!r}`` stands for the setting."""
    if not _has_names(getattr(settings, SETTING, None)):
        return _TEMPLATE
    shown = repr(name).replace("{", "{{").replace("}", "}}")
    return f"AUTH0_TX[{shown}][{{!r}}]"


def _make_clients() -> dict[str, ServerClient]:
    clients: dict[str, ServerClient] = {}
    try:
        for name in list_client_names():
            keywords = read_keywords(name)
            check_keywords(keywords, get_template(name))
            clients[name] = ServerClient(**keywords)
        check_session_cookies(
            {name: client.session_cookie for name, client in clients.items()}
        )
    except ConfigurationError:
        for client in clients.values():
            client.close()
        raise
    return clients


def _has_names(given: object) -> bool:
    """Return whether ``AUTH0_TX`` has clients by name, and not the settings of one.

    Settings are in capitals, and names are not.
    """
    return (
        isinstance(given, Mapping)
        and bool(given)
        and all(isinstance(value, Mapping) for value in given.values())
        and not any(isinstance(name, str) and name.isupper() for name in given)
    )


def _read_settings() -> dict[str, Mapping[str, Any]]:
    """Return the settings of each client, the default client's first."""
    # Wrapped at once, so that a traceback with locals of these frames shows no secret.
    given = conceal(getattr(settings, SETTING, None))
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            "the setting AUTH0_TX must be a dictionary", parameter=SETTING
        )
    if not _has_names(given):
        return {DEFAULT: given}
    if DEFAULT not in given:
        raise ConfigurationError(
            f"AUTH0_TX has clients with names, and none of them is {DEFAULT!r}",
            parameter=SETTING,
        )
    return {DEFAULT: given[DEFAULT], **given}


def _to_keywords(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    own = {setting: given[setting] for setting in given if setting not in _OF_SITE}
    keywords = to_keywords(own, get_template(name))
    for keyword in _OBJECTS:
        if isinstance(keywords.get(keyword), str):
            keywords[keyword] = _to_object(keyword, keywords[keyword])
    return keywords


def _to_object(name: str, text: str) -> Any:
    """Return what a short form or an import path stands for."""
    kind, _, alias = text.partition(":")
    if name == "state_store":
        # Not at the top: it needs Django's sessions, which other stores do without.
        from .session_engine import make_store

        store = make_store(text)
        if store is not None:
            return store
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
