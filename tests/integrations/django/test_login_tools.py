"""Django's own tools for views that need a login work with the users of ``login()``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django
import pytest
from django.contrib.auth.decorators import (
    login_required,
    permission_required,
    user_passes_test,
)
from django.contrib.auth.mixins import (
    LoginRequiredMixin,
    PermissionRequiredMixin,
    UserPassesTestMixin,
)
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views import View

from auth0_tx.tenant import Tenant
from tests.frameworks import django_settings  # noqa: F401
from tests.integrations.django.test_django_integration import get, new_browser

Project = Callable[..., Any]

PERMISSION = "auth.view_user"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "auth0_tx.integrations.django.middleware.Auth0Middleware",
]
REQUIRE_LOGIN = "django.contrib.auth.middleware.LoginRequiredMiddleware"


def show_user(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
    """Return the name of Django's user."""
    return HttpResponse(request.user.get_username())


class ShowUser(View):
    """Return the name of Django's user."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return show_user(request)


class ForUsers(LoginRequiredMixin, ShowUser):
    """A view for logged-in users."""


class ForPermitted(PermissionRequiredMixin, ShowUser):
    """A view for users with a permission."""

    permission_required = PERMISSION


class ForTested(UserPassesTestMixin, ShowUser):
    """A view for users who pass a test."""

    def test_func(self) -> bool:
        user: Any = self.request.user
        return bool(user.is_authenticated)


@login_required
async def show_user_async(request: Any) -> HttpResponse:
    """Return the name of Django's user, in an async view."""
    return HttpResponse((await request.auser()).get_username())


urlpatterns = [
    path("auth0/", include("auth0_tx.integrations.django.urls")),
    path("plain", show_user),
    path("login-required", login_required(show_user)),
    path("login-required-async", show_user_async),
    path("user-passes-test", user_passes_test(lambda u: u.is_authenticated)(show_user)),
    path("login-required-mixin", ForUsers.as_view()),
    path("user-passes-test-mixin", ForTested.as_view()),
    path("permission-required", permission_required(PERMISSION)(show_user)),
    path("permission-required-mixin", ForPermitted.as_view()),
]

FOR_USERS = [
    *("/login-required", "/user-passes-test"),
    *("/login-required-mixin", "/user-passes-test-mixin"),
]
FOR_PERMITTED = ["/permission-required", "/permission-required-mixin"]
if django.VERSION >= (5, 1):
    # Earlier, the decorator calls an async view and does not await it.
    FOR_USERS.append("/login-required-async")


@pytest.fixture(params=["cookies", "cache", "session"])
def set_up(
    request: pytest.FixtureRequest, project: Project, auth0_tenant: Tenant
) -> Callable[..., None]:
    """Set up a project with these views, and a store."""
    auth0_tx: dict[str, Any] = {
        "LOGIN": {
            "subject_token_type": "urn:acme:legacy-token",
            "audience": "https://api.example.com",
        }
    }
    if request.param != "cookies":
        auth0_tx["STATE_STORE"] = request.param

    def set_up(*middleware: str) -> None:
        project(
            auth0_tx,
            LOGIN_URL="/sign-in",
            MIDDLEWARE=[*MIDDLEWARE, *middleware],
            ROOT_URLCONF=__name__,
        )

    return set_up


def log_in(tenant: Tenant) -> Any:
    """Return a browser in which a user has logged in through the included URLs."""
    browser = new_browser()
    fields = {"subject_token": tenant.subject_token("auth0|alice")}
    assert 302 == browser.post("/auth0/login/", fields, secure=True).status_code
    return browser


def log_out(browser: Any) -> None:
    """Log out through the included URLs."""
    assert 302 == browser.post("/auth0/logout/", secure=True).status_code


def is_redirected(browser: Any, target: str) -> bool:
    """Return whether a view sends a browser to the login page."""
    answer = get(browser, target)
    if answer.status_code == 200:
        assert answer.content.startswith(b"auth0-")
        return False
    assert f"/sign-in?next={target}" == answer["Location"]
    return True


def test_views_for_users(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """Decorators and mixins let in whoever is logged in, until the logout."""
    set_up()
    browser = log_in(auth0_tenant)

    assert {True} == {is_redirected(new_browser(), target) for target in FOR_USERS}
    assert {False} == {is_redirected(browser, target) for target in FOR_USERS}
    log_out(browser)
    assert {True} == {is_redirected(browser, target) for target in FOR_USERS}


def test_permissions(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """Permissions of Django are those of the Django user who belongs to the login."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Permission

    set_up()
    browser = log_in(auth0_tenant)

    assert is_redirected(browser, FOR_PERMITTED[0])
    assert 403 == get(browser, FOR_PERMITTED[1]).status_code
    codename = PERMISSION.partition(".")[2]
    (user,) = get_user_model().objects.all()
    user.user_permissions.add(Permission.objects.get(codename=codename))
    assert {False} == {is_redirected(browser, target) for target in FOR_PERMITTED}
    log_out(browser)
    assert {True} == {is_redirected(browser, target) for target in FOR_PERMITTED}


@pytest.mark.skipif(django.VERSION < (5, 1), reason="LoginRequiredMiddleware is new")
def test_login_required_middleware(
    set_up: Callable[..., None], auth0_tenant: Tenant
) -> None:
    """A project whose views all need a login has one through the included URLs."""
    set_up(REQUIRE_LOGIN)
    browser = log_in(auth0_tenant)

    assert is_redirected(new_browser(), "/plain")
    assert not is_redirected(browser, "/plain")
    log_out(browser)
    assert is_redirected(browser, "/plain")


def test_end_from_outside(project: Project, auth0_tenant: Tenant) -> None:
    """A login that Auth0 has ended is none for Django's own tools."""
    login = {"subject_token_type": "urn:acme:legacy-token"}
    project(
        {"STATE_STORE": "cache", "LOGIN": login},
        LOGIN_URL="/sign-in",
        ROOT_URLCONF=__name__,
    )
    browser = log_in(auth0_tenant)

    assert {False} == {is_redirected(browser, target) for target in FOR_USERS}
    posted = {"logout_token": auth0_tenant.logout_token("auth0|alice")}
    answer = new_browser().post("/auth0/backchannel-logout/", posted, secure=True)
    assert 200 == answer.status_code
    assert {True} == {is_redirected(browser, target) for target in FOR_USERS}
