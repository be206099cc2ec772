"""A Django project for each test: its settings, its tables, and its browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from auth0_tx.tenant import Tenant
from tests.frameworks import django_settings  # noqa: F401

SECRET = "of a login session, and long enough: 0123456789"


@pytest.fixture(scope="session")
def tables() -> Iterator[None]:
    """Make Django's tables, in memory, and keep them for as long as the tests run."""
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    yield
    connection.close()


@pytest.fixture
def project(
    auth0_tenant: Tenant, tables: None, redis_url: str, redis_prefix: str
) -> Iterator[Callable[..., Any]]:
    """Set up a project of the tenant's; what is given is put over ``AUTH0_TX``."""
    from contextlib import ExitStack

    from django.contrib.auth import get_user_model
    from django.test import override_settings

    middleware = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "auth0_tx.integrations.django.middleware.Auth0Middleware",
    ]
    with ExitStack() as stack:

        def set_up(auth0_tx: dict[str, Any] | None = None, **changes: Any) -> None:
            given = {
                "DOMAIN": auth0_tenant.domain,
                "CLIENT_ID": auth0_tenant.client_id,
                "CLIENT_SECRET": auth0_tenant.client_secret,
                "SECRET": SECRET,
                "VERIFY": auth0_tenant.ca_file,
                **(auth0_tx or {}),
            }
            settings = {
                "AUTH0_TX": {k: v for k, v in given.items() if v is not ...},
                "AUTHENTICATION_BACKENDS": [
                    "auth0_tx.integrations.django.backends.Auth0Backend"
                ],
                "CACHES": {
                    "default": {
                        "BACKEND": "django.core.cache.backends.redis.RedisCache",
                        "LOCATION": redis_url,
                        "KEY_PREFIX": redis_prefix,
                    },
                    "own": {
                        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
                        "LOCATION": redis_prefix,
                    },
                },
                "MIDDLEWARE": middleware,
                "ROOT_URLCONF": "tests.integrations.django.site",
                "SECRET_KEY": "of django's own, and long enough: 0123456789",
                "SESSION_ENGINE": "django.contrib.sessions.backends.db",
                **changes,
            }
            stack.enter_context(override_settings(**settings))

        yield set_up
    get_user_model().objects.all().delete()
