"""What ``manage.py check`` finds: unsafe settings, what is missing, and what keeps no bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache.backends.locmem import LocMemCache

from tests.frameworks import django_settings  # noqa: F401
from tests.integrations.django.test_django_integration import OURS, SESSIONS, run_checks

Project = Callable[..., Any]

ACCOUNTS = "django.contrib.auth.middleware.AuthenticationMiddleware"
CACHES = "django.core.cache.backends"
MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
SAFE = {"SESSION_COOKIE_SECURE": True}


class JsonCache(LocMemCache):
    """A cache of somebody's own, whose values are JSON."""

    def set(self, key: Any, value: Any, *args: Any, **more: Any) -> None:
        super().set(key, json.dumps(value), *args, **more)

    def get(self, key: Any, *args: Any, **more: Any) -> Any:
        found = super().get(key, *args, **more)
        return found if found is None else json.loads(found)


class TextCache(LocMemCache):
    """A cache that returns bytes as text."""

    def get(self, key: Any, *args: Any, **more: Any) -> Any:
        found = super().get(key, *args, **more)
        return found.decode("latin-1") if isinstance(found, bytes) else found


class JsonSerializer:
    """A serializer for Django's Redis cache."""

    def dumps(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


class DownCache(LocMemCache):
    """A cache that cannot be reached."""

    def set(self, *args: Any, **more: Any) -> None:
        raise ConnectionError


class HangingCache(LocMemCache):
    """A cache whose server does not answer."""

    released = threading.Event()

    def set(self, *args: Any, **more: Any) -> None:
        self.released.wait(30)


class SwallowingCache(LocMemCache):
    """A cache that hides that it cannot be reached."""

    def set(self, *args: Any, **more: Any) -> None:
        return None


class OwnBackend:
    """A backend of the project's own."""


class OwnClaimsBackend:
    """A backend of the project's own that takes verified claims."""

    def authenticate(self, request: Any, auth0_claims: Any = None) -> None:
        return None


class OwnMiddleware:
    """Not a middleware of Auth0's."""


@pytest.fixture
def caches(redis_url: str) -> dict[str, Any]:
    """Caches of many kinds, by name."""
    here = __name__
    return {
        "default": {"BACKEND": f"{CACHES}.dummy.DummyCache"},
        "files": {
            "BACKEND": f"{CACHES}.filebased.FileBasedCache",
            "LOCATION": "/tmp/x",
        },
        "local": {"BACKEND": f"{CACHES}.locmem.LocMemCache"},
        "redis": {"BACKEND": f"{CACHES}.redis.RedisCache", "LOCATION": redis_url},
        "redis_json": {
            "BACKEND": f"{CACHES}.redis.RedisCache",
            "LOCATION": redis_url,
            "OPTIONS": {"serializer": f"{here}.JsonSerializer"},
        },
        "redis_down": {
            "BACKEND": f"{CACHES}.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1",
            "OPTIONS": {"serializer": f"{here}.JsonSerializer"},
        },
        "database": {"BACKEND": f"{CACHES}.db.DatabaseCache", "LOCATION": "none"},
    }


@pytest.mark.parametrize(
    ("alias", "store", "cached"),
    [
        ("default", "E007", "W004"),
        ("files", "W010", "W010"),
        ("local", "W004", "W004"),
        ("redis", None, None),
        ("redis_json", "E007", "E007"),
        ("redis_down", None, None),
        ("database", "W011", None),
        ("missing", "E003", "E003"),
    ],
)
def test_caches(
    project: Project,
    caches: dict[str, Any],
    alias: str,
    store: str | None,
    cached: str | None,
) -> None:
    """A cache that keeps nothing, no bytes, or only for one process, is found."""
    for keyword, expected in {"STATE_STORE": store, "TOKEN_CACHE": cached}.items():
        project({keyword: f"cache:{alias}"}, CACHES=caches)

        assert {f"auth0_tx.{expected}"} - {"auth0_tx.None"} == run_checks()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (JsonCache, True),
        (TextCache, True),
        (DownCache, False),
        (SwallowingCache, False),
        (LocMemCache, False),
    ],
)
def test_bytes(
    project: Project,
    kind: type[LocMemCache],
    expected: bool,
) -> None:
    """A cache that keeps text, and no bytes, is told from one that cannot be reached."""
    from auth0_tx.integrations.django.checks import _loses_bytes

    project(CACHES={"default": {"BACKEND": f"{kind.__module__}.{kind.__name__}"}})

    assert expected is _loses_bytes("default")


def test_cache_that_hangs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache whose server does not answer holds up no command."""
    from auth0_tx.integrations.django import checks

    monkeypatch.setattr(checks, "_LONGEST_TRIAL", 0.1)
    project(CACHES={"default": {"BACKEND": f"{__name__}.HangingCache"}})

    assert not checks._loses_bytes("default")
    HangingCache.released.set()


@pytest.mark.parametrize(
    ("auth0_tx", "changes", "expected"),
    [
        ({"VERIFY": False}, {}, {"W005"}),
        ({}, {"AUTHENTICATION_BACKENDS": [MODEL_BACKEND]}, {"W008"}),
        ({}, {"AUTHENTICATION_BACKENDS": [f"{__name__}.OwnBackend"]}, {"W008"}),
        ({}, {"AUTHENTICATION_BACKENDS": [f"{__name__}.OwnClaimsBackend"]}, set()),
        (
            {},
            {"AUTHENTICATION_BACKENDS": [MODEL_BACKEND], "MIDDLEWARE": []},
            {"W001", "W008"},
        ),
        ({}, {"MIDDLEWARE": [f"{__name__}.OwnMiddleware", "no.where"]}, {"E006"}),
        ({}, {"MIDDLEWARE": [SESSIONS, ACCOUNTS, OURS]}, set()),
        ({}, {"MIDDLEWARE": [SESSIONS, OURS, ACCOUNTS]}, {"E009"}),
        ({}, {"MIDDLEWARE": [OURS, SESSIONS, ACCOUNTS]}, {"E009"}),
        (
            {"STATE_STORE": "session"},
            {"MIDDLEWARE": [OURS, SESSIONS, ACCOUNTS]},
            {"E009"},
        ),
        ({"STATE_STORE": "database:none"}, {}, {"E003"}),
    ],
)
def test_middleware_and_backends(
    project: Project,
    auth0_tx: dict[str, Any],
    changes: dict[str, Any],
    expected: set[str],
) -> None:
    """What is missing, or in the wrong place, is found by its id."""
    project(auth0_tx, **changes)

    assert {f"auth0_tx.{name}" for name in expected} == run_checks()


def test_databases(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite has one writer, so ATOMIC_REQUESTS is reported; and the table must be there."""
    from django.db import connection

    from auth0_tx.integrations.django.checks import _check_databases, _read_clients

    project({"STATE_STORE": "database"})
    assert set() == run_checks()
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert {"auth0_tx.W002"} == run_checks()
    project({"STATE_STORE": "database"}, SESSION_ENGINE="no.where")

    (message,) = _check_databases(_read_clients())
    assert ("auth0_tx.E002", True) == (message.id, bool(message.hint))


def test_subclasses(project: Project) -> None:
    """A backend and a middleware derived from ours count as ours."""
    from auth0_tx.integrations.django.backends import Auth0Backend
    from auth0_tx.integrations.django.middleware import Auth0Middleware

    class Backend(Auth0Backend):
        """A backend of the project's own."""

    class Middleware(Auth0Middleware):
        """A middleware of the project's own."""

    here = sys.modules[__name__]
    vars(here).update(Backend=Backend, Middleware=Middleware)
    project(
        AUTHENTICATION_BACKENDS=[f"{__name__}.Backend"],
        MIDDLEWARE=[SESSIONS, ACCOUNTS, f"{__name__}.Middleware"],
    )

    assert set() == run_checks()


@pytest.mark.parametrize(
    ("auth0_tx", "expected"),
    [
        ({}, set()),
        ({"SESSION_POLICY": {"COOKIE_SECURE": False}}, {"W006"}),
        ({"DOMAIN": "http://localhost:9"}, {"W007"}),
        ({"DOMAIN": "HTTP://localhost:9"}, {"W007"}),
        ({"CLIENT_ID": ...}, {"E001"}),
    ],
)
def test_deployment(
    project: Project, auth0_tx: dict[str, Any], expected: set[str]
) -> None:
    """Plain http is found where it matters: under ``--deploy``."""
    project(auth0_tx, **SAFE)
    always = run_checks()

    assert {f"auth0_tx.{name}" for name in expected} == run_checks(
        include_deployment_checks=True
    )
    assert not [name for name in always if ".W" in name]


def test_named_clients(project: Project, caches: dict[str, Any]) -> None:
    """Each client is checked, what they share once, and that their cookies are apart."""
    from django.conf import settings
    from django.core import checks

    project({"VERIFY": False, "STATE_STORE": "cache:local"}, CACHES=caches)
    first = settings.AUTH0_TX
    second = {"CLIENT_ID": "orders", "CLIENT_SECRET": "secret-of-orders"}
    project(AUTH0_TX={"default": first, "orders": second}, CACHES=caches)

    messages = sorted(message.msg for message in checks.run_checks())
    assert [True, True] == [
        message.startswith(f"AUTH0_TX['default']['{name}']")
        for message, name in zip(messages, ("STATE_STORE", "VERIFY"), strict=True)
    ]
    second["STATE_STORE"] = "cache:missing"
    project(AUTH0_TX={"default": first, "orders": second}, CACHES=caches)
    assert {f"auth0_tx.{name}" for name in ("E003", "W004", "W005")} == run_checks()
    second["SESSION_POLICY"] = {"cookie_name": "mine"}
    third = {**second, "CLIENT_ID": "other"}
    clients = {"default": first, "orders": second, "other": third}
    project(AUTH0_TX=clients)
    assert {"auth0_tx.E008"} == run_checks()


SETTINGS = """
ALLOWED_HOSTS = ["app.example.com"]
AUTHENTICATION_BACKENDS = ["auth0_tx.integrations.django.backends.Auth0Backend"]
AUTH0_TX = {
    "DOMAIN": "tenant.us.auth0.com",
    "CLIENT_ID": "client-id",
    "CLIENT_SECRET": "client-secret",
    "STATE_STORE": "cache",
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:1",
    }
}
CSRF_COOKIE_SECURE = True
DEBUG = False
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "auth0_tx.integrations.django",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "auth0_tx.integrations.django.middleware.Auth0Middleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
SECRET_KEY = "0123456789abcdefghijklmnopqrstuvwxyz" * 2
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SECURE_HSTS_SECONDS = 31_536_000
SECURE_SSL_REDIRECT = True
SESSION_COOKIE_SECURE = True
"""


def test_silence(tmp_path: Path) -> None:
    """A project that is set up well has nothing to read, although its cache is down."""
    (tmp_path / "well_set_up.py").write_text(SETTINGS)
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "django", "check", "--deploy"),
            *("--settings", "well_set_up", "--fail-level", "INFO"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )

    assert (0, "") == (ran.returncode, ran.stderr)
    assert "no issues (0 silenced)" in ran.stdout
