"""Browsers of ``login_site``: how they log in, and whom its pages show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django
import pytest

from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant

Project = Callable[..., Any]

SITE = "tests.integrations.django.login_site"
OURS = "auth0_tx.integrations.django.backends.Auth0Backend"
PASSWORDS = "django.contrib.auth.backends.ModelBackend"
COOKIE = "__Host-auth0_tx"

needs_async_users = pytest.mark.skipif(
    django.VERSION < (5, 0), reason="request.auser is of Django 5.0"
)


class Clock:
    """A clock that a test moves."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class BreakableStore(MemoryStore):
    """A store that fails at what it is told to, and counts its reads."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()
        self.reads = 0

    def get(self, key: str) -> bytes | None:
        self.reads += 1
        self._fail_if_broken("get")
        return super().get(key)

    def delete(self, key: str, *, expected: bytes | None = None) -> None:
        self._fail_if_broken("delete")
        super().delete(key, expected=expected)

    def _fail_if_broken(self, method: str) -> None:
        if method in self.broken:
            raise ConnectionError


def new_browser() -> Any:
    """Return a browser that shows error pages instead of raising."""
    from django.test import Client

    return Client(raise_request_exception=False)


def ask(browser: Any, path: str, **more: Any) -> str:
    """Return a page's text, or its status if it is not 200."""
    answer = browser.get(f"/{path}", secure=True, **more)
    if answer.status_code != 200:
        return str(answer.status_code)
    return b"".join(answer).decode()


def send(browser: Any, path: str, body: str = "", **more: Any) -> Any:
    """Post a text."""
    return browser.post(
        f"/{path}", body, content_type="text/plain", secure=True, **more
    )


def log_in(
    tenant: Tenant,
    user: str = "alice",
    path: str = "login",
    browser: Any = None,
) -> Any:
    """Return a browser in which a user has logged in."""
    browser = browser or new_browser()
    answer = send(browser, path, tenant.subject_token(f"auth0|{user}"))
    assert 200 == answer.status_code, (answer.status_code, answer.content)
    return browser
