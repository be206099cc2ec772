"""System checks: what ``manage.py check`` finds in ``AUTH0_TX`` and what it depends on.

They run before most commands, so they read settings and ask nobody.  The one exception is a
cache with a serializer of its own, which is tried with a few bytes: Django's own caches keep
bytes, and a serializer such as JSON does not.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from secrets import token_hex
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.cache import caches
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.db import connections, router

from ...errors import ConfigurationError
from ..settings import DEFAULT, check_keywords, check_session_cookies
from .cache_store import DjangoCacheStore, DjangoTokenCache
from .clients import (
    get_template,
    list_client_names,
    read_keywords,
    read_login_options,
)
from .database_store import DjangoDatabaseStore
from .project import find_middleware, has_backend, is_installed, is_subclass

Keywords = Mapping[str, Any]

_MIDDLEWARE = "auth0_tx.integrations.django.middleware.Auth0Middleware"
_BACKEND = "auth0_tx.integrations.django.backends.Auth0Backend"
_AUTH = "django.contrib.auth"

# Stores and caches that are in one of Django's caches or databases.
_OURS = (DjangoCacheStore, DjangoDatabaseStore, DjangoTokenCache)

# The ids of errors that a parameter names; all others are E001.
_ERRORS = {
    "secret": "auth0_tx.E005",
    "session_policy.cookie_name": "auth0_tx.E008",
}

_LONGEST_TRIAL = 2.0
"""Seconds to wait for a cache that is tried.  One that cannot be reached may hang for longer."""


def register_all() -> None:
    """Register the checks."""
    checks.register(check_settings)
    checks.register(check_deployment, checks.Tags.security, deploy=True)


def check_settings(app_configs: Any, **_: Any) -> list[checks.CheckMessage]:
    """Check that all clients can be made, and that what they need from Django is there."""
    try:
        clients = _read_clients()
    except ConfigurationError as error:
        return [
            checks.Error(
                error.message,
                hint=error.hint or "See AUTH0_TX in the project's settings.",
                id=_ERRORS.get(error.parameter or "", "auth0_tx.E001"),
            )
        ]
    return [
        *_check_middleware(),
        *_check_databases(clients),
        *_check_caches(clients),
        *_check_users(),
        *_check_trust(clients),
    ]


def check_deployment(app_configs: Any, **_: Any) -> list[checks.CheckMessage]:
    """Check what matters in production only."""
    messages: list[checks.CheckMessage] = []
    if is_installed("django.contrib.sessions") and not settings.SESSION_COOKIE_SECURE:
        messages.append(
            checks.Warning(
                "SESSION_COOKIE_SECURE is not True",
                hint="Whoever has the cookie of Django's session is logged in.",
                id="auth0_tx.W003",
            )
        )
    try:
        clients = _read_clients()
    except ConfigurationError:
        # The other check says why.
        return messages
    return [*messages, *_check_transport(clients)]


def _read_clients() -> dict[str, dict[str, Any]]:
    """Return the keywords of each client, by its name.

    Raises:
        ConfigurationError: they break a rule.
    """
    clients, cookies = {}, {}
    for name in list_client_names():
        keywords = read_keywords(name)
        read_login_options(name)
        configured = check_keywords(keywords, get_template(name))
        clients[name] = keywords
        has_sessions = configured.state_store is not None
        cookies[name] = configured.session_cookie if has_sessions else None
    check_session_cookies(cookies)
    return clients


def _list_settings(
    clients: Mapping[str, Keywords], *keywords: str
) -> Iterator[tuple[str, str, Any]]:
    """Yield settings: each one's keyword, how a message shows it, and its value.

    A setting that a named client takes over from the default one is yielded once.
    """
    for name, given in clients.items():
        for keyword in keywords:
            value = given.get(keyword)
            default = clients[DEFAULT].get(keyword)
            if value is None or (name != DEFAULT and _is_same(value, default)):
                continue
            yield keyword, get_template(name).format(keyword.upper()), value


def _is_same(value: object, default: object) -> bool:
    # Each client makes its own store of a short form such as "cache".
    return value == default or (
        type(value) is type(default)
        and isinstance(value, _OURS)
        and _get_alias(value) == _get_alias(default)
    )


def _get_alias(store: object) -> str | None:
    """Return the name of the cache or database that a store is in, if it has one."""
    return store.alias if isinstance(store, _OURS) else None


def _check_middleware() -> Iterator[checks.CheckMessage]:
    from django.contrib.sessions.middleware import SessionMiddleware

    from .middleware import Auth0Middleware

    place = find_middleware(Auth0Middleware)
    if place is None:
        hint = f"Add {_MIDDLEWARE!r}, after SessionMiddleware."
        if has_backend():
            yield checks.Error(
                "Auth0Backend needs Auth0Middleware: login() has no request.auth0",
                hint=hint,
                id="auth0_tx.E006",
            )
        else:
            yield checks.Warning(
                "Auth0Middleware is not in MIDDLEWARE: requests have no auth0",
                hint=hint,
                id="auth0_tx.W001",
            )
        return
    sessions = find_middleware(SessionMiddleware)
    if sessions is not None and sessions > place:
        yield _report_order("SessionMiddleware")
    if is_installed(_AUTH):
        from django.contrib.auth.middleware import AuthenticationMiddleware

        accounts = find_middleware(AuthenticationMiddleware)
        if accounts is not None and accounts > place:
            yield _report_order("AuthenticationMiddleware")


def _report_order(name: str) -> checks.CheckMessage:
    return checks.Error(
        f"Auth0Middleware is before {name}, so request.user does not stand on the login "
        "session",
        hint=f"Put {_MIDDLEWARE!r} after {name}.",
        id="auth0_tx.E009",
    )


def _check_databases(
    clients: Mapping[str, Keywords],
) -> Iterator[checks.CheckMessage]:
    from .database_rows import find_model

    for _, shown, store in _list_settings(clients, "state_store"):
        if not isinstance(store, DjangoDatabaseStore):
            continue
        try:
            alias = _get_alias(store) or router.db_for_write(find_model())
        except ConfigurationError as error:
            yield checks.Error(
                f"{shown}: {error.message}", hint=error.hint, id="auth0_tx.E002"
            )
            continue
        if alias not in list(connections):
            yield checks.Error(
                f"{shown} names a database that DATABASES does not have",
                hint="Its names are " + ", ".join(sorted(connections)),
                id="auth0_tx.E003",
            )
        elif (
            connections[alias].vendor == "sqlite"
            and connections[alias].settings_dict["ATOMIC_REQUESTS"]
        ):
            yield checks.Warning(
                f"{shown} is SQLite with ATOMIC_REQUESTS: sessions are part of a view's "
                "transaction, and a view that fails takes a renewed token with it",
                hint="Choose another database for production, or remove ATOMIC_REQUESTS.",
                id="auth0_tx.W002",
            )


def _check_caches(clients: Mapping[str, Keywords]) -> Iterator[checks.CheckMessage]:
    for keyword, shown, store in _list_settings(clients, "state_store", "token_cache"):
        alias = _get_alias(store)
        if alias is None or isinstance(store, DjangoDatabaseStore):
            continue
        if alias not in settings.CACHES:
            yield checks.Error(
                f"{shown} names a cache that CACHES does not have",
                hint="Its names are " + ", ".join(sorted(settings.CACHES)),
                id="auth0_tx.E003",
            )
            continue
        backend = settings.CACHES[alias]["BACKEND"]
        hint = "Choose a cache such as Django's RedisCache."
        if is_subclass(backend, DummyCache) and keyword == "state_store":
            yield checks.Error(
                f"{shown} is a cache that keeps nothing: nobody stays logged in",
                hint=hint,
                id="auth0_tx.E007",
            )
        elif is_subclass(backend, DummyCache) or is_subclass(backend, LocMemCache):
            yield checks.Warning(
                f"{shown} is a cache that workers do not share",
                hint=hint,
                id="auth0_tx.W004",
            )
        elif is_subclass(backend, DatabaseCache) and keyword == "state_store":
            yield checks.Warning(
                f"{shown} is a cache in the database, whose writes are part of a view's "
                "transaction: one that is rolled back takes a renewed token with it",
                hint="Use 'database', whose writes are not, or a cache such as RedisCache.",
                id="auth0_tx.W011",
            )
        elif is_subclass(backend, FileBasedCache):
            yield checks.Warning(
                f"{shown} is a cache that does not add a key in one step: of two workers, "
                "both may believe that they did",
                hint=hint,
                id="auth0_tx.W010",
            )
        elif _loses_bytes(alias):
            yield checks.Error(
                f"{shown} is a cache that does not keep bytes",
                hint="Choose a serializer that does, such as pickle, which is the default: "
                "all that is kept in the cache is sealed.",
                id="auth0_tx.E007",
            )


def _loses_bytes(alias: str) -> bool:
    """Return whether a cache keeps text and does not keep bytes.

    Without an answer, as of a server that is down, nothing is known and nothing is wrong.
    """
    configured = settings.CACHES[alias]
    options = {name.lower() for name in configured.get("OPTIONS", {})}
    is_django_cache = configured["BACKEND"].startswith("django.core.cache.backends.")
    if is_django_cache and "serializer" not in options:
        return False
    lost: list[bool] = []

    def try_cache() -> None:
        if _try_value(alias, "text"):
            lost.append(not _try_value(alias, b"\x00\xff"))

    # A thread, as a server that does not answer would hold up each command.
    trial = threading.Thread(target=try_cache, daemon=True)
    trial.start()
    trial.join(_LONGEST_TRIAL)
    return lost == [True]


def _try_value(alias: str, value: object) -> bool:
    """Return whether a cache returns what was set."""
    name = f"auth0_tx:check:{token_hex(8)}"
    try:
        with closing(caches[alias]) as cache:
            cache.set(name, value, 10)
            is_kept: bool = cache.get(name) == value
            cache.delete(name)
    except Exception:
        # Each cache has exceptions of its own, for connections and for values alike.
        return False
    return is_kept


def _check_users() -> Iterator[checks.CheckMessage]:
    if not is_installed(_AUTH):
        if has_backend():
            yield checks.Error(
                "Auth0Backend needs django.contrib.auth",
                hint="Add it to INSTALLED_APPS.",
                id="auth0_tx.E004",
            )
    elif not has_backend():
        yield checks.Warning(
            "Auth0Backend is not in AUTHENTICATION_BACKENDS: login() cannot log anybody in "
            "to Django",
            hint=f"Add {_BACKEND!r}, or silence this if views use request.auth0 alone.",
            id="auth0_tx.W008",
        )


def _check_trust(clients: Mapping[str, Keywords]) -> Iterator[checks.CheckMessage]:
    for _, shown, verify in _list_settings(clients, "verify"):
        if verify is False:
            yield checks.Warning(
                f"{shown} is False: whoever is in between reads and changes all tokens",
                hint="Remove it, or name the file of the CA to trust.",
                id="auth0_tx.W005",
            )


def _check_transport(clients: Mapping[str, Keywords]) -> Iterator[checks.CheckMessage]:
    for keyword, shown, value in _list_settings(clients, "session_policy", "domain"):
        if keyword == "session_policy" and not value.cookie_secure:
            yield checks.Warning(
                f"the cookie_secure of {shown} is False",
                hint="Whoever has the cookie of a login session is logged in.",
                id="auth0_tx.W006",
            )
        elif keyword == "domain" and str(value).lower().startswith("http://"):
            yield checks.Warning(
                f"{shown} is the address of a tenant over plain http",
                hint="Auth0's tenants are reached over https: leave http:// out.",
                id="auth0_tx.W007",
            )
