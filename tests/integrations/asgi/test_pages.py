"""Pages of Starlette: who may see them, the way to the login and back, and the routes for both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from auth0_tx import (
    AsyncServerClient,
    ConfigurationError,
    InvalidInputError,
    LoginWithCustomTokenExchangeOptions,
)
from auth0_tx.integrations import fastapi
from auth0_tx.integrations.starlette import (
    SessionCommitMiddleware,
    auth0_lifespan,
    auth0_of,
    auth0_routes,
    handle_errors,
    login_required,
    refuse_cross_origin,
    require_user,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant
from tests.integrations.async_sites import API, login_options, make_settings

PAGE = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
SCRIPT = {"Accept": "text/html", "Sec-Fetch-Mode": "cors"}
HOME = "https://testserver"


@login_required
async def show_page(request: Request) -> PlainTextResponse:
    """Show a page."""
    user = await auth0_of(request).get_user()
    return PlainTextResponse(user["sub"] if user else "nobody")


@login_required(scopes=["openid"])
def show_in_thread(request: Request) -> PlainTextResponse:
    """Show a page, in a thread."""
    return PlainTextResponse("in a thread")


@login_required(scopes=["delete:all"], audience=API)
async def delete(request: Request) -> PlainTextResponse:
    """Do what few may do."""
    return PlainTextResponse("deleted")


class Endpoint(HTTPEndpoint):
    """An endpoint that is a class."""

    @login_required
    async def get(self, request: Request) -> PlainTextResponse:
        """Show a page."""
        return PlainTextResponse("of a class")


async def show_required(request: Request) -> PlainTextResponse:
    """Show a page, with a check of its own."""
    user = await require_user(request)
    return PlainTextResponse(user["sub"])


@login_required
async def misused() -> None:
    """Take no request."""


def make_app(
    client: AsyncServerClient, *, login_url: str | None = "/login", **settings: Any
) -> Starlette:
    """Make an application of pages, and the routes for login and logout."""
    routes = [
        Route("/page", show_page),
        Route("/thread", show_in_thread),
        Route("/delete", delete),
        Route("/class", Endpoint),
        Route("/required", show_required),
        *auth0_routes(login_options, **settings),
    ]
    app = Starlette(
        routes=[*routes, Mount("/below", routes=[Route("/caf\u00e9", show_page)])],
        lifespan=auth0_lifespan(client),
        middleware=[Middleware(SessionCommitMiddleware)],
    )
    handle_errors(app, login_url=login_url)
    return app


@contextmanager
def visit(app: Any) -> Iterator[TestClient]:
    """Run an application with its lifespan; return a browser that is not led away."""
    with TestClient(
        app, base_url=HOME, raise_server_exceptions=False, follow_redirects=False
    ) as browser:
        yield browser


@pytest.fixture
def client(auth0_tenant: Tenant) -> AsyncServerClient:
    """A client that keeps sessions on the server."""
    return AsyncServerClient(**make_settings(auth0_tenant, state_store=MemoryStore()))


@pytest.fixture
def browser(client: AsyncServerClient) -> Iterator[TestClient]:
    """A browser, in which nobody is logged in yet."""
    with visit(make_app(client)) as browser:
        yield browser


@pytest.fixture
def token(auth0_tenant: Tenant) -> str:
    """A token of Alice."""
    return auth0_tenant.subject_token("auth0|alice")


def test_login_and_back(browser: TestClient, token: str) -> None:
    """A page sends a visitor to the login page, whose form leads back to it."""
    asked = browser.get("/page?tab=2&x=%2F", headers=PAGE)
    posted = browser.post(
        "/login", data={"subject_token": token, "next": "/page?tab=2&x=%2F"}
    )
    paths = ("/page", "/thread", "/class", "/required")
    seen = [browser.get(path).text for path in paths]

    assert (302, "/login?next=/page%3Ftab%3D2%26x%3D%252F") == (
        asked.status_code,
        asked.headers["Location"],
    )
    assert "no-store" in asked.headers["Cache-Control"]
    assert "Cookie" == asked.headers["Vary"]
    assert (303, "/page?tab=2&x=%2F") == (
        posted.status_code,
        posted.headers["Location"],
    )
    assert ["auth0|alice", "in a thread", "of a class", "auth0|alice"] == seen


def test_page_of_a_mounted_application(browser: TestClient) -> None:
    """The way back has the whole path, encoded."""
    asked = browser.get("/below/caf\u00e9", headers=PAGE)

    assert "/login?next=/below/caf%25C3%25A9" == asked.headers["Location"]


@pytest.mark.parametrize("path", ["/page", "/thread", "/class", "/required", "/delete"])
def test_scripts_get_json(browser: TestClient, path: str) -> None:
    """A script is told by status and JSON, also where pages are redirected."""
    answer = browser.get(path, headers=SCRIPT)

    assert (401, {"error": "login_required"}) == (answer.status_code, answer.json())
    assert "Bearer" == answer.headers["WWW-Authenticate"]


def test_without_login_page(client: AsyncServerClient) -> None:
    """Without a login page, a page is answered as an API is."""
    with visit(make_app(client, login_url=None)) as browser:
        assert 401 == browser.get("/page", headers=PAGE).status_code


def test_scope(browser: TestClient, token: str) -> None:
    """A page that needs a scope is for whoever has it; a login would not help."""
    browser.post("/login", data={"subject_token": token})
    answer = browser.get("/delete", headers=PAGE)

    assert (403, {"error": "insufficient_scope"}) == (answer.status_code, answer.json())
    assert 'scope="delete:all"' in answer.headers["WWW-Authenticate"]


def test_unknown_request(client: AsyncServerClient) -> None:
    """An endpoint that does not take the request cannot be protected."""
    with pytest.raises(ConfigurationError, match="must take the request"):
        misused().send(None)  # type: ignore[attr-defined]


def test_heads(browser: TestClient, token: str) -> None:
    """HEAD is answered as GET, without a body."""
    asked = browser.head("/page", headers=PAGE)
    browser.post("/login", data={"subject_token": token})
    shown = browser.head("/page")

    assert (302, 200) == (asked.status_code, shown.status_code)
    assert "" == shown.text
    assert "Cookie" == shown.headers["Vary"]


def test_json_login(browser: TestClient, token: str) -> None:
    """A script logs in and out with JSON, and is led nowhere."""
    refused = browser.post("/login", json={"subject_token": "nobody's"})
    entered = browser.post("/login", json={"subject_token": token})
    shown = browser.get("/page").text
    left = browser.post("/logout", json={})

    assert (401, {"error": "invalid_token"}) == (refused.status_code, refused.json())
    assert (204, "auth0|alice") == (entered.status_code, shown)
    assert 200 == left.status_code
    assert "/v2/logout" in left.json()["logout_url"]
    assert 401 == browser.get("/page").status_code


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"data": {}}, 400, "invalid_request"),
        ({"data": {"subject_token": ""}}, 400, "invalid_request"),
        ({"data": {"subject_token": " a "}}, 401, "invalid_token"),
        ({"files": {"subject_token": b"a file"}}, 400, "invalid_request"),
        ({"json": {"subject_token": 7}}, 400, "invalid_request"),
        ({"json": ["token"]}, 400, "invalid_request"),
        (
            {"content": b"{", "headers": {"Content-Type": "application/json"}},
            400,
            "invalid_request",
        ),
    ],
)
def test_posted_otherwise(
    browser: TestClient, sent: dict[str, Any], status: int, code: str
) -> None:
    """A login without a usable token is the caller's fault, and never a server error."""
    answer = browser.post("/login", **sent)

    assert (status, {"error": code}) == (answer.status_code, answer.json())
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/login", "/logout"])
@pytest.mark.parametrize(
    ("headers", "is_refused"),
    [
        ({"Origin": "https://evil.example"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": HOME, "Sec-Fetch-Site": "same-origin"}, False),
        ({"Origin": "https://login.example.com"}, False),
        ({}, False),
    ],
)
def test_other_origins(
    client: AsyncServerClient,
    token: str,
    path: str,
    headers: dict[str, str],
    is_refused: bool,
) -> None:
    """A page of another site can neither log in nor out, unless it is trusted."""
    app = make_app(client, trusted_origins=["https://login.example.com"])
    with visit(app) as browser:
        answer = browser.post(path, data={"subject_token": token}, headers=headers)

    if is_refused:
        assert (403, {"error": "cross_origin_request"}) == (
            answer.status_code,
            answer.json(),
        )
        assert not browser.cookies
    else:
        assert 303 == answer.status_code


def test_own_endpoints_refuse_other_sites() -> None:
    """An endpoint of the application's own has the same check, with and without a handler."""
    app, plain = FastAPI(), FastAPI()
    handle_errors(app)

    @plain.post("/own")
    @app.post("/own")
    async def own(request: Request) -> str:
        refuse_cross_origin(request, ["https://login.example.com"])
        return "done"

    seen = [
        TestClient(site).post("/own", headers={"Origin": origin})
        for site in (app, plain)
        for origin in ("https://login.example.com", "https://evil.example")
    ]

    assert [200, 403, 200, 403] == [answer.status_code for answer in seen]
    assert {"error": "cross_origin_request"} == seen[1].json()
    assert {"detail": "cross_origin_request"} == seen[3].json()


def test_bad_return_to() -> None:
    """A page to return to that is not a URL is refused before anybody logs out."""
    with pytest.raises(InvalidInputError, match="return_to"):
        auth0_routes(return_to="/home")


@pytest.mark.parametrize("path", ["/login", "/logout", "/backchannel-logout"])
def test_only_posts(browser: TestClient, path: str) -> None:
    """No link and no image logs in or out."""
    assert 405 == browser.get(path).status_code


@pytest.mark.parametrize(
    "page", ["https://evil.example/", "//evil.example", "/\\evil.example", ""]
)
def test_next_of_another_site(browser: TestClient, token: str, page: str) -> None:
    """A login leads to a page of this site."""
    posted = browser.post("/login?next=//evil.example", data={"subject_token": token})
    answer = browser.post("/login", data={"subject_token": token, "next": page})

    assert "/" == answer.headers["Location"] == posted.headers["Location"]


def test_backchannel_logout(
    browser: TestClient, auth0_tenant: Tenant, token: str
) -> None:
    """Auth0 ends the sessions of a user, whatever its request looks like."""
    browser.post("/login", data={"subject_token": token})
    logout_token = auth0_tenant.logout_token(sub="auth0|alice")
    answer = browser.post(
        "/backchannel-logout",
        data={"logout_token": logout_token},
        headers={"Origin": "https://auth0.example"},
    )

    assert 200 == answer.status_code
    assert 401 == browser.get("/page").status_code


def test_backchannel_logout_with_the_store_down(
    client: AsyncServerClient, browser: TestClient, auth0_tenant: Tenant
) -> None:
    """A store that is down is a 503, so that Auth0 sends the token again."""
    store: Any = client._context.settings.state_store

    def fail(*_: object) -> None:
        raise ConnectionError

    read_index, store.read_index = store.read_index, fail
    posted = {"logout_token": auth0_tenant.logout_token(sub="auth0|alice")}
    failed = browser.post("/backchannel-logout", data=posted)
    store.read_index = read_index

    assert 503 == failed.status_code
    assert "no-store" == failed.headers["Cache-Control"]
    assert 200 == browser.post("/backchannel-logout", data=posted).status_code
    assert 400 == browser.post("/backchannel-logout", data=posted).status_code


def test_other_paths(client: AsyncServerClient, token: str) -> None:
    """Paths, the page after a login and the one after a logout are the application's choice."""
    app = make_app(
        client,
        login="/auth/in",
        logout="/auth/out",
        next_url="/page",
        return_to="https://app.example.com",
    )
    with visit(app) as browser:
        entered = browser.post("/auth/in", data={"subject_token": token})
        left = browser.post("/auth/out")

    assert "/page" == entered.headers["Location"]
    assert "returnTo=https%3A%2F%2Fapp.example.com" in left.headers["Location"]
    assert ["auth0_orders_logout", "auth0_orders_backchannel_logout"] == [
        route.name for route in auth0_routes(client="orders")
    ]


def test_router_of_fastapi(client: AsyncServerClient, token: str) -> None:
    """FastAPI includes the same routes as a router, which its document does not show."""
    app = FastAPI(lifespan=fastapi.auth0_lifespan(client))
    app.add_middleware(SessionCommitMiddleware)

    def make_options(token: str) -> LoginWithCustomTokenExchangeOptions:
        return login_options(token)

    app.include_router(fastapi.auth0_router(make_options), prefix="/auth")

    @app.get("/user")
    async def show_user(user: fastapi.CurrentUser) -> str:
        return user["sub"] if user else "nobody"

    with visit(app) as browser:
        entered = browser.post("/auth/login", data={"subject_token": token})
        shown = browser.get("/user").json()
        left = browser.post("/auth/logout")
        document = browser.get("/openapi.json").json()

    assert (303, "auth0|alice", 303) == (
        entered.status_code,
        shown,
        left.status_code,
    )
    assert ["/user"] == [*document["paths"]]
