"""A Django project without users of its own, whose views need logins and scopes."""

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
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": told["redis"],
            "KEY_PREFIX": told["prefix"],
        }
    },
    INSTALLED_APPS=["auth0_tx.integrations.django"],
    LOGIN_REDIRECT_URL="/account",
    LOGIN_URL="/form",
    MIDDLEWARE=[
        "django.middleware.csrf.CsrfViewMiddleware",
        "auth0_tx.integrations.django.middleware.Auth0Middleware",
    ],
    ROOT_URLCONF="tests.e2e.servers.django_access_site",
    SECRET_KEY="of django's own, and long enough: 0123456789",
)
django.setup()

from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.middleware.csrf import get_token  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.views import View  # noqa: E402

from auth0_tx.integrations.django import auth0_of  # noqa: E402
from auth0_tx.integrations.django.decorators import (  # noqa: E402
    auth0_login_required,
    scopes_required,
)
from auth0_tx.integrations.django.mixins import ScopesRequiredMixin  # noqa: E402
from auth0_tx.integrations.django.views import LoginView  # noqa: E402


def form(request: Any) -> HttpResponse:
    """Return a CSRF token, as a form has it."""
    return HttpResponse(get_token(request))


@auth0_login_required
def account(request: Any) -> HttpResponse:
    """Return who is logged in."""
    return HttpResponse(request.auth0.require_user()["sub"])


@auth0_login_required(client="orders")
async def account_of_orders(request: Any) -> HttpResponse:
    """Return who is logged in with the other client."""
    return HttpResponse((await auth0_of(request, "orders").arequire_user())["sub"])


@scopes_required("read:data")
async def read(request: Any) -> HttpResponse:
    """Return something to who may read."""
    return HttpResponse("read")


class Change(ScopesRequiredMixin, View):
    """A view for who may write."""

    required_scopes = ("write:data",)

    def get(self, request: Any) -> HttpResponse:
        """Return something to who may write."""
        return HttpResponse("changed")


async def token(request: Any) -> HttpResponse:
    """Ask for a token, and catch nothing."""
    return HttpResponse(await request.auth0.aget_access_token())


urlpatterns = [
    path("auth0/", include("auth0_tx.integrations.django.urls")),
    path(
        "orders/login",
        LoginView.as_view(client="orders", subject_token_type="urn:acme:legacy-token"),
    ),
    path("form", form),
    path("account", account),
    path("account-of-orders", account_of_orders),
    path("read", read),
    path("change", Change.as_view()),
    path("token", token),
]

application = WSGIHandler()
asgi_application = ASGIHandler()
