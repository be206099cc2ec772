"""Django REST Framework: users and CSRF of login sessions, scopes, and answers to errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import path
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import AllowAny, IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from auth0_tx import ConfigurationError, LoginWithCustomTokenExchangeOptions, StoreError
from auth0_tx.integrations.django import login, logout
from auth0_tx.integrations.django.rest_framework import (
    Auth0SessionAuthentication,
    ClaimsUser,
    HasScopes,
    exception_handler,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Api, Application, Tenant
from tests.frameworks import django_settings  # noqa: F401
from tests.integrations.django.test_logout import StoreThatGoesDown

Project = Callable[..., Any]

ORDERS = "https://orders.example.com"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
ACCOUNTS = "django.contrib.auth.middleware.AuthenticationMiddleware"
OURS = "auth0_tx.integrations.django.middleware.Auth0Middleware"


def options(token: str) -> LoginWithCustomTokenExchangeOptions:
    """Return the options of a login with a scope of an API."""
    return LoginWithCustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="urn:acme:legacy-token",
        audience=ORDERS,
        scope="openid offline_access read:orders",
    )


class View(APIView):
    """A view that answers errors as a project with our handler does."""

    authentication_classes = (Auth0SessionAuthentication,)

    def get_exception_handler(self) -> Any:
        return exception_handler


class LogIn(View):
    """Log in to Django, or to Auth0 alone."""

    def post(self, request: Any) -> Response:
        if "alone" in request.data:
            request.auth0.login(options(request.data["token"]))
        else:
            login(request, options(request.data["token"]))
        return Response("in")


class LogOut(View):
    def post(self, request: Any) -> Response:
        return Response(logout(request))


class Me(View):
    """Show who is logged in."""

    permission_classes = (IsAuthenticated,)

    class Throttle(UserRateThrottle):
        rate = "100/min"

    throttle_classes = (Throttle,)

    def get(self, request: Any) -> Response:
        return Response(
            {"name": str(request.user), "kind": type(request.user).__name__}
        )

    post = get


class Orders(View):
    permission_classes = (HasScopes.of("read:orders", audience=ORDERS),)

    def get(self, request: Any) -> Response:
        return Response("orders")


class Change(View):
    permission_classes = (HasScopes,)
    required_scopes = ("read:orders", "write:orders")

    def get(self, request: Any) -> Response:
        return Response("changed")


class Either(View):
    permission_classes = (HasScopes.of("write:orders") | HasScopes.of("read:orders"),)

    def get(self, request: Any) -> Response:
        return Response("either")


class OfOrders(View):
    permission_classes = (HasScopes.of("openid", client="orders"),)

    class Authentication(Auth0SessionAuthentication):
        client = "orders"

    authentication_classes = (Authentication,)

    def get(self, request: Any) -> Response:
        return Response("orders")


class WithoutScopes(View):
    permission_classes = (HasScopes,)


class Admins(View):
    permission_classes = (IsAdminUser,)

    def get(self, request: Any) -> Response:
        return Response("admins")


class Failing(View):
    permission_classes = (AllowAny,)

    def get(self, request: Any, name: str) -> Response:
        raise {
            "setting": ConfigurationError("a wrong setting"),
            "store": StoreError("down", retry_safe=True, retry_after=3),
            "other": ValidationError("wrong"),
        }[name]

    def post(self, request: Any, name: str) -> Response:
        return Response(request.auth0.get_access_token())


class Plain(APIView):
    """A view of a project without our handler."""

    authentication_classes = (Auth0SessionAuthentication,)

    def get(self, request: Any) -> Response:
        return Response(request.auth0.get_access_token())


urlpatterns = [
    path("login", LogIn.as_view()),
    path("logout", LogOut.as_view()),
    path("me", Me.as_view()),
    path("orders", Orders.as_view()),
    path("change", Change.as_view()),
    path("either", Either.as_view()),
    path("of-orders", OfOrders.as_view()),
    path("without-scopes", WithoutScopes.as_view()),
    path("admins", Admins.as_view()),
    path("fail/<name>", Failing.as_view()),
    path("plain", Plain.as_view()),
]


@pytest.fixture
def set_up(project: Project, auth0_tenant: Tenant) -> Callable[..., None]:
    """Set up a project with these views."""
    auth0_tenant.apis.add(Api(ORDERS, scopes=("read:orders", "write:orders")))

    def set_up(auth0_tx: dict[str, Any] | None = None, **changes: Any) -> None:
        project(auth0_tx, **{"ROOT_URLCONF": __name__, **changes})

    return set_up


class Browser(APIClient):
    """A browser over https."""

    def __init__(self, **more: Any) -> None:
        super().__init__(raise_request_exception=False, **more)
        self.defaults["wsgi.url_scheme"] = "https"

    def log_in(self, tenant: Tenant, user: str = "auth0|alice", **more: str) -> None:
        body = {"token": tenant.subject_token(user), **more}
        assert 200 == self.post("/login", body, format="json").status_code


def test_users(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """A login through a wrapped request is one, and ends with the logout."""
    set_up()
    browser = Browser()
    browser.log_in(auth0_tenant)
    seen = browser.get("/me").json()

    assert "User" == seen["kind"]
    assert seen["name"].startswith("auth0-")
    assert 403 == browser.get("/admins").status_code
    assert 200 == browser.post("/logout").status_code
    assert 401 == browser.get("/me").status_code


def test_nobody(set_up: Callable[..., None]) -> None:
    """Without a login the answer is a 401 with a challenge, and not a 403."""
    set_up()
    for target in ("/me", "/orders", "/change", "/either"):
        answer = Browser().get(target)

        assert (401, "Bearer") == (answer.status_code, answer["WWW-Authenticate"])
        assert "no-store" in answer["Cache-Control"]
        assert "Cookie" in answer["Vary"]


def test_login_to_auth0_alone(
    set_up: Callable[..., None], auth0_tenant: Tenant
) -> None:
    """The user of a login session is found, or created, by the backend."""
    from django.contrib.auth import get_user_model

    set_up()
    browser = Browser()
    browser.log_in(auth0_tenant, alone="yes")
    names = {browser.get("/me").json()["name"] for _ in range(2)}

    assert names == {user.get_username() for user in get_user_model().objects.all()}
    get_user_model().objects.update(is_active=False)
    assert 401 == browser.get("/me").status_code


@pytest.mark.parametrize("accounts", [True, False])
def test_without_django_users(
    set_up: Callable[..., None], auth0_tenant: Tenant, accounts: bool
) -> None:
    """Without our backend the user has the claims, and no permission of Django's users."""
    middleware = [SESSIONS, ACCOUNTS, OURS] if accounts else [OURS]
    set_up(AUTHENTICATION_BACKENDS=[], MIDDLEWARE=middleware)
    browser = Browser()
    browser.log_in(auth0_tenant, alone="yes")

    assert {"name": "auth0|alice", "kind": "ClaimsUser"} == browser.get("/me").json()
    assert 403 == browser.get("/admins").status_code


class OwnBackend:
    """A backend of the project's own that takes verified claims."""

    def authenticate(self, request: Any, auth0_claims: Any = None) -> Any:
        if auth0_claims["sub"] != "auth0|alice":
            return None
        return ClaimsUser({"sub": "of the backend"})

    def get_user(self, user_id: Any) -> None:
        return None


def test_another_backend(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """A backend that is not derived from ours is asked for the user of the claims."""
    set_up(AUTHENTICATION_BACKENDS=[f"{__name__}.OwnBackend"])
    browsers = [Browser(), Browser()]
    for browser, name in zip(browsers, ("alice", "bob"), strict=True):
        browser.log_in(auth0_tenant, f"auth0|{name}", alone="yes")

    assert "of the backend" == browsers[0].get("/me").json()["name"]
    assert 401 == browsers[1].get("/me").status_code


def test_claims_user() -> None:
    """A user of claims is another than one of the same name elsewhere."""
    users = [ClaimsUser({"sub": "u", "iss": issuer}) for issuer in ("https://a/", "b")]

    assert 2 == len({user.pk for user in users})
    assert 2 == len({*users, ClaimsUser({"sub": "u", "iss": "b", "name": "changed"})})
    assert users[0] != users[0].pk
    assert users[0].pk == users[0].id
    assert (False, False) == (users[0].has_perm("x"), users[0].has_perms(["x"]))
    assert users[0].has_perms([])


def test_csrf(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """A login session counts for another site's form no more than Django's own."""
    set_up()
    browser = Browser(enforce_csrf_checks=True)
    browser.log_in(auth0_tenant)

    assert 200 == browser.get("/me").status_code
    answer = browser.post("/me")
    assert 403 == answer.status_code
    assert "CSRF" in answer.json()["detail"]
    browser.cookies["csrftoken"] = "a" * 32
    more = {"HTTP_X_CSRFTOKEN": "a" * 32, "HTTP_REFERER": "https://testserver/"}
    assert 200 == browser.post("/me", **more).status_code


def test_scopes(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """What was granted counts; a refusal names what is needed, and Auth0 is not asked."""
    set_up()
    browser = Browser()
    browser.log_in(auth0_tenant)

    assert "orders" == browser.get("/orders").json()
    assert "either" == browser.get("/either").json()
    answer = browser.get("/change")
    assert (403, {"error": "insufficient_scope"}) == (
        answer.status_code,
        answer.json(),
    )
    assert 'scope="read:orders write:orders"' in answer["WWW-Authenticate"]
    assert "no-store" in answer["Cache-Control"]
    assert 1 == auth0_tenant.count("/oauth/token")


def test_named_client(
    set_up: Callable[..., None], project: Project, auth0_tenant: Tenant
) -> None:
    """A view may be for the users of another client."""
    from django.conf import settings

    auth0_tenant.applications.add(Application("orders", "secret-of-orders"))
    set_up()
    second = {"CLIENT_ID": "orders", "CLIENT_SECRET": "secret-of-orders"}
    project(
        AUTH0_TX={"default": settings.AUTH0_TX, "orders": second}, ROOT_URLCONF=__name__
    )
    browser = Browser()
    browser.log_in(auth0_tenant)

    assert 401 == browser.get("/of-orders").status_code


def test_view_without_scopes(set_up: Callable[..., None]) -> None:
    """A view whose author forgot the scopes lets nobody in."""
    set_up()
    with pytest.raises(TypeError, match="scopes must be given"):
        HasScopes.of()
    with pytest.raises(TypeError, match="scopes must be given"):
        APIClient().get("/without-scopes")


@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("store", 503, {"error": "temporarily_unavailable"}),
        ("setting", 500, {"error": "server_error"}),
        ("other", 400, ["wrong"]),
    ],
)
def test_errors(
    set_up: Callable[..., None], name: str, status: int, body: object
) -> None:
    """Our errors are answered by the table, and all others by the framework."""
    set_up()
    answer = Browser().get(f"/fail/{name}")

    assert (status, body) == (answer.status_code, answer.json())
    assert ("3" if name == "store" else None) == answer.get("Retry-After")


def test_developers(set_up: Callable[..., None]) -> None:
    """With DEBUG a developer sees where an error of the service happened."""
    set_up(DEBUG=True)
    answer = Browser().get("/fail/setting", HTTP_ACCEPT="text/html")

    assert 500 == answer.status_code
    assert "a wrong setting" in answer.content.decode()


def test_token_that_is_missing(set_up: Callable[..., None]) -> None:
    """A view that needs a token answers a 401, with our handler and without."""
    set_up()

    for answer in (Browser().post("/fail/any"), Browser().get("/plain")):
        assert (401, {"error": "login_required"}) == (
            answer.status_code,
            answer.json(),
        )
        assert "Bearer" == answer["WWW-Authenticate"]


def test_store_that_is_down(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """A store that fails is a 503, and nobody is taken for a visitor."""
    store = StoreThatGoesDown()
    set_up({"STATE_STORE": store})
    browser = Browser()
    browser.log_in(auth0_tenant)
    store.is_down = True

    for target in ("/me", "/orders", "/plain"):
        assert 503 == browser.get(target).status_code
    assert isinstance(store, MemoryStore)


def test_without_the_package() -> None:
    """Without Django REST Framework, what to install is said."""
    code = (
        "import sys; sys.modules['rest_framework'] = None\n"
        "import auth0_tx.integrations.django.rest_framework"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert "pip install 'auth0-tx[drf]'" in ran.stderr
