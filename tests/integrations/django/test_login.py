"""``login`` and ``alogin``: what they refuse before a token is spent, and whom afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx import (
    ConfigurationError,
    CustomTokenExchangeError,
    LoginRefusedError,
    LoginWithCustomTokenExchangeOptions,
)
from auth0_tx.integrations.django.backends import Auth0Backend
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
    new_browser,
    send,
)

HERE = "tests.integrations.django.test_login"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "auth0_tx.integrations.django.middleware.Auth0Middleware",
]
STORES: dict[str, Any] = {
    "cookies": ...,
    "session": "session",
    "redis": "cache",
    "memory": MemoryStore(),
}
WORLDS = pytest.mark.parametrize("path", ["login", "login-async"])


class Newcomers(Auth0Backend):
    """A backend of a project that creates no users."""

    def create_user(self, issuer: str, subject: str, claims: Any) -> Any:
        return None


class Own:
    """A backend of a project that knows nothing of ours but the argument's name."""

    def authenticate(self, request: Any, auth0_claims: Any = None) -> Any:
        from django.contrib.auth import get_user_model

        name = auth0_claims["sub"]
        return get_user_model().objects.get_or_create(username=name)[0]

    def get_user(self, user_id: Any) -> Any:
        from django.contrib.auth import get_user_model

        return get_user_model().objects.filter(pk=user_id).first()


class ByCode:
    """A backend that takes neither passwords nor claims."""

    def authenticate(self, request: Any, code: str) -> Any:
        raise AssertionError


class Failing(Auth0Backend):
    """A backend whose project has a bug."""

    def update_user(self, user: Any, claims: Any) -> None:
        raise KeyError("a bug of the application")


class Forbidding(Auth0Backend):
    """A backend that says that nobody else shall be asked."""

    def authenticate(self, request: Any, **credentials: Any) -> Any:
        from django.core.exceptions import PermissionDenied

        raise PermissionDenied

    async def aauthenticate(self, request: Any, **credentials: Any) -> Any:
        return self.authenticate(request, **credentials)


@WORLDS
@pytest.mark.parametrize("store", STORES)
def test_login(project: Project, auth0_tenant: Tenant, store: str, path: str) -> None:
    """A login is one of Auth0 and of Django, in views of both kinds."""
    project({"STATE_STORE": STORES[store]}, ROOT_URLCONF=SITE)
    browser = new_browser()
    answer = send(browser, path, auth0_tenant.subject_token("auth0|alice"))

    assert answer.content.decode() == ask(browser, "account")
    assert "auth0|alice" == ask(browser, "subject")


async def test_login_under_asgi(project: Project, auth0_tenant: Tenant) -> None:
    """Under ASGI too, and its logout."""
    from django.test import AsyncClient

    project({"STATE_STORE": "cache"}, ROOT_URLCONF=SITE)
    browser = AsyncClient()
    token = auth0_tenant.subject_token("auth0|alice")
    text: dict[str, Any] = {"content_type": "text/plain", "secure": True}
    answer = await browser.post("/login-async", token, **text)
    assert answer.content == (await browser.get("/account", secure=True)).content
    answer = await browser.post("/logout-async", "", **text)

    assert b"nobody" == answer.content
    assert b"nobody" == (await browser.get("/subject", secure=True)).content
    assert 302 == (await browser.get("/account", secure=True)).status_code


@pytest.mark.parametrize(
    ("function", "instead"),
    [
        ("login", "await alogin()"),
        ("bound login", "await request.auth0.alogin()"),
        ("logout", "await alogout()"),
        ("bound logout", "await request.auth0.alogout()"),
    ],
)
def test_in_an_async_view(
    project: Project, auth0_tenant: Tenant, function: str, instead: str
) -> None:
    """A blocking login or logout in an async view is refused, before a token is spent."""
    project({}, ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant)
    before = auth0_tenant.count("/oauth/token")
    token = auth0_tenant.subject_token("auth0|alice")
    answer = send(browser, f"block?function={function}", token)

    assert instead in answer.content.decode()
    assert before == auth0_tenant.count("/oauth/token")
    assert ask(browser, "account").startswith("auth0-")


def run_middlewares(request: Any, paths: list[str]) -> None:
    """Pass a request through middlewares, in the order of their paths."""
    from django.http import HttpResponse
    from django.utils.module_loading import import_string

    chain: Any = lambda _: HttpResponse()  # noqa: E731
    for path in reversed(paths):
        chain = import_string(path)(chain)
    chain(request)


@pytest.mark.parametrize(
    ("changes", "middlewares", "named"),
    [
        ({}, MIDDLEWARE[:2], "Auth0Middleware"),
        ({}, MIDDLEWARE[2:], "SessionMiddleware"),
        ({"AUTHENTICATION_BACKENDS": [PASSWORDS]}, MIDDLEWARE, "Auth0Backend"),
    ],
    ids=["our middleware", "sessions", "a backend"],
)
def test_missing(
    project: Project,
    auth0_tenant: Tenant,
    changes: dict[str, Any],
    middlewares: list[str],
    named: str,
) -> None:
    """What a login needs from the project is checked before a token is spent."""
    from django.test import RequestFactory

    from auth0_tx.integrations.django import login

    project({}, **changes)
    request = RequestFactory().get("/", secure=True)
    run_middlewares(request, middlewares)
    options = LoginWithCustomTokenExchangeOptions(
        subject_token=auth0_tenant.subject_token("auth0|alice"),
        subject_token_type="urn:acme:legacy-token",
    )
    with pytest.raises(ConfigurationError, match=named):
        login(request, options)

    assert 0 == auth0_tenant.count("/oauth/token")


def test_own_backend(project: Project, auth0_tenant: Tenant) -> None:
    """A project's own backend serves, if it takes ``auth0_claims``; its login is checked too."""
    store = BreakableStore()
    project(
        {"STATE_STORE": store},
        ROOT_URLCONF=SITE,
        AUTHENTICATION_BACKENDS=[PASSWORDS, f"{HERE}.ByCode", f"{HERE}.Own"],
    )
    browser = log_in(auth0_tenant)
    assert "auth0|alice" == ask(browser, "account")
    store.broken = set()
    logout_token = auth0_tenant.logout_token(sub="auth0|alice")
    new_browser().post("/backchannel-logout", {"logout_token": logout_token})

    assert "302" == ask(browser, "account")


# Users whom the application does not let in.


def deactivate_alice(tenant: Tenant) -> None:
    """Let Alice's user of Django exist, and be inactive."""
    from django.contrib.auth import get_user_model

    log_in(tenant)
    get_user_model().objects.update(is_active=False)


@pytest.fixture
def failures() -> Any:
    """What Django's ``user_login_failed`` has told, while the test runs."""
    from django.contrib.auth.signals import user_login_failed

    told: list[dict[str, Any]] = []

    def receive(**values: Any) -> None:
        told.append(values)

    user_login_failed.connect(receive)
    yield told
    user_login_failed.disconnect(receive)


@WORLDS
@pytest.mark.parametrize("store", STORES)
def test_refused(
    project: Project,
    auth0_tenant: Tenant,
    failures: list[dict[str, Any]],
    store: str,
    path: str,
) -> None:
    """A user who is not active is logged in nowhere, and the refresh token is revoked."""
    project({"STATE_STORE": STORES[store]}, ROOT_URLCONF=SITE)
    deactivate_alice(auth0_tenant)
    before = auth0_tenant.count("/oauth/revoke")
    browser = new_browser()
    answer = send(browser, path, auth0_tenant.subject_token("auth0|alice"))

    assert {"error": "login_refused"} == answer.json()
    assert "nobody" == ask(browser, "subject")
    assert "302" == ask(browser, "account")
    assert 1 == auth0_tenant.count("/oauth/revoke") - before
    (told,) = failures
    assert told["request"] is not None
    assert "alice" not in str(told["credentials"])


@pytest.mark.parametrize("backend", ["Newcomers", "Forbidding"])
def test_refused_by_the_project(
    project: Project, auth0_tenant: Tenant, failures: list[Any], backend: str
) -> None:
    """A backend may create nobody, or forbid that others are asked."""
    from django.contrib.auth import get_user_model

    project(
        {},
        ROOT_URLCONF=SITE,
        AUTHENTICATION_BACKENDS=[f"{HERE}.{backend}", f"{HERE}.Own"]
        if backend == "Forbidding"
        else [f"{HERE}.{backend}"],
    )
    browser = new_browser()
    answer = send(browser, "login", auth0_tenant.subject_token("auth0|alice"))

    assert {"error": "login_refused"} == answer.json()
    assert 1 == len(failures)
    assert 0 == get_user_model().objects.count()


def test_refused_over_a_login(project: Project, auth0_tenant: Tenant) -> None:
    """A refusal ends nobody's session but the one that it made, and the browser's before it."""
    from django.contrib.auth import get_user_model

    project(
        {"STATE_STORE": "cache"},
        ROOT_URLCONF=SITE,
        AUTHENTICATION_BACKENDS=[OURS, PASSWORDS],
    )
    deactivate_alice(auth0_tenant)
    bob, bob_again = log_in(auth0_tenant, "bob"), log_in(auth0_tenant, "bob")
    token = auth0_tenant.subject_token("auth0|alice")
    assert 403 == send(bob, "login", token).status_code
    get_user_model().objects.create_user("local", password="pw")
    local = new_browser()
    send(local, "login-by-password")
    assert 403 == send(local, "login", token).status_code

    assert "nobody" == ask(bob, "subject") == ask(local, "subject")
    assert "302" == ask(bob, "account")
    assert "auth0|bob" == ask(bob_again, "subject")
    assert ask(bob_again, "account").startswith("auth0-")
    assert "local" == ask(local, "account")


def test_refused_while_the_store_fails(project: Project, auth0_tenant: Tenant) -> None:
    """A refusal is one, whatever the store does; the browser has no session."""
    store = BreakableStore()
    project({"STATE_STORE": store}, ROOT_URLCONF=SITE)
    deactivate_alice(auth0_tenant)
    store.broken = {"delete"}
    browser = new_browser()
    answer = send(browser, "login", auth0_tenant.subject_token("auth0|alice"))

    assert {"error": "login_refused"} == answer.json()
    assert "nobody" == ask(browser, "subject")


def test_backend_that_fails(project: Project, auth0_tenant: Tenant) -> None:
    """If a project's backend fails, nobody is logged in by half."""
    project({}, ROOT_URLCONF=SITE, AUTHENTICATION_BACKENDS=[f"{HERE}.Failing"])
    browser = new_browser()
    answer = send(browser, "login", auth0_tenant.subject_token("auth0|alice"))

    assert 500 == answer.status_code
    assert "nobody" == ask(browser, "subject")


def test_session_engine_that_fails(
    project: Project, auth0_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Django's session cannot be saved, nobody is logged in by half either."""
    from django.contrib.sessions.backends.base import SessionBase
    from django.db import OperationalError

    def fail(_: object) -> None:
        raise OperationalError

    project({}, ROOT_URLCONF=SITE)
    browser = new_browser()
    with monkeypatch.context() as patch:
        patch.setattr(SessionBase, "cycle_key", fail)
        answer = send(browser, "login", auth0_tenant.subject_token("auth0|alice"))

    assert 500 == answer.status_code
    assert "nobody" == ask(browser, "subject")


@pytest.mark.parametrize("path", ["login", "login-to-auth0"])
@pytest.mark.parametrize("has_ended", [False, True])
def test_session_of_the_user_before(
    project: Project, auth0_tenant: Tenant, path: str, has_ended: bool
) -> None:
    """What Django's session has of a user is not the next user's, but it is still their own."""
    project(ROOT_URLCONF=SITE)
    browser = log_in(auth0_tenant, path=path)
    session = browser.session
    session["note"] = "of Alice"
    session.save()
    if has_ended:
        for name in [name for name in browser.cookies if name.startswith(COOKIE)]:
            del browser.cookies[name]
    log_in(auth0_tenant, path=path, browser=browser)
    assert "of Alice" == browser.session["note"]
    log_in(auth0_tenant, "bob", path=path, browser=browser)

    assert "note" not in browser.session
    assert "auth0|bob" == ask(browser, "subject")


def test_one_except() -> None:
    """One ``except`` catches what Auth0 or the user is the reason for."""
    assert issubclass(LoginRefusedError, CustomTokenExchangeError)
    assert issubclass(ConfigurationError, CustomTokenExchangeError)
