"""Logging out of Django: whatever else fails, nobody stays logged in there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from auth0_tx import InvalidInputError
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant
from tests.frameworks import django_settings  # noqa: F401
from tests.integrations.django.test_django_integration import (
    log_in_new_browser,
    new_browser,
    post,
)

Project = Callable[..., Any]


class StoreThatGoesDown(MemoryStore):
    """A store that fails at every command once it is down."""

    is_down = False

    def get(self, key: str) -> bytes | None:
        if self.is_down:
            raise ConnectionError
        return super().get(key)

    def delete(self, key: str, *, expected: bytes | None = None) -> None:
        if self.is_down:
            raise ConnectionError
        super().delete(key, expected=expected)


@pytest.fixture
def store(project: Project, auth0_tenant: Tenant) -> StoreThatGoesDown:
    """The store of a project that keeps Django's users."""
    store = StoreThatGoesDown()
    project({"STATE_STORE": store})
    auth0_tenant.applications.change(
        auth0_tenant.client_id, allowed_logout_urls=["http://localhost/"]
    )
    return store


def read_django_user(visitor: Any) -> str | None:
    """Return the key of the user who is logged in to Django, read from its session."""
    key: str | None = visitor.session.get("_auth_user_id")
    return key


def test_store_that_is_down(store: StoreThatGoesDown, auth0_tenant: Tenant) -> None:
    """A store that is down is reported, and the user is logged out of Django."""
    visitor = log_in_new_browser(auth0_tenant, path="/login-to-django")
    assert read_django_user(visitor) is not None
    store.is_down = True

    assert 503 == post(visitor, "/logout").status_code
    assert read_django_user(visitor) is None


@pytest.mark.parametrize("path", ["/logout-of-auth0", "/logout-async"])
def test_session_is_flushed(
    store: StoreThatGoesDown, auth0_tenant: Tenant, path: str
) -> None:
    """``request.auth0.logout()`` flushes Django's session, if the store is down too."""
    visitor = log_in_new_browser(auth0_tenant, path="/login-to-django")
    store.is_down = True

    assert 503 == post(visitor, path).status_code
    assert read_django_user(visitor) is None


@pytest.mark.parametrize("path", ["/logout", "/logout-of-auth0"])
def test_bad_return_to(
    store: StoreThatGoesDown, auth0_tenant: Tenant, path: str
) -> None:
    """A bad *return_to* is refused before anything ends, here or in Django."""
    visitor = log_in_new_browser(auth0_tenant, path="/login-to-django")
    with pytest.raises(InvalidInputError, match="return_to"):
        post(visitor, f"{path}?to=nowhere")

    assert read_django_user(visitor) is not None
    assert "auth0|alice" == visitor.get("/user", secure=True).json()["sub"]


def test_resolver_that_fails(project: Project, auth0_tenant: Tenant) -> None:
    """A resolver that names no tenant is reported, and nobody stays logged in."""
    project()
    visitor = log_in_new_browser(auth0_tenant, path="/login-to-django")
    project({"DOMAIN": lambda _: "not a domain"})
    with pytest.raises(InvalidInputError, match="domain"):
        post(visitor, "/logout")

    assert read_django_user(visitor) is None


def test_nobody(store: StoreThatGoesDown) -> None:
    """A visitor may log out."""
    assert 302 == post(new_browser(), "/logout").status_code
