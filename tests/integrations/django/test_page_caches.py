"""``cache_page`` keeps no page that shows who is logged in, wherever the question was asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control, cache_page
from rest_framework.authentication import SessionAuthentication
from rest_framework.response import Response
from rest_framework.views import APIView

from auth0_tx.integrations.django import auth0_of
from auth0_tx.integrations.django.decorators import auth0_login_required
from auth0_tx.integrations.django.rest_framework import Auth0SessionAuthentication
from auth0_tx.tenant import Tenant
from tests.frameworks import django_settings  # noqa: F401
from tests.integrations.django import login_site
from tests.integrations.django.logins import (
    Project,
    ask,
    log_in,
    needs_async_users,
    new_browser,
)


def show(request: Any) -> HttpResponse:
    """Show Django's user."""
    return HttpResponse(request.user.get_username())


async def show_async(request: Any) -> HttpResponse:
    """Show Django's user, in an async view."""
    user = await request.auser()
    return HttpResponse(user.get_username())


def show_session(request: Any) -> HttpResponse:
    """Show the user of the login session."""
    return HttpResponse(request.auth0.user["sub"])


def show_in_template(request: Any) -> TemplateResponse:
    """Show Django's user in a page that is rendered after the view."""
    template = engines["django"].from_string("{{ user.username }}")
    return TemplateResponse(request, template, {"user": request.user})


def show_report(request: Any) -> HttpResponse:
    """Show a page that is the same for all users, and count how often it is made."""
    show_report.made += 1  # type: ignore[attr-defined]
    return HttpResponse("the report")


async def require_login_async(request: Any) -> Any:
    """Ask for the user before the view, as the async ``login_required`` of Django 5.1 does."""
    user = await request.auser()
    assert user.is_authenticated
    return await cache_page(60)(show_async)(request)


class ShowInApi(APIView):
    """Show the user of Django REST Framework, whose request is a wrapper."""

    authentication_classes = (Auth0SessionAuthentication,)

    @method_decorator(cache_page(60))
    def get(self, request: Any) -> Response:
        """Show the user."""
        return Response(request.user.get_username())


class ShowInApiOfDjango(ShowInApi):
    """Show the user whom Django REST Framework's own class finds."""

    authentication_classes = (SessionAuthentication,)


class ShowSessionInApi(ShowInApi):
    """Show the user of the login session."""

    @method_decorator(cache_control(max_age=60))
    @method_decorator(cache_page(60))
    def get(self, request: Any) -> Response:
        """Show the user."""
        user = auth0_of(request).user
        return Response(user["sub"] if user else "nobody")


urlpatterns = [
    *login_site.urlpatterns,
    path("django", login_required(cache_page(60)(show))),
    path("django-template", login_required(cache_page(60)(show_in_template))),
    path("async", require_login_async),
    path("ours", auth0_login_required(cache_page(60)(show))),
    path("ours-of-session", auth0_login_required(cache_page(60)(show_session))),
    path("cached-first", cache_page(60)(login_required(show))),
    path("bare", cache_page(60)(show)),
    path("report", login_required(cache_page(60)(show_report))),
    path("api", ShowInApi.as_view()),
    path("api-of-django", ShowInApiOfDjango.as_view()),
    path("api-of-session", ShowSessionInApi.as_view()),
]


class AskForTheUser:
    """A middleware that asks for the user before any view, as many do."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        bool(request.user.is_authenticated)
        return self._get_response(request)


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize(
    "page",
    [
        "django",
        "django-template",
        pytest.param("async", marks=needs_async_users),
        "ours",
        "ours-of-session",
        "cached-first",
        "bare",
        "api",
        "api-of-django",
        "api-of-session",
    ],
)
@pytest.mark.parametrize("seconds", [0, 30])
def test_page_of_another_user(
    project: Project, auth0_tenant: Tenant, page: str, asks: bool, seconds: int
) -> None:
    """Nobody gets the page that another user was shown."""
    project({"STATE_STORE": "database", "LOGIN_CHECK_SECONDS": seconds})
    from django.conf import settings

    more = [f"{__name__}.AskForTheUser"] if asks else []
    project(
        {"STATE_STORE": "database", "LOGIN_CHECK_SECONDS": seconds},
        MIDDLEWARE=[*settings.MIDDLEWARE, *more],
        ROOT_URLCONF=__name__,
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    )
    alice, bob = log_in(auth0_tenant), log_in(auth0_tenant, "bob")
    shown = [ask(browser, page) for browser in (alice, bob, alice, new_browser())]

    assert shown[0] == shown[2]
    assert 3 == len({*shown}), shown


def test_page_for_all_users(project: Project, auth0_tenant: Tenant) -> None:
    """A page that does not ask for the user is kept, behind the question who is logged in."""
    project(ROOT_URLCONF=__name__)
    show_report.made = 0  # type: ignore[attr-defined]
    alice, bob = log_in(auth0_tenant), log_in(auth0_tenant, "bob")
    shown = [ask(browser, "report") for browser in (alice, bob, new_browser())]

    assert ["the report", "the report", "302"] == shown
    assert 1 == show_report.made  # type: ignore[attr-defined]
