"""Errors that a view does not catch: pages go to the login page, APIs get the table's JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import path

from auth0_tx import (
    Auth0Error,
    BlockedError,
    ConfigurationError,
    InsufficientScopeError,
    LoginRequiredError,
    NotSentError,
    RateLimitError,
    RefusedError,
    StoreError,
)
from auth0_tx.tenant import Application, Tenant
from tests.frameworks import django_settings  # noqa: F401
from tests.integrations.django.site import options
from tests.integrations.django.test_django_integration import get, new_browser, post
from tests.integrations.django.test_logout import StoreThatGoesDown

Project = Callable[..., Any]

PAGE = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8"}
NAVIGATION = {**PAGE, "HTTP_SEC_FETCH_MODE": "navigate"}
SCRIPT = {**PAGE, "HTTP_SEC_FETCH_MODE": "cors"}
API = {"HTTP_ACCEPT": "application/json"}

ERRORS: dict[str, Auth0Error] = {
    "login": LoginRequiredError("no session"),
    "scope": InsufficientScopeError("lacks it").with_scope("read:orders"),
    "refused": RefusedError("no", "invalid_grant", 403),
    "limit": RateLimitError("wait", retry_after=1.5),
    "blocked": BlockedError("blocked"),
    "network": NotSentError("no connection"),
    "store": StoreError("down", retry_safe=True),
    "setting": ConfigurationError("a wrong setting"),
}


def fail(request: HttpRequest, name: str) -> HttpResponse:
    """Raise an error, or one that is not of this library."""
    raise ERRORS.get(name) or KeyError(name)


async def fail_async(request: HttpRequest, name: str) -> HttpResponse:
    """Do the same in an async view."""
    raise ERRORS.get(name) or KeyError(name)


def token(request: Any) -> HttpResponse:
    """Get an access token."""
    request.session["visited"] = True
    return HttpResponse(request.auth0.get_access_token())


async def behalf(request: Any) -> HttpResponse:
    """Exchange the request's bearer token."""
    await request.auth0.aget_token_on_behalf_of("https://other.example.com")
    return HttpResponse("exchanged")


def log_in(request: Any) -> HttpResponse:
    """Show a login page that itself asks for a token, which is a mistake."""
    return token(request)


def log_in_with_token(request: Any) -> HttpResponse:
    """Log in with the token that was posted."""
    request.auth0.login(options(request))
    return HttpResponse("in")


urlpatterns = [
    path("in", log_in_with_token),
    path("fail/<name>", fail),
    path("fail-async/<name>", fail_async),
    path("token", token),
    path("behalf", behalf),
    path("sign-in", log_in, name="sign-in"),
]

KINDS = pytest.mark.parametrize("kind", ["fail", "fail-async"])


@pytest.fixture
def set_up(project: Project) -> Callable[..., None]:
    """Set up a project whose login page has a name."""

    def set_up(auth0_tx: dict[str, Any] | None = None, **changes: Any) -> None:
        project(
            auth0_tx, **{"LOGIN_URL": "sign-in", "ROOT_URLCONF": __name__, **changes}
        )

    return set_up


def ask(target: str, **fields: str) -> Any:
    """Ask for a page of which an error may be the answer."""
    return get(new_browser(raise_request_exception=False), target, **fields)


@KINDS
@pytest.mark.parametrize("fields", [PAGE, NAVIGATION], ids=["old", "new"])
def test_page(set_up: Callable[..., None], kind: str, fields: dict[str, str]) -> None:
    """A browser that opens a page is sent to the login page, and comes back to it."""
    set_up()
    answer = ask(f"/{kind}/login?a=1&b=2", **fields)

    assert 302 == answer.status_code
    assert f"/sign-in?next=/{kind}/login%3Fa%3D1%26b%3D2" == answer["Location"]
    assert "no-store" == answer["Cache-Control"]


@KINDS
@pytest.mark.parametrize(
    ("name", "status", "code", "headers"),
    [
        ("login", 401, "login_required", {"WWW-Authenticate": "Bearer"}),
        (
            "scope",
            403,
            "insufficient_scope",
            {
                "WWW-Authenticate": 'Bearer error="insufficient_scope", '
                'scope="read:orders"'
            },
        ),
        ("refused", 403, "access_denied", {}),
        ("limit", 503, "temporarily_unavailable", {"Retry-After": "2"}),
        ("blocked", 503, "temporarily_unavailable", {}),
        ("network", 502, "temporarily_unavailable", {}),
        ("store", 503, "temporarily_unavailable", {}),
        ("setting", 500, "server_error", {}),
    ],
)
def test_api(
    set_up: Callable[..., None],
    kind: str,
    name: str,
    status: int,
    code: str,
    headers: dict[str, str],
) -> None:
    """An API's caller, and a page's script, get the status and the code of the table."""
    set_up()
    for fields in (API, SCRIPT, {}):
        answer = ask(f"/{kind}/{name}", **fields)

        assert (status, {"error": code}) == (answer.status_code, answer.json())
        assert "no-store" == answer["Cache-Control"]
        assert headers == {field: answer[field] for field in headers}


def test_form(set_up: Callable[..., None]) -> None:
    """What was posted would be lost at the login page, so a form gets the status."""
    set_up()
    answer = post(new_browser(), "/fail/login", **PAGE)

    assert 401 == answer.status_code


@KINDS
@pytest.mark.parametrize("debug", [False, True])
def test_errors_of_the_service(
    set_up: Callable[..., None], kind: str, debug: bool
) -> None:
    """A person gets Django's own page for an error of the service, and developers theirs."""
    set_up(DEBUG=debug)
    answer = ask(f"/{kind}/setting", **PAGE)

    assert (500, "text/html") == (answer.status_code, answer["Content-Type"][:9])
    assert debug is ("ConfigurationError" in answer.content.decode())
    with pytest.raises(ConfigurationError):
        get(new_browser(), f"/{kind}/setting", **API)


@KINDS
def test_other_errors(set_up: Callable[..., None], kind: str) -> None:
    """Errors that are not of this library are left to Django."""
    set_up()
    with pytest.raises(KeyError):
        get(new_browser(), f"/{kind}/other", **API)


@KINDS
def test_switched_off(set_up: Callable[..., None], kind: str) -> None:
    """A setting leaves all errors to Django, for projects with handlers of their own."""
    set_up({"ANSWER_ERRORS": False})
    with pytest.raises(LoginRequiredError):
        get(new_browser(), f"/{kind}/login", **PAGE)


@pytest.mark.parametrize("auth0_tx", [None, {"orders": {}}, {"DOMAIN": "10.0.0.1"}])
def test_settings_that_are_wrong(set_up: Callable[..., None], auth0_tx: Any) -> None:
    """Settings that make no client are an error of the service, and say so in the log."""
    set_up(AUTH0_TX=auth0_tx)
    answer = ask("/token", **API)

    assert (500, {"error": "server_error"}) == (answer.status_code, answer.json())


def test_login_page_that_needs_a_login(set_up: Callable[..., None]) -> None:
    """A login page that itself fails is not redirected to itself for ever."""
    set_up()

    assert 401 == ask("/sign-in?next=/token", **PAGE).status_code
    assert 302 == ask("/token", **PAGE).status_code


@pytest.mark.parametrize(
    ("login_url", "location"),
    [
        ("/in?lang=en", "/in?lang=en&next=/token"),
        ("https://id.example.com/", "https://id.example.com/?next=/token"),
        (None, None),
    ],
)
def test_login_urls(
    set_up: Callable[..., None], login_url: str | None, location: str | None
) -> None:
    """The login page may be a path or a URL; without one, pages get the JSON too."""
    set_up(LOGIN_URL=login_url)
    answer = ask("/token", **PAGE)

    assert (302 if location else 401) == answer.status_code
    assert location == answer.get("Location")


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        (None, "Bearer"),
        ("Basic dXNlcjpwYXNz", "Bearer"),
        ("Bearer", "Bearer"),
        ("Bearer two words", 'Bearer error="invalid_token"'),
        ("Bearer \x00", 'Bearer error="invalid_token"'),
        ("Bearer Bearer", 'Bearer error="invalid_token"'),
    ],
)
def test_malformed_tokens(
    set_up: Callable[..., None],
    auth0_tenant: Tenant,
    authorization: str | None,
    challenge: str,
) -> None:
    """A bearer token that is missing or malformed is a 401, and never a 500."""
    auth0_tenant.applications.add(
        Application("api", "secret-of-it", resource_server_identifier="https://api")
    )
    set_up({"CLIENT_ID": "api", "CLIENT_SECRET": "secret-of-it"})
    fields = {"HTTP_AUTHORIZATION": authorization} if authorization else {}
    answer = ask("/behalf", **fields)

    assert (401, challenge) == (answer.status_code, answer["WWW-Authenticate"])


def test_store_that_is_down(set_up: Callable[..., None], auth0_tenant: Tenant) -> None:
    """A store that fails is a 503, for pages too, and varies by the session's cookie."""
    store = StoreThatGoesDown()
    set_up({"STATE_STORE": store})
    browser = new_browser(raise_request_exception=False)
    assert (
        200
        == post(browser, "/in", auth0_tenant.subject_token("auth0|alice")).status_code
    )
    store.is_down = True
    answer = get(browser, "/token", **PAGE)

    assert 503 == answer.status_code
    assert "Cookie" in answer["Vary"]
    assert "no-store" in answer["Cache-Control"]


async def test_asgi(set_up: Callable[..., None]) -> None:
    """Under ASGI, errors of both kinds of views are answered alike."""
    from django.test import AsyncClient

    set_up()
    browser = AsyncClient()
    for kind in ("fail", "fail-async"):
        answer = await browser.get(f"/{kind}/login", secure=True)
        assert (401, {"error": "login_required"}) == (
            answer.status_code,
            answer.json(),
        )
