"""System checks: what ``manage.py check`` finds in ``AUTH0_TX`` and what it depends on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks

from ...errors import ConfigurationError
from ..settings import check_keywords
from .clients import SETTING_TEMPLATE, read_keywords

_MIDDLEWARE = "auth0_tx.integrations.django.middleware.Auth0Middleware"
_SESSION_MIDDLEWARE = "django.contrib.sessions.middleware.SessionMiddleware"
_BACKEND = "auth0_tx.integrations.django.backends.Auth0Backend"
_SINGLE_PROCESS_CACHES = ("LocMemCache", "DummyCache")


def register_all() -> None:
    """Register the checks."""
    checks.register(check_settings)
    checks.register(check_deployment, checks.Tags.security, deploy=True)


def check_settings(app_configs: Any, **_: Any) -> list[checks.CheckMessage]:
    """Check that a client can be made, and that what it needs from Django is there."""
    try:
        keywords = read_keywords()
        check_keywords(keywords, SETTING_TEMPLATE)
    except ConfigurationError as error:
        return [
            checks.Error(
                error.message,
                hint=error.hint or "See AUTH0_TX in the project's settings.",
                id="auth0_tx.E005" if error.parameter == "secret" else "auth0_tx.E001",
            )
        ]
    return [*_check_sessions(keywords), *_check_caches(keywords), *_check_users()]


def check_deployment(app_configs: Any, **_: Any) -> list[checks.CheckMessage]:
    """Check what matters in production only."""
    if settings.SESSION_COOKIE_SECURE or not _is_installed("django.contrib.sessions"):
        return []
    return [
        checks.Warning(
            "SESSION_COOKIE_SECURE is not True",
            hint="Whoever has the cookie of Django's session is logged in.",
            id="auth0_tx.W003",
        )
    ]


def _check_sessions(keywords: dict[str, Any]) -> Iterator[checks.CheckMessage]:
    from .session_store import DjangoSessionStore

    middleware = list(settings.MIDDLEWARE)
    if _MIDDLEWARE not in middleware:
        yield checks.Warning(
            "Auth0Middleware is not in MIDDLEWARE: requests have no auth0",
            hint=f"Add {_MIDDLEWARE!r}, after SessionMiddleware.",
            id="auth0_tx.W001",
        )
        return
    if not isinstance(keywords.get("state_store"), DjangoSessionStore):
        return
    before = middleware[: middleware.index(_MIDDLEWARE)]
    if _SESSION_MIDDLEWARE not in before:
        yield checks.Error(
            "sessions in Django's session need SessionMiddleware before Auth0Middleware",
            hint=f"Put {_SESSION_MIDDLEWARE!r} before {_MIDDLEWARE!r}.",
            id="auth0_tx.E002",
        )
    if settings.SESSION_ENGINE.endswith("signed_cookies"):
        yield checks.Warning(
            "a login session rarely fits into Django's signed cookie",
            hint="Choose another SESSION_ENGINE, or leave STATE_STORE out: sessions are "
            "then in cookies of their own.",
            id="auth0_tx.W002",
        )


def _check_caches(keywords: dict[str, Any]) -> Iterator[checks.CheckMessage]:
    for name in ("state_store", "token_cache"):
        alias = getattr(keywords.get(name), "_alias", None)
        if alias is None:
            continue
        if alias not in settings.CACHES:
            yield checks.Error(
                f"AUTH0_TX[{name.upper()!r}] names a cache that CACHES does not have",
                hint="Its names are " + ", ".join(sorted(settings.CACHES)),
                id="auth0_tx.E003",
            )
        elif settings.CACHES[alias]["BACKEND"].endswith(_SINGLE_PROCESS_CACHES):
            yield checks.Warning(
                f"AUTH0_TX[{name.upper()!r}] is a cache that workers do not share",
                hint="Choose a cache such as Django's RedisCache.",
                id="auth0_tx.W004",
            )


def _check_users() -> Iterator[checks.CheckMessage]:
    if _BACKEND in settings.AUTHENTICATION_BACKENDS and not _is_installed(
        "django.contrib.auth"
    ):
        yield checks.Error(
            "Auth0Backend needs django.contrib.auth",
            hint="Add it to INSTALLED_APPS.",
            id="auth0_tx.E004",
        )


def _is_installed(name: str) -> bool:
    return bool(apps.is_installed(name))
