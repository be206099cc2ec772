"""The parts of a project that this integration depends on: apps, middleware and backends."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.utils.module_loading import import_string

_BACKEND = "auth0_tx.integrations.django.backends.Auth0Backend"


def is_installed(app: str) -> bool:
    """Return whether *app* is in ``INSTALLED_APPS``."""
    return bool(apps.is_installed(app))


def has_backend() -> bool:
    """Return whether ``Auth0Backend``, or a subclass of it, authenticates Django's users."""
    backends = list(settings.AUTHENTICATION_BACKENDS)
    # Without its app, the backend's module cannot be imported.
    if _BACKEND in backends or not is_installed("django.contrib.auth"):
        return _BACKEND in backends
    from .backends import Auth0Backend

    return any(is_subclass(path, Auth0Backend) for path in backends)


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
    try:
        found: Any = import_string(path)
    except Exception:
        # The module may be anybody's, and do anything when it is imported.
        return False
    return isinstance(found, type) and issubclass(found, kind)
