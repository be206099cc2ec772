"""Django's own logins and logouts, and what becomes of the login session."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant
from tests.frameworks import django_settings  # noqa: F401
from tests.integrations.django.logins import (
    COOKIE,
    OURS,
    PASSWORDS,
    SITE,
    BreakableStore,
    Project,
    ask,
    log_in,
    needs_async_users,
    new_browser,
    send,
)

STORES: dict[str, Any] = {
    "cookies": ...,
    "session": "session",
    "redis": "cache",
    "memory": MemoryStore(),
}


@pytest.fixture(params=STORES)
def local_user(request: pytest.FixtureRequest, project: Project) -> str:
    """The name of a user with a password, in a project that keeps its sessions somewhere."""
    from django.contrib.auth import get_user_model

    project(
        {"STATE_STORE": STORES[request.param]},
        ROOT_URLCONF=SITE,
        AUTHENTICATION_BACKENDS=[OURS, PASSWORDS],
    )
    get_user_model().objects.create_user("local", password="pw")
    return "local"


def count_revocations(tenant: Tenant) -> int:
    """Return how many refresh tokens the tenant was asked to revoke."""
    return tenant.count("/oauth/revoke")


@pytest.mark.parametrize(
    "path",
    [
        "logout-of-django",
        pytest.param("logout-of-django-async", marks=needs_async_users),
    ],
)
def test_logout_of_django(local_user: str, auth0_tenant: Tenant, path: str) -> None:
    """Django's logout ends the login session, and revokes its refresh token, once."""
    browser = log_in(auth0_tenant)
    before = count_revocations(auth0_tenant)
    send(browser, path)

    assert "nobody" == ask(browser, "subject")
    assert "302" == ask(browser, "account")
    assert 1 == count_revocations(auth0_tenant) - before


@pytest.mark.parametrize("path", ["logout", "logout-async"])
def test_logout_of_both(local_user: str, auth0_tenant: Tenant, path: str) -> None:
    """Our logout ends both, once, and Django's receivers are told whose login ended."""
    from django.contrib.auth.signals import user_logged_out

    browser = log_in(auth0_tenant)
    name = ask(browser, "account")
    before, told = count_revocations(auth0_tenant), []

    def receive(user: Any, **_: Any) -> None:
        told.append(user and user.get_username())

    user_logged_out.connect(receive)
    try:
        send(browser, path)
    finally:
        user_logged_out.disconnect(receive)

    assert [name] == told
    assert "nobody" == ask(browser, "subject")
    assert "302" == ask(browser, "account")
    assert 1 == count_revocations(auth0_tenant) - before


def test_login_by_password(local_user: str, auth0_tenant: Tenant) -> None:
    """The next user of the browser, whom another backend logs in, gets no tokens of Alice."""
    browser = log_in(auth0_tenant)
    before = count_revocations(auth0_tenant)
    send(browser, "login-by-password")

    assert local_user == ask(browser, "account")
    assert "nobody" == ask(browser, "subject")
    assert "401" == ask(browser, "token")
    assert not browser.cookies[COOKIE].value
    assert 1 == count_revocations(auth0_tenant) - before


def test_login_over_a_password(local_user: str, auth0_tenant: Tenant) -> None:
    """A login through Auth0 replaces one by a password, and is whole."""
    browser = new_browser()
    send(browser, "login-by-password")
    log_in(auth0_tenant, browser=browser)

    assert ask(browser, "account").startswith("auth0-")
    assert "auth0|alice" == ask(browser, "subject")


def test_login_by_password_alone(local_user: str, auth0_tenant: Tenant) -> None:
    """A login by password, of a browser that Auth0 does not know, sets no cookie of ours."""
    browser = new_browser()
    answer = send(browser, "login-by-password")

    assert not [name for name in answer.cookies if name.startswith(COOKIE)]


def test_same_user_by_password(local_user: str, auth0_tenant: Tenant) -> None:
    """A user who logs in by password, too, stays logged in without the login session."""
    browser = log_in(auth0_tenant)
    name = ask(browser, "account")
    send(browser, "login-again-by-password")

    assert "nobody" == ask(browser, "subject")
    assert name == ask(browser, "account")


def test_login_by_hand(local_user: str, auth0_tenant: Tenant) -> None:
    """A project that calls Django's functions itself has a login that stands on the session."""
    browser = log_in(auth0_tenant, path="login-by-hand")
    assert ask(browser, "account").startswith("auth0-")
    assert "auth0|alice" == ask(browser, "subject")
    for name in [name for name in browser.cookies if name.startswith(COOKIE)]:
        del browser.cookies[name]
    assert "302" == ask(browser, "account")

    other = log_in(auth0_tenant, path="login-by-hand?sub=another")
    assert ask(other, "account").startswith("auth0-")
    assert "nobody" == ask(other, "subject")


def test_login_by_hand_in_an_outage(project: Project, auth0_tenant: Tenant) -> None:
    """Such a login is checked later, if the store cannot tell whose session there is."""
    store = BreakableStore()
    project({"STATE_STORE": store}, ROOT_URLCONF=SITE)
    browsers = [new_browser(), new_browser()]
    store.broken = {"get"}
    for browser, path in zip(browsers, ("", "?sub=another"), strict=True):
        log_in(auth0_tenant, path=f"login-by-hand{path}", browser=browser)
    store.broken = set()

    assert ask(browsers[0], "account").startswith("auth0-")
    assert "302" == ask(browsers[1], "account")


def test_receiver_that_uses_the_session(local_user: str, auth0_tenant: Tenant) -> None:
    """A receiver of ``user_logged_in`` finds the login session, over another user's too."""
    from django.contrib.auth.signals import user_logged_in

    told = []

    def receive(request: Any, **_: Any) -> None:
        told.append(request.auth0.user["sub"])

    user_logged_in.connect(receive)
    try:
        browser = log_in(auth0_tenant)
        log_in(auth0_tenant, "bob", browser=browser)
    finally:
        user_logged_in.disconnect(receive)

    assert ["auth0|alice", "auth0|bob"] == told


def test_receiver_that_fails(local_user: str, auth0_tenant: Tenant) -> None:
    """If a project's receiver fails, nobody is logged in, neither here nor there."""
    from django.contrib.auth.signals import user_logged_in

    def receive(**_: Any) -> None:
        raise KeyError("a bug of the application")

    browser = new_browser()
    user_logged_in.connect(receive)
    try:
        answer = send(browser, "login", auth0_tenant.subject_token("auth0|alice"))
    finally:
        user_logged_in.disconnect(receive)

    assert 500 == answer.status_code
    assert "nobody" == ask(browser, "subject")
    assert "302" == ask(browser, "account")


def test_receiver_that_logs_out(local_user: str, auth0_tenant: Tenant) -> None:
    """A project's receiver may log the user out again: the login is refused then."""
    from django.contrib.auth import logout
    from django.contrib.auth.signals import user_logged_in

    def receive(request: Any, **_: Any) -> None:
        logout(request)

    browser = new_browser()
    user_logged_in.connect(receive)
    try:
        answer = send(browser, "login", auth0_tenant.subject_token("auth0|alice"))
    finally:
        user_logged_in.disconnect(receive)

    assert {"error": "login_refused"} == answer.json()
    assert "nobody" == ask(browser, "subject")
    assert "302" == ask(browser, "account")


@pytest.mark.parametrize("broken", [{"delete"}, {"get", "delete"}])
@pytest.mark.parametrize(
    "path",
    [
        "logout-of-django",
        "logout-of-django-by-hand",
        pytest.param("logout-of-django-async", marks=needs_async_users),
        "auth0/logout/",
    ],
)
def test_store_that_fails(
    project: Project,
    auth0_tenant: Tenant,
    broken: set[str],
    path: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A store that fails keeps nobody logged in to Django, and is logged."""
    store = BreakableStore()
    project({"STATE_STORE": store}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)
    store.broken = broken
    answer = send(browser, path)
    store.broken = set()

    assert "nobody" == ask(browser, "subject")
    assert "302" == ask(browser, "account")
    if path == "auth0/logout/":
        assert 503 == answer.status_code
        return
    assert (302 if path == "logout-of-django" else 200) == answer.status_code
    (record,) = [
        record for record in caplog.records if record.name == "auth0_tx.session"
    ]
    assert logging.ERROR == record.levelno
    assert "store_failed" in record.getMessage()


def test_resolver_that_fails(project: Project, auth0_tenant: Tenant) -> None:
    """A resolver that names no tenant keeps nobody logged in to Django either."""
    project({}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)
    project({"DOMAIN": lambda _: "not a domain"}, ROOT_URLCONF=SITE)
    answer = send(browser, "logout-of-django")
    project({}, ROOT_URLCONF=SITE)

    assert 302 == answer.status_code
    assert "302" == ask(browser, "account")


def test_wrong_settings(
    project: Project, auth0_tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    """Settings that make no client keep nobody from logging in and out by password."""
    from django.contrib.auth import get_user_model

    project(
        {"CLIENT_ID": ...},
        ROOT_URLCONF=SITE,
        AUTHENTICATION_BACKENDS=[OURS, PASSWORDS],
    )
    get_user_model().objects.create_user("local", password="pw")
    browser = new_browser()
    send(browser, "login-by-password")
    assert "local" == ask(browser, "account")
    send(browser, "logout-of-django")
    assert "302" == ask(browser, "account")

    assert 2 == sum("CLIENT_ID" in record.getMessage() for record in caplog.records)


def test_without_the_middleware(project: Project, auth0_tenant: Tenant) -> None:
    """Without our middleware, Django's login and logout work as they do without us."""
    from django.contrib.auth import get_user_model

    project(
        {},
        ROOT_URLCONF=SITE,
        AUTHENTICATION_BACKENDS=[OURS, PASSWORDS],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
    )
    get_user_model().objects.create_user("local", password="pw")
    browser = new_browser()
    send(browser, "login-by-password")
    assert "local" == ask(browser, "account")
    send(browser, "logout-of-django")
    assert "302" == ask(browser, "account")


def test_browsers_of_django(project: Project, auth0_tenant: Tenant) -> None:
    """The test client's own ``login`` and ``logout``, whose requests pass no middleware, work."""
    from django.contrib.auth import get_user_model

    project({}, ROOT_URLCONF=SITE, AUTHENTICATION_BACKENDS=[OURS, PASSWORDS])
    get_user_model().objects.create_user("local", password="pw")
    browser = new_browser()

    assert browser.login(username="local", password="pw")
    assert "local" == ask(browser, "account")
    browser.logout()
    assert "302" == ask(browser, "account")
