"""Django's login in applications that have their own ways with it: REST Framework, the admin."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx.tenant import Tenant
from tests.frameworks import django_settings  # noqa: F401
from tests.integrations.django.logins import (
    OURS,
    PASSWORDS,
    SITE,
    BreakableStore,
    Project,
    ask,
    log_in,
    new_browser,
    send,
)

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "auth0_tx.integrations.django.middleware.Auth0Middleware",
]
APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "auth0_tx.integrations.django",
    "tests.integrations.django.own_users",
]


ADMIN = "tests.integrations.django.admin_site"


@pytest.mark.parametrize("store", ["cookies", "session", "cache"])
@pytest.mark.parametrize("function", ["ours", "django's"])
def test_rest_framework(
    project: Project, auth0_tenant: Tenant, store: str, function: str
) -> None:
    """Login, permissions and both logouts work through REST Framework's requests."""
    from rest_framework.test import APIClient

    project(
        {"STATE_STORE": ... if store == "cookies" else store},
        ROOT_URLCONF="tests.integrations.django.rest_site",
    )
    browser = APIClient()
    token = auth0_tenant.subject_token("auth0|alice")
    answer = browser.generic("POST", "/login", token, secure=True)

    assert [True, True] == answer.json()
    assert "auth0|alice" == browser.get("/me", secure=True).json()
    assert [False, None] == browser.post(f"/logout/{function}", secure=True).json()
    assert 403 == browser.get("/me", secure=True).status_code


def test_rest_framework_after_the_end(project: Project, auth0_tenant: Tenant) -> None:
    """The session's end is that of REST Framework's login; an outage is answered with 503."""
    from rest_framework.test import APIClient

    from auth0_tx.integrations.django import get_client

    store = BreakableStore()
    project({"STATE_STORE": store}, ROOT_URLCONF="tests.integrations.django.rest_site")
    browser = APIClient(raise_request_exception=False)
    token = auth0_tenant.subject_token("auth0|alice")
    browser.generic("POST", "/login", token, secure=True)
    store.broken = {"get"}
    assert 503 == browser.get("/me", secure=True).status_code
    store.broken = set()
    assert 200 == browser.get("/me", secure=True).status_code
    get_client().end_sessions(sub="auth0|alice")

    assert 403 == browser.get("/me", secure=True).status_code


@pytest.fixture
def admin(project: Project, auth0_tenant: Tenant) -> Any:
    """A project with Django's admin, and a member of its staff with a password."""
    from django.contrib.auth import get_user_model

    project(
        {"STATE_STORE": "cache"},
        AUTHENTICATION_BACKENDS=[OURS, PASSWORDS],
        INSTALLED_APPS=[*APPS, "django.contrib.admin", "django.contrib.messages"],
        MIDDLEWARE=[
            *MIDDLEWARE,
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        ROOT_URLCONF=ADMIN,
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
    )
    return get_user_model().objects.create_superuser("root", password="pw")


def test_admin(admin: Any, auth0_tenant: Tenant) -> None:
    """The admin's logout ends the login session, and a back-channel logout the admin's login."""
    from django.contrib.auth import get_user_model

    browser, other = log_in(auth0_tenant), log_in(auth0_tenant)
    get_user_model().objects.update(is_staff=True, is_superuser=True)
    page = "admin/password_change/"
    assert ask(browser, page) != "302" != ask(other, page)
    assert 200 == browser.post("/admin/logout/", secure=True).status_code
    assert "nobody" == ask(browser, "subject")
    assert "302" == ask(browser, page)
    logout_token = auth0_tenant.logout_token(sub="auth0|alice")
    new_browser().post("/backchannel-logout", {"logout_token": logout_token})
    assert "302" == ask(other, page)


def test_admin_in_an_outage(admin: Any, auth0_tenant: Tenant) -> None:
    """The admin's logout is one, also while the store cannot be read."""
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.test import override_settings

    store = BreakableStore()
    with override_settings(AUTH0_TX={**settings.AUTH0_TX, "STATE_STORE": store}):
        browser = log_in(auth0_tenant)
        get_user_model().objects.update(is_staff=True, is_superuser=True)
        store.broken = {"get", "delete"}
        assert "503" == ask(browser, "admin/password_change/")
        assert 200 == browser.post("/admin/logout/", secure=True).status_code
        store.broken = set()

        assert "nobody" == ask(browser, "subject")
        assert "302" == ask(browser, "admin/password_change/")


def test_login_to_the_admin(admin: Any, auth0_tenant: Tenant) -> None:
    """Who logs in to the admin by password has nobody's tokens."""
    browser = log_in(auth0_tenant)
    form = {"username": "root", "password": "pw", "next": "/account"}
    answer = browser.post("/admin/login/", form, secure=True)

    # The user of before had no access, and the form is shown to them as well.
    assert 302 == answer.status_code
    assert "root" == ask(browser, "account")
    assert "nobody" == ask(browser, "subject")


@pytest.mark.parametrize("cache", ["default", "own"])
@pytest.mark.parametrize("seconds", [0, 60])
def test_cached_pages(
    project: Project, auth0_tenant: Tenant, cache: str, seconds: int
) -> None:
    """Django's cache middleware serves nobody the page that another user asked for."""
    project(
        {"STATE_STORE": "cache", "LOGIN_CHECK_SECONDS": seconds},
        CACHE_MIDDLEWARE_ALIAS=cache,
        MIDDLEWARE=[
            "django.middleware.cache.UpdateCacheMiddleware",
            *MIDDLEWARE,
            "django.middleware.cache.FetchFromCacheMiddleware",
        ],
        ROOT_URLCONF=SITE,
    )
    alice, bob = log_in(auth0_tenant), log_in(auth0_tenant, "bob")
    visitors = (alice, bob, new_browser())
    own = [ask(visitor, "account-in-template") for visitor in visitors]
    assert 3 == len(set(own))
    for _ in range(3):
        for page in ("account-in-template", "account-of-session"):
            assert own == [ask(visitor, page) for visitor in visitors]
        # Django keeps the page of a visitor, who has no session that could be read.
        shown = [ask(visitor, "page-of-account") for visitor in visitors]
        assert all(
            page in (name, "nobody") for page, name in zip(shown, own, strict=True)
        )
    send(alice, "logout-of-django")
    assert "nobody" == ask(alice, "account-in-template")


def test_other_clients(project: Project, auth0_tenant: Tenant) -> None:
    """Sessions of a project's other clients end with the login of Django's user."""
    from django.contrib.auth import get_user_model

    own = {
        "DOMAIN": auth0_tenant.domain,
        "CLIENT_ID": auth0_tenant.client_id,
        "CLIENT_SECRET": auth0_tenant.client_secret,
        "SECRET": "of a login session, and long enough: 0123456789",
        "VERIFY": auth0_tenant.ca_file,
    }
    credentials = {name: own[name] for name in ("CLIENT_ID", "CLIENT_SECRET")}
    project(
        {},
        AUTH0_TX={"default": own, "orders": credentials},
        AUTHENTICATION_BACKENDS=[OURS, PASSWORDS],
        ROOT_URLCONF=SITE,
    )
    get_user_model().objects.create_user("local", password="pw")

    def log_in_to_both() -> Any:
        browser = log_in(auth0_tenant)
        token = auth0_tenant.subject_token("auth0|alice")
        send(browser, "login-to-orders", token)
        assert "auth0|alice" == ask(browser, "subject-of-orders")
        assert ask(browser, "account").startswith("auth0-")
        return browser

    again = log_in(auth0_tenant, browser=log_in_to_both())
    assert "auth0|alice" == ask(again, "subject-of-orders")
    send(again, "logout-of-orders")
    assert "nobody" == ask(again, "subject-of-orders")
    assert ask(again, "account").startswith("auth0-")
    for path in ("logout", "logout-of-django", "login-by-password"):
        browser = log_in_to_both()
        send(browser, path)
        assert "nobody" == ask(browser, "subject-of-orders"), path
    for path in ("login", "login-to-auth0"):
        browser = log_in(auth0_tenant, "bob", path, log_in_to_both())
        assert "nobody" == ask(browser, "subject-of-orders"), path
