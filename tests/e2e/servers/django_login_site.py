"""A Django project with users, pages of every kind and a cache in front, for real servers.

Run as a command, it makes the tables.
"""

from __future__ import annotations

import json
import os
from typing import Any

import django
from django.conf import settings

told: dict[str, Any] = json.loads(os.environ["AUTH0_TX_TEST_SITE"])
settings.configure(
    ALLOWED_HOSTS=["*"],
    AUTH0_TX=told["settings"],
    AUTHENTICATION_BACKENDS=["auth0_tx.integrations.django.backends.Auth0Backend"],
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": told["redis"],
            "KEY_PREFIX": told["prefix"],
        }
    },
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": told["database"],
            "OPTIONS": {"timeout": 60},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "auth0_tx.integrations.django",
    ],
    MIDDLEWARE=[
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "auth0_tx.integrations.django.middleware.Auth0Middleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    ],
    ROOT_URLCONF="tests.e2e.servers.django_login_site",
    SECRET_KEY="of django's own, and long enough: 0123456789",
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    USE_TZ=True,
)
django.setup()

from django.contrib import auth  # noqa: E402
from django.contrib.auth.decorators import login_required  # noqa: E402
from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402

from auth0_tx import LoginWithCustomTokenExchangeOptions, UserClaims  # noqa: E402
from auth0_tx.integrations.django import alogin, login, logout  # noqa: E402
from auth0_tx.integrations.django.views import backchannel_logout  # noqa: E402


def make_options(request: Any) -> LoginWithCustomTokenExchangeOptions:
    """Return the options of a login with the posted token."""
    return LoginWithCustomTokenExchangeOptions(
        subject_token=request.POST["subject_token"],
        subject_token_type="urn:acme:legacy-token",
        scope="openid profile email",
    )


def log_in(request: Any) -> HttpResponse:
    """Log in to both."""
    return HttpResponse(login(request, make_options(request)).email)


async def log_in_async(request: Any) -> HttpResponse:
    """Log in to both, from an event loop."""
    user = await alogin(request, make_options(request))
    return HttpResponse(user.email)


def log_out(request: Any) -> HttpResponse:
    """Log out of both."""
    return HttpResponse(logout(request))


def log_out_of_django(request: Any) -> HttpResponse:
    """Log out by Django's own function."""
    auth.logout(request)
    return HttpResponse("out")


def show_users(user: Any, claims: UserClaims | None) -> JsonResponse:
    """Return a page that shows users by their addresses."""
    known = user.email if user.is_authenticated else "nobody"
    return JsonResponse({"users": [known, claims and claims["email"]]})


def read_users(request: Any, user: Any) -> JsonResponse:
    """Return who is logged in: with Django, and with Auth0."""
    return show_users(user, request.auth0.user)


@login_required
def page(request: Any) -> HttpResponse:
    """Return who is logged in."""
    return read_users(request, request.user)


def session_page(request: Any) -> HttpResponse:
    """Return who is logged in, as Django's function finds them."""
    return read_users(request, auth.get_user(request))


async def async_page(request: Any) -> HttpResponse:
    """Return who is logged in, from an event loop."""
    user, claims = await request.auser(), await request.auth0.aget_user()
    return show_users(user, claims)


urlpatterns = [
    path("login", log_in),
    path("login-async", log_in_async),
    path("logout", log_out),
    path("logout-of-django", log_out_of_django),
    path("page", page),
    path("session", session_page),
    path("async", async_page),
    path("backchannel-logout", backchannel_logout),
]

application = WSGIHandler()
asgi_application = ASGIHandler()

if __name__ == "__main__":
    call_command("migrate", verbosity=0)
