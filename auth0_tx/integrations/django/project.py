"""The parts of a project that this integration depends on: apps, middleware and backends."""

from __future__ import annotations

from inspect import signature
from typing import Any

from django.apps import apps
from django.conf import settings
from django.utils.module_loading import import_string

_BACKEND = "auth0_tx.integrations.django.backends.Auth0Backend"


def is_installed(app: str) -> bool:
    """Return whether *app* is in ``INSTALLED_APPS``."""
    return bool(apps.is_installed(app))


def has_backend() -> bool:
    """Return whether a backend, such as ``Auth0Backend``, knows Django's users by claims."""
    backends = list(settings.AUTHENTICATION_BACKENDS)
    # Without its app, our backend's module cannot be imported.
    return _BACKEND in backends or find_backend() is not None


def find_backend() -> Any:
    """Return the class of the first backend that takes verified claims, or ``None``."""
    for path in settings.AUTHENTICATION_BACKENDS:
        kind = _load(path)
        authenticate = getattr(kind, "authenticate", None)
        if (
            callable(authenticate)
            and "auth0_claims" in signature(authenticate).parameters
        ):
            return kind
    return None


def find_middleware(kind: type) -> int | None:
    """Return the place of a middleware, or of a subclass of it, in ``MIDDLEWARE``."""
    for place, path in enumerate(settings.MIDDLEWARE):
        if is_subclass(path, kind):
            return place
    return None


def is_subclass(path: str, kind: type) -> bool:
    """Return whether an import path is that of *kind* or of a subclass.

    One that cannot be imported is not: Django itself says what is wrong with it.
    """
    if path == f"{kind.__module__}.{kind.__qualname__}":
        return True
    found = _load(path)
    return isinstance(found, type) and issubclass(found, kind)


def _load(path: str) -> Any:
    """Return what an import path names, or ``None`` if it cannot be imported."""
    try:
        return import_string(path)
    except Exception:
        # The module may be anybody's, and do anything when it is imported.
        return None
