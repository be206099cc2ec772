"""Several clients of one project: each has its own login, cookies of one response, and name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from auth0_tx import ConfigurationError, LoginWithCustomTokenExchangeOptions
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Application, Tenant
from tests.frameworks import django_settings  # noqa: F401
from tests.integrations.django.test_django_integration import get, new_browser, post

Project = Callable[..., Any]

ORDERS = {"CLIENT_ID": "orders", "CLIENT_SECRET": "secret-of-orders"}
NAMES = ("__Host-auth0_tx", "__Host-auth0_tx_orders")


def options(token: str) -> LoginWithCustomTokenExchangeOptions:
    """Return the options of a login with a token."""
    return LoginWithCustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="urn:acme:legacy-token",
        audience="https://api.example.com",
        scope="openid offline_access",
    )


def log_in_to_both(request: HttpRequest) -> HttpResponse:
    """Log another user in with each of two clients, in one request."""
    from auth0_tx.integrations.django import auth0_of

    first, second = request.body.decode().split()
    auth0_of(request).login(options(first))
    auth0_of(request, "orders").login(options(second))
    return users(request)


def log_in_to_orders(request: HttpRequest) -> HttpResponse:
    """Log in with the named client alone."""
    from auth0_tx.integrations.django import auth0_of

    auth0_of(request, "orders").login(options(request.body.decode()))
    return users(request)


def log_out_of_orders(request: HttpRequest) -> HttpResponse:
    """Log out with the named client alone."""
    from auth0_tx.integrations.django import auth0_of

    request.session["kept"] = True
    return HttpResponse(auth0_of(request, "orders").logout())


def users(request: Any) -> HttpResponse:
    """Return who is logged in with each client."""
    from auth0_tx.integrations.django import auth0_of

    assert auth0_of(request) == request.auth0
    assert auth0_of(request, "orders") is auth0_of(request, "orders")
    return JsonResponse(
        {
            name: (auth0_of(request, name).user or {}).get("sub")
            for name in ("default", "orders")
        }
    )


async def users_async(request: Any) -> HttpResponse:
    """Return who is logged in with each client, in an async view."""
    from auth0_tx.integrations.django import auth0_of

    return JsonResponse(
        {
            name: (await auth0_of(request, name).aget_user() or {}).get("sub")
            for name in ("default", "orders")
        }
    )


urlpatterns = [
    path("login", log_in_to_both),
    path("login-to-orders", log_in_to_orders),
    path("logout-of-orders", log_out_of_orders),
    path("users", users),
    path("users-async", users_async),
]


@pytest.fixture
def set_up(project: Project, auth0_tenant: Tenant) -> Callable[..., None]:
    """Set up a project with two clients; what is given is put over the second's settings."""
    from django.conf import settings

    auth0_tenant.applications.add(
        Application("orders", "secret-of-orders", allowed_logout_urls=["http://a/"])
    )

    def set_up(default: dict[str, Any] | None = None, **changes: Any) -> None:
        project(default)
        clients = {"default": settings.AUTH0_TX, "orders": {**ORDERS, **changes}}
        project(AUTH0_TX=clients, ROOT_URLCONF=__name__)

    return set_up


@pytest.mark.parametrize("store", [None, "session", "cache"])
def test_two_logins(
    set_up: Callable[..., None], auth0_tenant: Tenant, store: str | None
) -> None:
    """Two users are logged in at once, in cookies that one response sets."""
    set_up({"STATE_STORE": store} if store else {})
    visitor = new_browser()
    tokens = [auth0_tenant.subject_token(f"auth0|{who}") for who in ("alice", "bob")]
    answer = post(visitor, "/login", " ".join(tokens))
    expected = {"default": "auth0|alice", "orders": "auth0|bob"}

    assert expected == answer.json()
    assert set(NAMES) <= set(answer.cookies)
    assert expected == get(visitor, "/users").json()
    assert expected == get(visitor, "/users-async").json()
    assert {"default": None, "orders": None} == get(new_browser(), "/users").json()


@pytest.mark.parametrize("store", [None, "session", "cache"])
def test_logout_of_one(
    set_up: Callable[..., None], auth0_tenant: Tenant, store: str | None
) -> None:
    """A logout with a named client ends neither the other login nor Django's session."""
    set_up({"STATE_STORE": store} if store else {})
    visitor = new_browser()
    tokens = [auth0_tenant.subject_token(f"auth0|{who}") for who in ("alice", "bob")]
    post(visitor, "/login", " ".join(tokens))
    answer = post(visitor, "/logout-of-orders")

    assert "client_id=orders" in answer.content.decode()
    assert {"default": "auth0|alice", "orders": None} == get(visitor, "/users").json()
    assert visitor.session["kept"]


def test_names_that_are_not_there(
    set_up: Callable[..., None], auth0_tenant: Tenant
) -> None:
    """A client that ``AUTH0_TX`` does not have is refused, and those that it has are named."""
    from auth0_tx.integrations.django import get_client
    from auth0_tx.integrations.django.clients import read_keywords

    set_up()
    for find in (get_client, read_keywords):
        with pytest.raises(
            ConfigurationError, match=r"no client 'order'.*'default', 'orders'"
        ):
            find("order")


def test_a_request_without_the_middleware(project: Project) -> None:
    """A request that the middleware did not see is refused, with what to do."""
    from django.test import RequestFactory

    from auth0_tx.integrations.django import auth0_of

    project()
    with pytest.raises(ConfigurationError, match="Auth0Middleware"):
        auth0_of(RequestFactory().get("/"))


def test_settings_change(set_up: Callable[..., None]) -> None:
    """All clients are made anew when the settings change."""
    from auth0_tx.integrations.django import get_client

    set_up()
    first = get_client("orders")

    assert first is get_client("orders")
    assert first is not get_client()
    set_up(TIMEOUT=3)
    assert first is not get_client("orders")
    assert 3.0 == get_client("orders")._context.settings.timeout
    assert 3.0 != get_client()._context.settings.timeout


def test_defaults(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """A named client has what the default one has, but its credentials and its cookie."""
    from auth0_tx.integrations.django import get_client

    store = MemoryStore()
    set_up({"STATE_STORE": store, "TIMEOUT": 3})
    settings = get_client("orders")._context.settings

    assert (store, 3.0) == (settings.state_store, settings.timeout)
    assert NAMES == (get_client().session_cookie, get_client("orders").session_cookie)


@pytest.mark.parametrize(
    ("auth0_tx", "message"),
    [
        ({"orders": ORDERS}, "none of them is 'default'"),
        ({"retry": {"attempts": 1}}, "none of them is 'default'"),
        ({"default": {"TIMEOUTS": 1}}, r"AUTH0_TX\['default'\]\['TIMEOUTS'\]"),
        (
            {"default": {}, "orders": {"timeout": 1}},
            r"AUTH0_TX\['orders'\]\['timeout'\]",
        ),
        ({"default": {}, "a{b}": {"timeout": 1}}, r"AUTH0_TX\['a{b}'\]\['timeout'\]"),
        ({"default": {}, "Other": {}}, "'Other' can't be the name"),
        ({"default": {}, "DOMAIN": {}}, r"AUTH0_TX\['default'\]"),
    ],
)
def test_refused(project: Project, auth0_tx: dict[str, Any], message: str) -> None:
    """Settings that are neither one client's nor several's are refused by name."""
    from django.conf import settings

    from auth0_tx.integrations.django import get_client

    project()
    if "default" in auth0_tx:
        auth0_tx = {
            **auth0_tx,
            "default": {**settings.AUTH0_TX, **auth0_tx["default"]},
        }
    project(AUTH0_TX=auth0_tx)
    with pytest.raises(ConfigurationError, match=message):
        get_client()


def test_one_cookie_for_two(set_up: Callable[..., None]) -> None:
    """Two clients under one cookie name are refused, whichever is asked for."""
    from auth0_tx.integrations.django import get_client

    set_up(SESSION_POLICY={"cookie_name": "mine"})
    assert "__Host-mine" == get_client("orders").session_cookie
    set_up({"SESSION_POLICY": {"cookie_name": "auth0_tx_orders"}})
    with pytest.raises(ConfigurationError, match="keep sessions in one cookie"):
        get_client()
