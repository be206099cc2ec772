"""The URLs to include: log in with a posted token, log out, and back-channel logout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import django
import pytest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.urls import include, path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from auth0_tx import ConfigurationError
from auth0_tx.integrations.django.views import LoginView, LogoutView, backchannel_logout
from auth0_tx.tenant import Application, Tenant, faults
from tests.frameworks import django_settings  # noqa: F401

Project = Callable[..., Any]

TYPE = "urn:acme:legacy-token"
LOGIN = {
    "subject_token_type": TYPE,
    "audience": "https://api.example.com",
    "scope": "openid profile",
}
OWN = ["http://testserver/bye", "https://testserver/bye", "https://other.example.com"]


@csrf_protect
@never_cache
def page(request: HttpRequest) -> HttpResponse:
    """Return a CSRF token, as a form has it."""
    return HttpResponse(get_token(request))


def me(request: Any) -> HttpResponse:
    """Return who is logged in, to Auth0 and to Django."""
    user = getattr(request, "user", None)
    return JsonResponse(
        {
            "sub": (request.auth0.user or {}).get("sub"),
            "django": bool(user and user.is_authenticated),
        }
    )


page.login_required = False  # type: ignore[attr-defined]
me.login_required = False  # type: ignore[attr-defined]

urlpatterns = [
    path("auth0/", include("auth0_tx.integrations.django.urls")),
    path("page", page),
    path("me", me),
    path("bye", page, name="bye"),
    path(
        "own/login",
        LoginView.as_view(
            subject_token_type=TYPE, client="orders", next_page="/welcome"
        ),
    ),
    path(
        "own/logout",
        LogoutView.as_view(client="orders", return_to="https://other.example.com"),
    ),
    path("own/backchannel-logout", backchannel_logout, {"client": "orders"}),
]

SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
ACCOUNTS = "django.contrib.auth.middleware.AuthenticationMiddleware"
OURS = "auth0_tx.integrations.django.middleware.Auth0Middleware"


@pytest.fixture
def set_up(project: Project, auth0_tenant: Tenant) -> Callable[..., None]:
    """Set up a project with these URLs."""
    auth0_tenant.applications.change(auth0_tenant.client_id, allowed_logout_urls=OWN)

    def set_up(auth0_tx: dict[str, Any] | None = None, **changes: Any) -> None:
        given = {"STATE_STORE": "cache", "LOGIN": LOGIN, **(auth0_tx or {})}
        settings: dict[str, Any] = {
            "LOGIN_REDIRECT_URL": "/home",
            "LOGOUT_REDIRECT_URL": "bye",
            "MIDDLEWARE": [SESSIONS, CSRF, ACCOUNTS, OURS],
            "ROOT_URLCONF": __name__,
        }
        project(given, **{**settings, **changes})

    return set_up


class Browser:
    """A browser over https, whose requests Django checks for CSRF."""

    def __init__(self) -> None:
        from django.test import Client

        self.client = Client(enforce_csrf_checks=True, raise_request_exception=False)

    def post(
        self, target: str, fields: dict[str, str] | None = None, **more: Any
    ) -> Any:
        """Post a form without a CSRF token."""
        more.setdefault("HTTP_REFERER", "https://testserver/page")
        return self.client.post(target, fields or {}, secure=True, **more)

    def submit(self, target: str, **fields: str) -> Any:
        """Post a form of the site's own."""
        token = self.client.get("/page", secure=True).content.decode()
        return self.post(target, {**fields, "csrfmiddlewaretoken": token})

    def send(self, target: str, body: Any, **more: Any) -> Any:
        """Post JSON, as a script of the site's own does."""
        token = self.client.get("/page", secure=True).content.decode()
        return self.post(
            target,
            body,
            content_type="application/json",
            HTTP_X_CSRFTOKEN=token,
            **more,
        )

    def get_user(self) -> dict[str, Any]:
        """Return who is logged in."""
        user: dict[str, Any] = self.client.get("/me", secure=True).json()
        return user


NOBODY = {"sub": None, "django": False}
ALICE = {"sub": "auth0|alice", "django": True}


def test_names() -> None:
    """The URLs have names, as Django's own have."""
    names = ("login", "logout", "backchannel-logout")

    assert [f"/auth0/{name}/" for name in names] == [
        reverse(f"auth0_tx:{name}", urlconf=__name__) for name in names
    ]


@pytest.mark.parametrize(
    ("fields", "location"),
    [
        ({}, "/home"),
        ({"next": "/orders?page=2"}, "/orders?page=2"),
        ({"next": "https://testserver/orders"}, "https://testserver/orders"),
        ({"next": "https://evil.example/"}, "/home"),
        ({"next": "//evil.example/"}, "/home"),
        ({"next": "/\\evil.example/"}, "/home"),
        ({"next": "javascript:alert(1)"}, "/home"),
        ({"next": "http://testserver/"}, "/home"),
    ],
)
def test_form(
    set_up: Callable[..., None],
    auth0_tenant: Tenant,
    fields: dict[str, str],
    location: str,
) -> None:
    """A form logs its user in, to Django too, and leads to a page of this site."""
    set_up()
    browser = Browser()
    token = auth0_tenant.subject_token("auth0|alice")
    answer = browser.submit("/auth0/login/", subject_token=token, **fields)

    assert (302, location) == (answer.status_code, answer["Location"])
    assert "no-store" in answer["Cache-Control"]
    assert ALICE == browser.get_user()


def test_next_in_the_query(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """A form whose action has the query of the login page leads back, too."""
    set_up()
    token = auth0_tenant.subject_token("auth0|alice")
    answer = Browser().submit("/auth0/login/?next=/orders", subject_token=token)

    assert "/orders" == answer["Location"]


def test_json(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """A script logs in with JSON and Django's header, and is not redirected."""
    set_up()
    browser = Browser()
    body = {"subject_token": auth0_tenant.subject_token("auth0|alice"), "next": "/x"}
    answer = browser.send("/auth0/login/", body)

    assert (204, b"") == (answer.status_code, answer.content)
    assert "no-store" in answer["Cache-Control"]
    assert ALICE == browser.get_user()
    answer = browser.send("/auth0/logout/", {})
    assert answer.json()["logout_url"].startswith(f"{auth0_tenant.issuer}v2/logout?")
    assert NOBODY == browser.get_user()


@pytest.mark.parametrize(
    "fields",
    [
        {"HTTP_ACCEPT": "application/json"},
        {"HTTP_ACCEPT": "text/html", "HTTP_SEC_FETCH_MODE": "cors"},
    ],
)
def test_scripts_that_post_forms(
    set_up: Callable[..., None], auth0_tenant: Tenant, fields: dict[str, str]
) -> None:
    """A script that posts a form is not redirected either."""
    set_up()
    browser = Browser()
    csrf = browser.client.get("/page", secure=True).content.decode()
    token = auth0_tenant.subject_token("auth0|alice")
    posted = {"subject_token": token, "csrfmiddlewaretoken": csrf}

    assert 204 == browser.post("/auth0/login/", posted, **fields).status_code


@pytest.mark.parametrize("middleware", [[CSRF], []], ids=["with", "without"])
def test_another_sites_form(
    set_up: Callable[..., None], auth0_tenant: Tenant, middleware: list[str]
) -> None:
    """Another site's form logs nobody in or out, also without Django's middleware."""
    set_up(MIDDLEWARE=[SESSIONS, *middleware, ACCOUNTS, OURS])
    browser = Browser()
    token = auth0_tenant.subject_token("auth0|mallory")
    for fields in ({}, {"HTTP_REFERER": "https://evil.example/"}):
        answer = browser.post("/auth0/login/", {"subject_token": token}, **fields)
        assert 403 == answer.status_code
    assert 0 == auth0_tenant.count("/oauth/token")
    browser.submit(
        "/auth0/login/", subject_token=auth0_tenant.subject_token("auth0|alice")
    )
    assert 403 == browser.post("/auth0/logout/").status_code
    assert ALICE == browser.get_user()


@pytest.mark.parametrize("target", ["/auth0/login/", "/auth0/logout/"])
def test_links(set_up: Callable[..., None], target: str) -> None:
    """A link, which any site may have, logs nobody in or out."""
    set_up()
    answer = Browser().client.get(target, secure=True)

    assert 405 == answer.status_code
    assert "POST" in answer["Allow"]


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"subject_token": ""}, 400, "invalid_request"),
        ({"subject_token": 7}, 400, "invalid_request"),
        (["subject_token"], 400, "invalid_request"),
        ("{", 400, "invalid_request"),
        ("[" * 100_000, 400, "invalid_request"),
        ({"subject_token": "Bearer abc"}, 401, "invalid_token"),
        ({"subject_token": "not a token of the legacy system"}, 401, "invalid_token"),
    ],
)
def test_refused(
    set_up: Callable[..., None], body: Any, status: int, error: str
) -> None:
    """A token that is missing, malformed or refused is the caller's fault, and says so."""
    set_up()
    browser = Browser()
    answer = browser.send("/auth0/login/", body)

    assert (status, {"error": error}) == (answer.status_code, answer.json())
    assert "no-store" in answer["Cache-Control"]
    assert NOBODY == browser.get_user()


def test_rate_limit(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """A limit of Auth0 is passed on with the time to wait."""
    set_up({"RETRY": {"attempts": 1}})
    auth0_tenant.inject(faults.status(429, headers={"Retry-After": "7"}), times=1)
    token = auth0_tenant.subject_token("auth0|alice")
    answer = Browser().submit("/auth0/login/", subject_token=token)

    assert (503, "7") == (answer.status_code, answer["Retry-After"])


@pytest.mark.parametrize(
    ("target", "changes", "return_to"),
    [
        ("/auth0/logout/", {}, "https://testserver/bye"),
        ("/auth0/logout/", {"LOGOUT_REDIRECT_URL": None}, None),
        ("/auth0/logout/?next=/bye", {"LOGOUT_REDIRECT_URL": "/a"}, OWN[1]),
        ("/auth0/logout/?next=//evil.example", {}, "https://testserver/bye"),
        ("/auth0/logout/?next=bye", {}, "https://testserver/auth0/logout/bye"),
        ("/auth0/logout/?next=%3Fa", {}, "https://testserver/auth0/logout/?a"),
    ],
)
def test_logout(
    set_up: Callable[..., None],
    auth0_tenant: Tenant,
    target: str,
    changes: dict[str, Any],
    return_to: str | None,
) -> None:
    """A form logs out of Auth0 and Django, and Auth0 sends the browser back."""
    set_up(**changes)
    browser = Browser()
    token = auth0_tenant.subject_token("auth0|alice")
    browser.submit("/auth0/login/", subject_token=token)
    answer = browser.submit(target)
    location = urlsplit(answer["Location"])

    assert 302 == answer.status_code
    assert answer["Location"].startswith(f"{auth0_tenant.issuer}v2/logout?")
    assert [return_to] == parse_qs(location.query).get("returnTo", [None])
    assert NOBODY == browser.get_user()
    assert 302 == browser.submit(target).status_code


def test_without_django_users(
    set_up: Callable[..., None], auth0_tenant: Tenant
) -> None:
    """A project without our backend has logins of Auth0 alone."""
    set_up(AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend"])
    browser = Browser()
    token = auth0_tenant.subject_token("auth0|alice")
    answer = browser.submit("/auth0/login/", subject_token=token)

    assert 302 == answer.status_code
    # Whoever planted the CSRF token that the browser had before knows it no longer.
    assert "csrftoken" in answer.cookies
    assert {"sub": "auth0|alice", "django": False} == browser.get_user()
    browser.submit("/auth0/logout/")
    assert NOBODY == browser.get_user()


def test_named_client(
    set_up: Callable[..., None], auth0_tenant: Tenant, project: Project
) -> None:
    """Each view may be of another client, with options of its own."""
    from django.conf import settings

    auth0_tenant.applications.add(Application("orders", "secret-of-orders"))
    set_up()
    second = {"CLIENT_ID": "orders", "CLIENT_SECRET": "secret-of-orders"}
    project(
        AUTH0_TX={"default": settings.AUTH0_TX, "orders": second},
        MIDDLEWARE=[SESSIONS, CSRF, ACCOUNTS, OURS],
        ROOT_URLCONF=__name__,
    )
    browser = Browser()
    token = auth0_tenant.subject_token("auth0|alice")
    answer = browser.submit("/own/login", subject_token=token)

    assert "/welcome" == answer["Location"]
    assert NOBODY == browser.get_user()
    assert "__Host-auth0_tx_orders" in browser.client.cookies
    logout_token = auth0_tenant.logout_token("auth0|alice", client_id="orders")
    posted = {"logout_token": logout_token}
    assert 400 == browser.post("/auth0/backchannel-logout/", posted).status_code
    assert 200 == browser.post("/own/backchannel-logout", posted).status_code
    answer = browser.submit("/own/logout")
    assert "client_id=orders" in answer["Location"]
    assert "other.example.com" in answer["Location"]


def test_backchannel_logout(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """Auth0 ends a login, which needs no CSRF token and no cookie."""
    set_up()
    browser = Browser()
    token = auth0_tenant.subject_token("auth0|alice")
    browser.submit("/auth0/login/", subject_token=token)
    answers = [
        Browser().post("/auth0/backchannel-logout/", {"logout_token": text})
        for text in ("no token", auth0_tenant.logout_token("auth0|alice"))
    ]

    assert [400, 200] == [answer.status_code for answer in answers]
    assert {"no-store"} == {answer["Cache-Control"] for answer in answers}
    assert browser.get_user()["sub"] is None


@pytest.mark.skipif(django.VERSION < (5, 1), reason="LoginRequiredMiddleware is new")
@pytest.mark.parametrize("place", [3, 4], ids=["before", "after"])
def test_login_required_middleware(
    set_up: Callable[..., None], auth0_tenant: Tenant, place: int
) -> None:
    """Where Django requires a login for all views, these three are still reached."""
    middleware = [SESSIONS, CSRF, ACCOUNTS, OURS]
    middleware.insert(place, "django.contrib.auth.middleware.LoginRequiredMiddleware")
    set_up(MIDDLEWARE=middleware)
    browser = Browser()
    token = auth0_tenant.subject_token("auth0|alice")
    answer = browser.submit("/auth0/login/", subject_token=token)

    assert "/home" == answer["Location"]
    assert ALICE == browser.get_user()
    posted = {"logout_token": auth0_tenant.logout_token("auth0|alice")}
    assert 200 == Browser().post("/auth0/backchannel-logout/", posted).status_code
    assert browser.get_user()["sub"] is None
    assert 302 == browser.submit("/auth0/logout/").status_code


@pytest.mark.parametrize(
    "login", [{"subject_token": "t"}, {"scope": ["a"]}, "openid", {"SCOPE": "a"}]
)
def test_wrong_options(set_up: Callable[..., None], login: Any) -> None:
    """Options that a login does not have are found by ``manage.py check``."""
    from tests.integrations.django.test_django_integration import run_checks

    set_up({"LOGIN": login})

    assert {"auth0_tx.E001"} == run_checks()


def test_without_a_type(set_up: Callable[..., None]) -> None:
    """A login view that does not know the type of the token says where to set it."""
    set_up({"LOGIN": {}})
    browser = Browser()
    browser.client.raise_request_exception = True
    with pytest.raises(ConfigurationError, match="subject_token_type"):
        browser.submit("/auth0/login/", subject_token="anything")
