"""The views of these tests, sync and async."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path
from django.utils.cache import patch_cache_control
from django.views.decorators.cache import cache_control, cache_page

from auth0_tx import Auth0Error, LoginWithCustomTokenExchangeOptions
from auth0_tx.integrations.django import get_client, login, logout
from auth0_tx.integrations.django.views import backchannel_logout

API = "https://api.example.com"


def options(request: HttpRequest) -> LoginWithCustomTokenExchangeOptions:
    """Return the options of a login with the token that was posted."""
    return LoginWithCustomTokenExchangeOptions(
        subject_token=request.body.decode(),
        subject_token_type="urn:acme:legacy-token",
        audience=API,
        scope="openid offline_access",
    )


def log_in(request: Any) -> HttpResponse:
    """Log in, to Auth0 alone."""
    try:
        request.auth0.login(options(request))
    except Auth0Error as error:
        return JsonResponse({"error": str(error.code)}, status=400)
    return HttpResponseRedirect("/user")


def log_in_to_django(request: Any) -> HttpResponse:
    """Log in, to Django too."""
    try:
        user = login(request, options(request))
    except Auth0Error as error:
        return JsonResponse({"error": str(error.code)}, status=400)
    return JsonResponse({"user": user.get_username()})


def log_out(request: Any) -> HttpResponse:
    """Log out of both."""
    return_to = request.GET.get("to", "http://localhost/")
    return HttpResponseRedirect(logout(request, return_to=return_to))


def log_out_of_auth0(request: Any) -> HttpResponse:
    """Log out of Auth0 alone."""
    return HttpResponseRedirect(request.auth0.logout(return_to=request.GET.get("to")))


def user(request: Any) -> HttpResponse:
    """Return who is logged in."""
    found = request.auth0.user
    session = request.auth0.session
    return JsonResponse(
        {
            "sub": found and found["sub"],
            "session": session is not None,
            "django": request.user.get_username(),
        }
    )


def token(request: Any) -> HttpResponse:
    """Get an access token, and fail if one is to."""
    request.auth0.get_access_token(API)
    if request.GET.get("then") == "error":
        raise KeyError("a bug of the application's")
    return HttpResponse("token")


def touch(request: Any) -> HttpResponse:
    """Begin a Django session without a login."""
    request.session["before"] = "the login"
    return HttpResponse(request.session.session_key)


async def user_async(request: Any) -> HttpResponse:
    """Return who is logged in, in an async view."""
    found = await request.auth0.aget_user()
    session = await request.auth0.aget_session()
    return JsonResponse({"sub": found and found["sub"], "session": session is not None})


async def log_in_async(request: Any) -> HttpResponse:
    """Log in, in an async view."""
    await request.auth0.alogin(options(request))
    return HttpResponseRedirect("/user-async")


async def token_async(request: Any) -> HttpResponse:
    """Get an access token in an async view."""
    return HttpResponse(str(len(await request.auth0.aget_access_token(API))))


async def behalf(request: Any) -> HttpResponse:
    """Exchange the bearer token of the request, in an async view."""
    answer = await request.auth0.aget_token_on_behalf_of("https://other.example.com")
    again = request.auth0
    return JsonResponse({"scope": answer.scope, "same": again is request.auth0})


async def log_out_async(request: Any) -> HttpResponse:
    """Log out, in an async view."""
    return HttpResponseRedirect(await request.auth0.alogout())


def user_in_parts(request: Any) -> StreamingHttpResponse:
    """Return who is logged in, in a stream."""
    found = request.auth0.user
    return StreamingHttpResponse(iter([found["sub"] if found else "nobody"]))


@cache_page(60)
def user_in_cache_page(request: Any) -> HttpResponse:
    """Return who is logged in, from a view that Django may keep."""
    return user(request)


class Wrapped:
    """A request around Django's, as Django REST Framework has it."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


@cache_page(60)
def user_of_client(request: Any) -> HttpResponse:
    """Return who is logged in, through the client itself."""
    found = get_client().get_user({"request": Wrapped(request)})
    return HttpResponse(found["sub"] if found else "nobody")


@cache_page(60)
def nothing_in_cache_page(request: Any) -> HttpResponse:
    """Ask for nothing, from a view that Django may keep."""
    return HttpResponse(token_hex(8))


@cache_control(max_age=60)
def user_kept_by_browsers(request: Any) -> HttpResponse:
    """Return who is logged in, and say for how long that may be kept."""
    return user(request)


async def user_kept_by_browsers_async(request: Any) -> HttpResponse:
    """Do the same in an async view."""
    response = await user_async(request)
    # Before Django 5.0 its decorators call an async view and do not await it.
    patch_cache_control(response, max_age=60)
    return response


def nothing(request: Any) -> HttpResponse:
    """Ask for nothing."""
    return HttpResponse("nothing")


urlpatterns = [
    path("login", log_in),
    path("login-to-django", log_in_to_django),
    path("logout", log_out),
    path("logout-of-auth0", log_out_of_auth0),
    path("user", user),
    path("token", token),
    path("touch", touch),
    path("user-async", user_async),
    path("login-async", log_in_async),
    path("token-async", token_async),
    path("behalf", behalf),
    path("logout-async", log_out_async),
    path("nothing", nothing),
    path("user-in-parts", user_in_parts),
    path("user-in-cache-page", user_in_cache_page),
    path("user-of-client", user_of_client),
    path("nothing-in-cache-page", nothing_in_cache_page),
    path("user-kept-by-browsers", user_kept_by_browsers),
    path("user-kept-by-browsers-async", user_kept_by_browsers_async),
    path("backchannel-logout", backchannel_logout),
]
