"""``login_required``: pages are redirected to the login page, APIs get an error as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest
from aiohttp import web

from auth0_tx import (
    AsyncServerClient,
    ConfigurationError,
    LoginRequiredError,
    SessionPolicy,
)
from auth0_tx.integrations.aiohttp_web import (
    auth0_of,
    handle_errors,
    login_required,
    setup,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Certificates, KeySupply, Tenant
from tests.integrations.aiohttp_web.applications import log_in, serve
from tests.integrations.async_sites import (
    API,
    Browser,
    login_options,
    make_settings,
)

PAGE = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


@login_required
async def plain(request: web.Request) -> web.Response:
    """Show something to users."""
    return web.Response(text="shown")


@login_required(scopes=["read:data"], audience=API)
async def reading(request: web.Request) -> web.Response:
    """Show something to users who may read."""
    return web.Response(text="shown")


@login_required(scopes=["read:data", "delete:all"])
async def deleting(request: web.Request) -> web.Response:
    """Show something to users who may delete."""
    return web.Response(text="shown")


@login_required(login_url="/sign-in?lang=en")
async def elsewhere(request: web.Request) -> web.Response:
    """Show something, with another login page."""
    return web.Response(text="shown")


@login_required(client="orders")
async def of_named_client(request: web.Request) -> web.Response:
    """Show something to the users of another client."""
    return web.Response(text="shown")


class Orders(web.View):
    """A view that anybody may read, and users change."""

    async def get(self) -> web.Response:
        """Show the orders."""
        return web.Response(text="shown")

    @login_required
    async def post(self) -> web.Response:
        """Change the orders."""
        user = await auth0_of(self.request).get_user()
        assert user is not None
        return web.Response(text=user["sub"])


@login_required
async def open_socket(request: web.Request) -> web.WebSocketResponse:
    """Open a WebSocket, and close it."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.close()
    return socket


class Handlers:
    """Handlers that are methods."""

    @login_required
    async def show(self, request: web.Request) -> web.Response:
        """Show something to users."""
        return web.Response(text="shown")


async def raising(request: web.Request) -> web.Response:
    """Need a login deep within."""
    raise LoginRequiredError("somewhere")


async def login(request: web.Request) -> web.Response:
    """Log in."""
    options = login_options(await request.text())
    await auth0_of(request, request.query.get("client")).login(
        attrs.evolve(options, scope="openid offline_access read:data")
    )
    raise web.HTTPSeeOther("/")


def make_app(tenant: Tenant, **keywords: Any) -> web.Application:
    """Make the application."""
    app = web.Application(middlewares=[handle_errors])
    settings = make_settings(tenant, state_store=MemoryStore())
    setup(
        app,
        AsyncServerClient(**settings),
        clients={
            "orders": AsyncServerClient(
                **settings, session_policy=SessionPolicy(cookie_name="orders")
            )
        },
        trusted_origins=["https://partner.example.com"],
        **keywords,
    )
    app.add_routes(
        [
            web.post("/login", login),
            web.get("/plain", plain),
            web.post("/plain", plain),
            web.get("/reading", reading),
            web.get("/deleting", deleting),
            web.get("/elsewhere", elsewhere),
            web.get("/named", of_named_client),
            web.view("/orders", Orders),
            web.get("/method", Handlers().show),
            web.get("/raising", raising),
            web.get("/socket", open_socket),
        ]
    )
    return app


@pytest.fixture(scope="module")
def tenant(
    auth0_tenant_keys: KeySupply, auth0_tenant_certificates: Certificates
) -> Iterator[Tenant]:
    """A tenant for all of these tests."""
    with Tenant(
        keys=auth0_tenant_keys, certificates=auth0_tenant_certificates
    ) as tenant:
        yield tenant


@pytest.fixture(scope="module")
def port(tenant: Tenant) -> Iterator[int]:
    """An application with a login page."""
    with serve(make_app(tenant, login_url="/login")) as port:
        yield port


@pytest.fixture(scope="module")
def api_port(tenant: Tenant) -> Iterator[int]:
    """An application without a login page."""
    with serve(make_app(tenant)) as port:
        yield port


@pytest.mark.parametrize("path", ["/plain", "/reading", "/method"])
def test_user_is_let_in(port: int, tenant: Tenant, path: str) -> None:
    """Who is logged in, and has the scopes, reaches the handler."""
    answer = log_in(port, tenant).get(path, headers=PAGE)

    assert (200, "shown") == (answer.status_code, answer.text)
    assert "private, no-store" == answer.headers["Cache-Control"]
    assert "Cookie" == answer.headers["Vary"]


@pytest.mark.parametrize("path", ["/plain", "/reading", "/method", "/raising"])
@pytest.mark.parametrize("query", ["", "?a=%2Fb&c=d%20e"])
def test_page_is_redirected(port: int, path: str, query: str) -> None:
    """A browser that opens a page comes to the login page, which knows the way back."""
    answer = Browser(port).get(path + query, headers=PAGE)

    login_page = urlsplit(answer.headers["Location"])
    assert (302, "/login") == (answer.status_code, login_page.path)
    assert {"next": [path + query]} == parse_qs(login_page.query)
    assert "no-store" in answer.headers["Cache-Control"]
    if path != "/raising":
        assert "Cookie" == answer.headers["Vary"]


def test_login_page_of_a_handler(port: int, api_port: int) -> None:
    """A decorator may name another login page, whose own query stays."""
    for each in (port, api_port):
        location = Browser(each).get("/elsewhere", headers=PAGE).headers["Location"]
        assert "/sign-in?lang=en&next=/elsewhere" == location


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),
        ("GET", {"Accept": "application/json"}),
        ("GET", {**PAGE, "Sec-Fetch-Mode": "cors"}),
        ("POST", PAGE),
    ],
)
def test_api_gets_json(port: int, method: str, headers: dict[str, str]) -> None:
    """Everybody but a browser that opens a page gets an error as JSON."""
    answer = Browser(port).request(method, "/plain", headers=headers)

    assert (401, {"error": "login_required"}) == (answer.status_code, answer.json())
    assert "Bearer" == answer.headers["WWW-Authenticate"]
    assert "no-store" in answer.headers["Cache-Control"]
    assert "Cookie" == answer.headers["Vary"]


@pytest.mark.parametrize("path", ["/plain", "/raising"])
def test_no_login_page(api_port: int, path: str) -> None:
    """Without a login page, a browser gets JSON too."""
    answer = Browser(api_port).get(path, headers=PAGE)

    assert (401, {"error": "login_required"}) == (answer.status_code, answer.json())


@pytest.mark.parametrize("headers", [PAGE, {}], ids=["page", "api"])
def test_missing_scope(port: int, tenant: Tenant, headers: dict[str, str]) -> None:
    """A user without a scope is not sent to the login page, where it would begin again."""
    answer = log_in(port, tenant).get("/deleting", headers=headers)

    assert (403, {"error": "insufficient_scope"}) == (answer.status_code, answer.json())
    assert (
        'Bearer error="insufficient_scope", scope="read:data delete:all"'
        == answer.headers["WWW-Authenticate"]
    )
    assert "Cookie" == answer.headers["Vary"]


def test_methods_of_a_view(port: int, tenant: Tenant) -> None:
    """Of a class-based view, each method is decorated by itself."""
    browser, user = Browser(port), log_in(port, tenant)

    assert 200 == browser.get("/orders").status_code
    assert 401 == browser.post("/orders").status_code
    assert "auth0|alice" == user.post("/orders").text


def test_named_client(port: int, tenant: Tenant) -> None:
    """A login with one client is no login with another."""
    users = [log_in(port, tenant), log_in(port, tenant, path="/login?client=orders")]

    assert [401, 200] == [user.get("/named").status_code for user in users]
    assert [200, 401] == [user.get("/plain").status_code for user in users]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ({}, 101),
        ({"Sec-Fetch-Site": "same-origin"}, 101),
        ({"Origin": "https://partner.example.com"}, 101),
        ({"Origin": "https://other.example.com"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_websocket_of_another_origin(
    port: int, tenant: Tenant, origin: dict[str, str], status: int
) -> None:
    """A page of another origin opens no WebSocket as its visitor."""
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    headers = handshake | origin
    answer = log_in(port, tenant).get("/socket", headers=headers, stream=True)
    answer.close()

    assert status == answer.status_code
    assert 401 == Browser(port).get("/socket", headers=handshake).status_code


def test_names_are_kept() -> None:
    """A decorated handler keeps its name and its docstring."""
    assert ("reading", "Show something to users who may read.") == (
        reading.__name__,
        reading.__doc__,
    )


def test_class_is_refused() -> None:
    """A class is not decorated in silence: its methods would be open."""
    with pytest.raises(ConfigurationError, match="methods"):
        login_required(Orders)  # type: ignore[call-overload]


async def test_no_request() -> None:
    """A function that takes no request is not a handler."""

    @login_required
    async def function(number: int) -> web.Response:
        """Do something."""
        return web.Response()

    with pytest.raises(ConfigurationError, match="request"):
        await function(1)
