"""A Django project with sessions in PostgreSQL, for servers with several workers."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

told: dict[str, Any] = json.loads(os.environ["AUTH0_TX_TEST_SITE"])
settings.configure(
    ALLOWED_HOSTS=["*"],
    AUTH0_TX=told["settings"],
    DATABASES={"default": told["database"]},
    INSTALLED_APPS=["django.contrib.sessions", "auth0_tx.integrations.django"],
    LOGGING_CONFIG=None,
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "auth0_tx.integrations.django.middleware.Auth0Middleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a site in tests, and long enough",
)
django.setup()

from auth0_tx import Auth0Error, LoginWithCustomTokenExchangeOptions  # noqa: E402
from auth0_tx.integrations.django.views import backchannel_logout  # noqa: E402

API = "https://api.example.com"


def log_in(request: Any) -> HttpResponse:
    """Log a user in."""
    request.auth0.login(
        LoginWithCustomTokenExchangeOptions(
            subject_token=request.body.decode(),
            subject_token_type="urn:acme:legacy-token",
            audience=API,
            scope="openid offline_access",
        )
    )
    return HttpResponse("in")


def read_token(request: Any) -> str:
    """Return an access token of the user, or the error's code."""
    try:
        return str.__str__(request.auth0.get_access_token(API))
    except Auth0Error as error:
        return f"error: {error.code}"


def token(request: HttpRequest) -> HttpResponse:
    """Return a token."""
    return HttpResponse(read_token(request))


def fail(request: HttpRequest) -> HttpResponse:
    """Get a token, and fail."""
    raise RuntimeError(read_token(request)[:5])


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Return a token in a stream."""

    def list_parts() -> Any:
        yield read_token(request)

    return StreamingHttpResponse(list_parts())


def threads(request: HttpRequest) -> HttpResponse:
    """Return a token that threads of the application's own got."""
    with ThreadPoolExecutor(2) as pool:
        return HttpResponse({*pool.map(read_token, [request] * 2)})


# Django takes no async view with ATOMIC_REQUESTS.
@transaction.non_atomic_requests
async def token_async(request: Any) -> HttpResponse:
    """Return a token in an async view."""
    return HttpResponse(str.__str__(await request.auth0.aget_access_token(API)))


urlpatterns = [
    path("login", log_in),
    path("token", token),
    path("token-async", token_async),
    path("fail", fail),
    path("stream", stream),
    path("threads", threads),
    path("backchannel-logout", backchannel_logout),
]
application = get_wsgi_application()
asgi_application = get_asgi_application()
