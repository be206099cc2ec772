"""Views that need a user or a scope: decorators and mixins, for sync and async views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django
import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from auth0_tx import LoginWithCustomTokenExchangeOptions
from auth0_tx.integrations.django.decorators import (
    auth0_login_required,
    scopes_required,
)
from auth0_tx.integrations.django.mixins import (
    Auth0LoginRequiredMixin,
    ScopesRequiredMixin,
)
from auth0_tx.tenant import Api, Application, Tenant
from tests.frameworks import django_settings  # noqa: F401
from tests.integrations.django.test_django_integration import get, new_browser, post

Project = Callable[..., Any]

ORDERS = "https://orders.example.com"
PAGE = {"HTTP_ACCEPT": "text/html"}


def log_in(request: Any) -> HttpResponse:
    """Log in to Auth0 alone, with a scope of an API."""
    from auth0_tx.integrations.django import auth0_of

    auth0_of(request, request.GET.get("client")).login(
        LoginWithCustomTokenExchangeOptions(
            subject_token=request.body.decode(),
            subject_token_type="urn:acme:legacy-token",
            audience=ORDERS,
            scope="openid offline_access read:orders",
        )
    )
    return HttpResponse("in")


@auth0_login_required
def account(request: HttpRequest) -> HttpResponse:
    """Show something to any user."""
    return HttpResponse("account")


@auth0_login_required(login_url="/sign-in")
async def account_async(request: HttpRequest) -> HttpResponse:
    """Do the same in an async view."""
    return HttpResponse("account")


@auth0_login_required(client="orders")
def account_of_orders(request: HttpRequest) -> HttpResponse:
    """Show something to a user of another client."""
    return HttpResponse("account")


@scopes_required("read:orders")
def orders(request: HttpRequest, number: int = 0) -> HttpResponse:
    """Show something to who may read orders."""
    return HttpResponse(f"order {number}")


@scopes_required("read:orders", "write:orders", audience=ORDERS)
def change(request: HttpRequest) -> HttpResponse:
    """Show something to who may change orders."""
    return HttpResponse("changed")


@scopes_required("read:orders", audience=ORDERS)
async def orders_async(request: HttpRequest, number: int = 0) -> HttpResponse:
    """Show something to who may read orders, in an async view."""
    return HttpResponse(f"order {number}")


@scopes_required("write:orders")
async def change_async(request: HttpRequest) -> HttpResponse:
    """Show something to who may change orders, in an async view."""
    return HttpResponse("changed")


@method_decorator(auth0_login_required, name="dispatch")
class DecoratedView(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("account")


@method_decorator(auth0_login_required, name="dispatch")
class AsyncDecoratedView(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("account")


class AsyncDecoratedMethod(View):
    @method_decorator(auth0_login_required)
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("account")


class AccountView(Auth0LoginRequiredMixin, View):
    login_url = "/sign-in"

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("account")


class AsyncAccountView(Auth0LoginRequiredMixin, View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("account")


class OrdersView(ScopesRequiredMixin, View):
    required_scopes = ("read:orders",)

    def get(self, request: HttpRequest, number: int = 0) -> HttpResponse:
        return HttpResponse(f"order {number}")


class AsyncChangeView(Auth0LoginRequiredMixin, ScopesRequiredMixin, View):
    required_scopes = ("write:orders",)
    scopes_audience = ORDERS

    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("changed")


class ViewWithoutScopes(ScopesRequiredMixin, View):
    """A view whose author forgot the scopes."""


class ViewWithOneString(ScopesRequiredMixin, View):
    required_scopes = "read:orders"


urlpatterns = [
    path("in", log_in),
    path("account", account),
    path("account-async", account_async),
    path("account-of-orders", account_of_orders),
    path("orders/<int:number>", orders),
    path("orders-async/<int:number>", orders_async),
    path("orders-view/<int:number>", OrdersView.as_view()),
    path("change", change),
    path("change-async", change_async),
    path("change-view-async", AsyncChangeView.as_view()),
    path("decorated-view", DecoratedView.as_view()),
    path("decorated-view-async", AsyncDecoratedView.as_view()),
    path("decorated-method-async", AsyncDecoratedMethod.as_view()),
    path("decorator-around-async", auth0_login_required(AsyncAccountView.as_view())),
    path("account-view", AccountView.as_view()),
    path("account-view-async", AsyncAccountView.as_view()),
    path("without-scopes", ViewWithoutScopes.as_view()),
    path("one-string", ViewWithOneString.as_view()),
]

ACCOUNTS = [
    "/account",
    "/account-async",
    "/decorated-view",
    "/decorated-view-async",
    "/decorator-around-async",
    "/account-view",
    "/account-view-async",
]
if django.VERSION >= (5, 2):
    # Earlier, method_decorator makes a method that Django does not await.
    ACCOUNTS.append("/decorated-method-async")
READING = ["/orders/7", "/orders-async/7", "/orders-view/7"]
CHANGING = ["/change", "/change-async", "/change-view-async"]


@pytest.fixture
def set_up(project: Project, auth0_tenant: Tenant) -> Callable[..., None]:
    """Set up a project without Django's users, and two clients."""
    from django.conf import settings

    auth0_tenant.apis.add(Api(ORDERS, scopes=("read:orders", "write:orders")))
    auth0_tenant.applications.add(Application("orders", "secret-of-orders"))

    def set_up(**changes: Any) -> None:
        project(changes)
        second = {"CLIENT_ID": "orders", "CLIENT_SECRET": "secret-of-orders"}
        project(
            AUTH0_TX={"default": settings.AUTH0_TX, "orders": second},
            AUTHENTICATION_BACKENDS=[],
            LOGIN_URL="/login",
            MIDDLEWARE=["auth0_tx.integrations.django.middleware.Auth0Middleware"],
            ROOT_URLCONF=__name__,
        )

    return set_up


@pytest.mark.parametrize("target", [*ACCOUNTS, *READING, *CHANGING])
def test_nobody(set_up: Callable[..., None], target: str) -> None:
    """Without a login, a page is redirected to the login page, and an API gets a 401."""
    set_up()
    login_url = (
        "/sign-in" if target in ("/account-async", "/account-view") else "/login"
    )
    page, api = get(new_browser(), target, **PAGE), get(new_browser(), target)

    assert (302, f"{login_url}?next={target}") == (page.status_code, page["Location"])
    assert (401, {"error": "login_required"}) == (api.status_code, api.json())
    assert "Bearer" == api["WWW-Authenticate"]
    for answer in (page, api):
        assert "no-store" in answer["Cache-Control"]
        assert "Cookie" in answer["Vary"]


@pytest.mark.parametrize("store", ["cookies", "cache"])
def test_somebody(
    set_up: Callable[..., None], auth0_tenant: Tenant, store: str
) -> None:
    """A user sees what any user may, and what the granted scopes allow, and nothing else."""
    set_up(**({"STATE_STORE": store} if store == "cache" else {}))
    visitor = new_browser()
    post(visitor, "/in", auth0_tenant.subject_token("auth0|alice"))

    for target in ACCOUNTS:
        assert b"account" == get(visitor, target, **PAGE).content
    for target in READING:
        assert b"order 7" == get(visitor, target).content
    for target in CHANGING:
        for fields in ({}, PAGE):
            answer = get(visitor, target, **fields)
            assert (403, {"error": "insufficient_scope"}) == (
                answer.status_code,
                answer.json(),
            )
            assert "write:orders" in answer["WWW-Authenticate"]
    # The session knows what was granted.
    assert 1 == auth0_tenant.count("/oauth/token")


def test_another_client(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """A login with one client is none with another."""
    set_up()
    visitor = new_browser()
    post(visitor, "/in", auth0_tenant.subject_token("auth0|alice"))

    assert 401 == get(visitor, "/account-of-orders").status_code
    post(visitor, "/in?client=orders", auth0_tenant.subject_token("auth0|bob"))
    assert 200 == get(visitor, "/account-of-orders").status_code


def test_switched_off(set_up: Callable[..., None]) -> None:
    """The decorators answer also where errors of views are left to Django."""
    set_up(ANSWER_ERRORS=False)

    assert 401 == get(new_browser(), "/account").status_code


@pytest.mark.parametrize(
    "scopes", [(), ("read:orders write:orders",), ("",), (orders,), (None,)]
)
def test_scopes_that_are_none(scopes: Any) -> None:
    """A decorator without scopes, or without its parentheses, is refused when it is written."""
    with pytest.raises(TypeError, match="scopes must be given"):
        scopes_required(*scopes)


@pytest.mark.parametrize("target", ["/without-scopes", "/one-string"])
def test_mixins_without_scopes(set_up: Callable[..., None], target: str) -> None:
    """A view whose author forgot the scopes lets nobody in."""
    set_up()
    with pytest.raises(TypeError, match="scopes must be given"):
        get(new_browser(), target)


async def test_asgi(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """Under ASGI it is the same, for views of both kinds."""
    from django.test import AsyncClient

    set_up()
    visitor = AsyncClient()
    token = auth0_tenant.subject_token("auth0|alice")
    await visitor.post("/in", token, content_type="text/plain", secure=True)
    for target in (*ACCOUNTS, *READING):
        assert 200 == (await visitor.get(target, secure=True)).status_code
        assert 401 == (await AsyncClient().get(target, secure=True)).status_code
    for target in CHANGING:
        assert 403 == (await visitor.get(target, secure=True)).status_code
