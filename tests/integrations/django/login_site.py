"""Views whose visitors are logged in to Django, in every way that Django has to ask for them."""

from __future__ import annotations

from typing import Any

from django.contrib import auth
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LogoutView
from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.template import Context, Engine
from django.urls import include, path
from django.views.decorators.cache import cache_page

from auth0_tx import CustomTokenExchangeError, StoreError
from auth0_tx.integrations.django import alogin, alogout, auth0_of, login, logout
from auth0_tx.integrations.django.views import backchannel_logout
from tests.integrations.django.site import API, options

PASSWORDS = "django.contrib.auth.backends.ModelBackend"


def log_in(request: Any) -> HttpResponse:
    """Log in to Auth0 and Django."""
    try:
        user = login(request, options(request))
    except CustomTokenExchangeError as error:
        return JsonResponse({"error": str(error.code)}, status=403)
    return HttpResponse(user.get_username())


async def log_in_async(request: Any) -> HttpResponse:
    """Log in to Auth0 and Django, in an async view."""
    try:
        user = await alogin(request, options(request))
    except CustomTokenExchangeError as error:
        return JsonResponse({"error": str(error.code)}, status=403)
    found = await request.auser() if hasattr(request, "auser") else user
    return HttpResponse(found.get_username())


async def block(request: Any) -> HttpResponse:
    """Log in, or out, in an async view with the function for views of the other kind."""
    functions = {
        "login": lambda: login(request, options(request)),
        "bound login": lambda: request.auth0.login(options(request)),
        "logout": lambda: logout(request),
        "bound logout": lambda: request.auth0.logout(),
    }
    try:
        functions[request.GET["function"]]()
    except SynchronousOnlyOperation as error:
        return HttpResponse(str(error))
    return HttpResponse("done")


def log_in_to_auth0(request: Any) -> HttpResponse:
    """Log in to Auth0 alone."""
    request.auth0.login(options(request))
    return HttpResponse(request.user.get_username() or "nobody")


def log_in_by_password(request: Any) -> HttpResponse:
    """Log in to Django alone, by the name and password of a local user."""
    user = auth.authenticate(request, username="local", password="pw")
    auth.login(request, user)
    return HttpResponse(user.get_username())


def log_in_again_by_password(request: Any) -> HttpResponse:
    """Log the user in to Django once more, as if by a password."""
    auth.login(request, request.user, backend=PASSWORDS)
    return HttpResponse(request.user.get_username())


def log_in_by_hand(request: Any) -> HttpResponse:
    """Log in to Auth0, then to Django with Django's own functions."""
    result = request.auth0.login(options(request))
    claims = dict(result.state_data["user"])
    claims["sub"] = request.GET.get("sub", claims["sub"])
    user = auth.authenticate(request, auth0_claims=claims)
    auth.login(request, user)
    return HttpResponse(user.get_username())


def log_out(request: Any) -> HttpResponse:
    """Log out of both."""
    return HttpResponse(logout(request))


async def log_out_async(request: Any) -> HttpResponse:
    """Log out of both, in an async view."""
    await alogout(request)
    found = await request.auser() if hasattr(request, "auser") else request.user
    return HttpResponse(found.get_username() or "nobody")


def log_out_of_django(request: Any) -> HttpResponse:
    """Log out of Django with its own function."""
    auth.logout(request)
    return HttpResponse(request.user.get_username() or "nobody")


async def log_out_of_django_async(request: Any) -> HttpResponse:
    """Log out of Django with its own function, in an async view."""
    await auth.alogout(request)
    return HttpResponse("out")


@login_required
def account(request: Any) -> HttpResponse:
    """Show a page to users who are logged in."""
    return HttpResponse(request.user.get_username())


async def account_async(request: Any) -> HttpResponse:
    """Return who is logged in, in an async view."""
    user = await request.auser()
    return HttpResponse(user.get_username() or "nobody")


def account_twice(request: Any) -> HttpResponse:
    """Ask twice for a user who cannot be read."""
    failures = []
    for _ in range(2):
        try:
            request.user.get_username()
        except StoreError as error:
            failures.append(error)
    return HttpResponse(
        f"{len(failures)} failures, {len(set(map(id, failures)))} errors"
    )


async def account_blocking(request: Any) -> HttpResponse:
    """Ask in an async view for the user that views of the other kind ask for."""
    try:
        return HttpResponse(request.user.get_username())
    except SynchronousOnlyOperation as error:
        return HttpResponse(type(error).__name__)


def account_of_session(request: Any) -> HttpResponse:
    """Return who is logged in, as Django's function finds them."""
    return HttpResponse(auth.get_user(request).get_username() or "nobody")


async def account_of_session_async(request: Any) -> HttpResponse:
    """Return who is logged in, as Django's async function finds them."""
    user = await auth.aget_user(request)
    return HttpResponse(user.get_username() or "nobody")


def account_in_template(request: Any) -> HttpResponse:
    """Return who is logged in, from a template."""
    template = Engine().from_string("{{ user.username|default:'nobody' }}")
    return HttpResponse(template.render(Context({"user": request.user})))


def account_in_stream(request: Any) -> StreamingHttpResponse:
    """Return who is logged in, in a stream that begins after all middlewares."""

    def write() -> Any:
        yield request.user.get_username() or "nobody"

    return StreamingHttpResponse(write())


def subject(request: Any) -> HttpResponse:
    """Return who is logged in to Auth0."""
    user = request.auth0.user
    return HttpResponse(user["sub"] if user else "nobody")


@cache_page(60)
def page_of_account(request: Any) -> HttpResponse:
    """Return who is logged in, from a view that Django may keep."""
    return HttpResponse(request.user.get_username() or "nobody")


def log_in_to_orders(request: Any) -> HttpResponse:
    """Log in to Auth0 alone, as another client."""
    auth0_of(request, "orders").login(options(request))
    return HttpResponse("in")


def log_out_of_orders(request: Any) -> HttpResponse:
    """Log out from the other client alone."""
    return HttpResponse(auth0_of(request, "orders").logout())


def subject_of_orders(request: Any) -> HttpResponse:
    """Return who is logged in to Auth0 as another client."""
    user = auth0_of(request, "orders").user
    return HttpResponse(user["sub"] if user else "nobody")


def token(request: Any) -> HttpResponse:
    """Get an access token."""
    return HttpResponse(request.auth0.get_access_token(API)[:0] + "token")


def nothing(request: Any) -> HttpResponse:
    """Ask for nobody."""
    return HttpResponse("nothing")


urlpatterns = [
    path("login", log_in),
    path("login-async", log_in_async),
    path("block", block),
    path("login-to-auth0", log_in_to_auth0),
    path("login-by-password", log_in_by_password),
    path("login-again-by-password", log_in_again_by_password),
    path("login-by-hand", log_in_by_hand),
    path("logout", log_out),
    path("logout-async", log_out_async),
    path("logout-of-django", LogoutView.as_view(next_page="/subject")),
    path("logout-of-django-by-hand", log_out_of_django),
    path("logout-of-django-async", log_out_of_django_async),
    path("account", account),
    path("account-async", account_async),
    path("account-twice", account_twice),
    path("account-blocking", account_blocking),
    path("account-of-session", account_of_session),
    path("account-of-session-async", account_of_session_async),
    path("account-in-template", account_in_template),
    path("account-in-stream", account_in_stream),
    path("subject", subject),
    path("page-of-account", page_of_account),
    path("login-to-orders", log_in_to_orders),
    path("logout-of-orders", log_out_of_orders),
    path("subject-of-orders", subject_of_orders),
    path("token", token),
    path("nothing", nothing),
    path("backchannel-logout", backchannel_logout),
    path("auth0/", include("auth0_tx.integrations.django.urls")),
]
