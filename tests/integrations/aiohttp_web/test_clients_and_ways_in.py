"""Named clients, sub-applications, WebSockets, streams, and the routes of a login."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from auth0_tx import (
    AsyncServerClient,
    ConfigurationError,
    InvalidInputError,
    LoginWithCustomTokenExchangeOptions,
    SessionPolicy,
)
from auth0_tx.integrations.aiohttp_web import (
    auth0_of,
    auth0_routes,
    handle_errors,
    refuse_cross_origin,
    setup,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Certificates, KeySupply, Tenant
from tests.integrations.aiohttp_web.applications import log_in, run, serve
from tests.integrations.async_sites import (
    API,
    Browser,
    login_options,
    make_settings,
)

KIND = "urn:acme:legacy-token"


def make_client(tenant: Tenant, cookie: str = "auth0_tx", **more: Any) -> Any:
    """Make a client with a session cookie of this name."""
    policy = SessionPolicy(cookie_name=cookie)
    return AsyncServerClient(**make_settings(tenant, session_policy=policy, **more))


async def login(request: web.Request) -> web.Response:
    """Log in with one of the clients."""
    auth0 = auth0_of(request, request.query.get("client"))
    await auth0.login(login_options(await request.text()))
    raise web.HTTPSeeOther("/")


async def user(request: web.Request) -> web.Response:
    """Return who is logged in with one of the clients."""
    found = await auth0_of(request, request.query.get("client")).get_user()
    return web.json_response({"sub": found and found["sub"]})


def add_routes(app: web.Application) -> web.Application:
    """Add a login and a page."""
    app.add_routes([web.post("/login", login), web.get("/user", user)])
    return app


def make_app(client: Any, **clients: Any) -> web.Application:
    """Make an application of one or several clients."""
    app = web.Application(middlewares=[handle_errors])
    setup(app, client, clients=clients)
    return add_routes(app)


def test_clients_are_apart(auth0_tenant: Tenant) -> None:
    """Each client has its own sessions, and one is found by its name."""
    app = make_app(
        make_client(auth0_tenant), orders=make_client(auth0_tenant, "auth0_tx_orders")
    )
    with serve(app) as port:
        browser = log_in(port, auth0_tenant, "auth0|alice")
        token = auth0_tenant.subject_token("auth0|bob")
        assert 303 == browser.post("/login?client=orders", data=token).status_code
        users = [
            browser.get(f"/user{query}").json()["sub"]
            for query in ("", "?client=orders")
        ]
        unknown = browser.get("/user?client=invoices")

    assert ["auth0|alice", "auth0|bob"] == users
    assert 500 == unknown.status_code


@pytest.mark.parametrize("is_factory", [False, True])
async def test_two_clients_with_one_cookie(
    auth0_tenant: Tenant, is_factory: bool
) -> None:
    """Clients that would end each other's sessions are refused, at the start at the latest."""
    first, second = make_client(auth0_tenant), make_client(auth0_tenant)
    app = web.Application()
    source: Any = (lambda: second) if is_factory else second

    async def start() -> None:
        setup(app, first, clients={"orders": source})
        await web.AppRunner(app).setup()

    with pytest.raises(ConfigurationError, match="one cookie"):
        await start()


@pytest.mark.parametrize("name", ["default", "Orders", "", "a-b", "x" * 51])
def test_unfit_names(auth0_tenant: Tenant, name: str) -> None:
    """A name that is not fit for a client is refused at set-up."""
    with pytest.raises(ConfigurationError, match="name of a client"):
        setup(
            web.Application(),
            make_client(auth0_tenant),
            clients={name: make_client(auth0_tenant, "other")},
        )


def test_sub_application(auth0_tenant: Tenant) -> None:
    """A sub-application has the clients of the one around it, and its own come first."""
    app = make_app(
        make_client(auth0_tenant), orders=make_client(auth0_tenant, "orders")
    )
    app.add_subapp("/plain", add_routes(web.Application()))
    app.add_subapp("/own", make_app(make_client(auth0_tenant, "own")))
    with serve(app) as port:
        outer = log_in(port, auth0_tenant)
        inner = log_in(port, auth0_tenant, "auth0|bob", "/own/login")
        named = log_in(port, auth0_tenant, "auth0|alice", "/own/login?client=orders")
        seen = [
            [browser.get(path).json()["sub"] for path in paths]
            for browser, paths in (
                (outer, ("/user", "/plain/user", "/own/user")),
                (inner, ("/user", "/plain/user", "/own/user")),
                (named, ("/user?client=orders", "/own/user?client=orders")),
            )
        ]

    assert [
        ["auth0|alice", "auth0|alice", None],
        [None, None, "auth0|bob"],
        ["auth0|alice", "auth0|alice"],
    ] == seen


def test_sub_application_with_the_same_cookie(auth0_tenant: Tenant) -> None:
    """Two clients with one cookie are noticed across applications, and one client is not two."""
    client = make_client(auth0_tenant)
    app = make_app(client)
    app.add_subapp("/same", make_app(client))
    app.add_subapp("/other", make_app(make_client(auth0_tenant)))
    with serve(app) as port:
        statuses = [
            Browser(port).get(path).status_code
            for path in ("/user", "/same/user", "/other/user")
        ]

    assert [200, 200, 500] == statuses


async def echo(request: web.Request) -> web.StreamResponse:
    """Answer each message of a WebSocket with the user, or a token's length."""
    auth0 = auth0_of(request)
    if "renew" in request.query:
        await auth0.get_access_token(API)
    connection = web.WebSocketResponse()
    await connection.prepare(request)
    async for message in connection:
        try:
            if message.data == "token":
                await connection.send_str(str(len(await auth0.get_access_token(API))))
            else:
                found = await auth0.get_user()
                await connection.send_str(found["sub"] if found else "nobody")
        except InvalidInputError:
            await connection.send_str("too late for a cookie")
    return connection


@pytest.mark.parametrize("store", ["cookies", "memory"])
async def test_websocket(auth0_tenant: Tenant, store: str) -> None:
    """A WebSocket reads the session; its handshake sets what was renewed before it."""
    auth0_tenant.apis.change(API, token_lifetime=1)
    more = {"state_store": MemoryStore()} if store == "memory" else {}
    app = make_app(make_client(auth0_tenant, **more))
    app.add_routes([web.get("/echo", echo)])
    async with (
        run(app) as port,
        aiohttp.ClientSession(
            f"http://127.0.0.1:{port}", cookie_jar=aiohttp.DummyCookieJar()
        ) as browser,
    ):
        token = auth0_tenant.subject_token("auth0|alice")
        async with browser.post("/login", data=token, allow_redirects=False) as answer:
            cookie = "; ".join(
                f"{name}={morsel.value}" for name, morsel in answer.cookies.items()
            )
        await asyncio.sleep(1)
        headers, asked = {"Cookie": cookie}, ("user", "token")
        async with browser.ws_connect("/echo", headers=headers) as connection:
            seen = [await ask(connection, text) for text in asked]
        async with browser.ws_connect("/echo?renew", headers=headers) as connection:
            fields = connection._response.headers
            assert "auth0|alice" == await ask(connection, "user")
        async with browser.ws_connect("/echo") as connection:
            assert "nobody" == await ask(connection, "user")

    assert "auth0|alice" == seen[0]
    assert ("Set-Cookie" in fields) is (store == "cookies")
    assert (seen[1] == "too late for a cookie") is (store == "cookies")


async def ask(connection: Any, text: str) -> str:
    """Send a message, and return the answer."""
    await connection.send_str(text)
    return str(await connection.receive_str())


async def stream(request: web.Request) -> web.StreamResponse:
    """Begin a stream, and only then ask who is logged in."""
    auth0 = auth0_of(request)
    response = web.StreamResponse()
    await response.prepare(request)
    found = await auth0.get_user()
    await response.write((found["sub"] if found else "nobody").encode())
    return response


def test_stream_reads_after_it_has_begun(auth0_tenant: Tenant) -> None:
    """A stream that may yet read the session is kept from caches."""
    app = make_app(make_client(auth0_tenant))
    app.add_routes([web.get("/stream", stream)])
    with serve(app) as port:
        answer = log_in(port, auth0_tenant).get("/stream")

    assert "auth0|alice" == answer.text
    assert "private, no-store" == answer.headers["Cache-Control"]
    assert "Cookie" == answer.headers["Vary"]


async def broken_stream(request: web.Request) -> web.StreamResponse:
    """Begin a stream, and fail."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"begun")
    await auth0_of(request).get_access_token(API)
    return response


def test_error_of_a_stream(auth0_tenant: Tenant) -> None:
    """An error after a response has begun cuts it off: no second response goes into the first."""
    app = make_app(make_client(auth0_tenant))
    app.add_routes([web.get("/broken", broken_stream)])
    with (
        serve(app) as port,
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
    ):
        connection.sendall(b"GET /broken HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert b"begun" in answer
    assert 1 == answer.count(b"HTTP/1.1")
    assert b"login_required" not in answer


# -- the routes of a login ---------------------------------------------------------


@pytest.fixture(scope="module")
def tenant(
    auth0_tenant_keys: KeySupply, auth0_tenant_certificates: Certificates
) -> Iterator[Tenant]:
    """A tenant for the tests of the routes."""
    with Tenant(
        keys=auth0_tenant_keys, certificates=auth0_tenant_certificates
    ) as tenant:
        tenant.applications.change(
            tenant.client_id, allowed_logout_urls=("https://app.example.com",)
        )
        yield tenant


@pytest.fixture(scope="module")
def site(tenant: Tenant) -> Iterator[int]:
    """An application with the routes of two clients; return its port."""
    app = make_app(
        make_client(tenant, state_store=MemoryStore()),
        orders=make_client(tenant, "orders", state_store=MemoryStore()),
    )
    app.add_routes(
        auth0_routes(
            make_options,
            login="/auth/login",
            logout="/auth/logout",
            backchannel_logout="/auth/backchannel-logout",
            return_to="https://app.example.com",
            trusted_origins=["https://login.example.com"],
        )
    )
    orders = web.Application()
    orders.add_routes(auth0_routes(make_options, client="orders", next_url="/orders"))
    app.add_subapp("/orders", orders)
    with serve(app) as port:
        yield port


def make_options(token: str) -> LoginWithCustomTokenExchangeOptions:
    """Return the options of the routes' login."""
    return LoginWithCustomTokenExchangeOptions(
        subject_token=token, subject_token_type=KIND, audience=API, scope="openid"
    )


def enter(port: int, tenant: Tenant, prefix: str = "/auth", **form: str) -> Any:
    """Post a login; return the browser and the answer."""
    browser = Browser(port)
    data = {"subject_token": tenant.subject_token("auth0|alice"), **form}
    return browser, browser.post(f"{prefix}/login", data=data)


@pytest.mark.parametrize(
    ("page", "target"),
    [
        (None, "/"),
        ("/orders?a=b", "/orders?a=b"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/\t/evil.example/", "/"),
    ],
)
def test_login_by_form(site: int, tenant: Tenant, page: Any, target: str) -> None:
    """A posted token logs its user in, and leads to a page of this site only."""
    browser, answer = enter(site, tenant, **({"next": page} if page else {}))

    assert (303, target) == (answer.status_code, answer.headers["Location"])
    assert "no-store" in answer.headers["Cache-Control"]
    assert {"sub": "auth0|alice"} == browser.get("/user").json()
    assert {"sub": None} == browser.get("/user?client=orders").json()


def test_logout_by_post(site: int, tenant: Tenant) -> None:
    """A logout ends the session here and goes on to Auth0; a GET does not log out."""
    browser, _ = enter(site, tenant)
    assert 405 == browser.get("/auth/logout").status_code
    assert {"sub": "auth0|alice"} == browser.get("/user").json()
    answer = browser.post("/auth/logout")

    assert 303 == answer.status_code
    assert f"https://{tenant.domain}/v2/logout?" in answer.headers["Location"]
    assert "returnTo=https%3A%2F%2Fapp.example.com" in answer.headers["Location"]
    assert {"sub": None} == browser.get("/user").json()


def test_scripts(site: int, tenant: Tenant) -> None:
    """A script that posts JSON gets no redirect, which would show nobody the page."""
    browser = Browser(site)
    token = tenant.subject_token("auth0|alice")
    entered = browser.post("/auth/login", json={"subject_token": token})
    user = browser.get("/user").json()
    left = browser.post("/auth/logout", headers={"Sec-Fetch-Mode": "cors"})

    assert (204, "") == (entered.status_code, entered.text)
    assert "no-store" in entered.headers["Cache-Control"]
    assert {"sub": "auth0|alice"} == user
    assert left.json()["logout_url"].startswith(f"https://{tenant.domain}/v2/logout?")
    assert {"sub": None} == browser.get("/user").json()


def test_next_in_the_query(site: int, tenant: Tenant) -> None:
    """The page to return to may be in the query, and has a default."""
    form = {"subject_token": tenant.subject_token("auth0|alice")}
    targets = [
        Browser(site).post(path, data=form).headers["Location"]
        for path in ("/auth/login?next=/basket", "/auth/login", "/orders/login")
    ]

    assert ["/basket", "/", "/orders"] == targets


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=x", b"x"),
        ("application/x-www-form-urlencoded; charset=none", b"subject_token=x"),
        ("application/x-www-form-urlencoded", b"subject_token=\xff"),
    ],
)
@pytest.mark.parametrize("path", ["login", "backchannel-logout"])
def test_malformed_forms(site: int, path: str, content_type: str, body: bytes) -> None:
    """A body that cannot be read as a form is the caller's fault."""
    answer = Browser(site).post(
        f"/auth/{path}", data=body, headers={"Content-Type": content_type}
    )

    assert 400 == answer.status_code
    assert {"error": "invalid_request"} == answer.json()


async def test_no_login() -> None:
    """Without a function for the options, there is no login."""
    assert ["/logout", "/backchannel-logout"] == [each.path for each in auth0_routes()]


async def test_names_of_routes() -> None:
    """The routes of each client have names of their own."""
    app = web.Application()
    app.add_routes(auth0_routes(make_options))
    app.add_routes(auth0_routes(login="/o/in", logout="/o/out", client="orders"))

    assert "/login" == str(app.router["auth0_login"].url_for())
    assert "/o/out" == str(app.router["auth0_orders_logout"].url_for())


def test_bad_return_to() -> None:
    """A page to return to that is not a URL is refused before anybody logs out."""
    with pytest.raises(InvalidInputError, match="return_to"):
        auth0_routes(return_to="/home")


@pytest.mark.parametrize(
    ("headers", "is_refused"),
    [
        ({}, False),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        (
            {"Origin": "https://login.example.com", "Sec-Fetch-Site": "cross-site"},
            False,
        ),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "null"}, True),
    ],
)
@pytest.mark.parametrize("path", ["login", "logout"])
def test_other_sites(
    site: int, tenant: Tenant, path: str, headers: dict[str, str], is_refused: bool
) -> None:
    """A page of another site logs nobody in, and nobody out."""
    token = tenant.subject_token("auth0|alice")
    browser, _ = enter(site, tenant) if path == "logout" else (Browser(site), None)
    answer = browser.post(
        f"/auth/{path}", data={"subject_token": token}, headers=headers
    )
    user = browser.get("/user").json()["sub"]

    if is_refused:
        assert (403, {"error": "cross_origin_request"}) == (
            answer.status_code,
            answer.json(),
        )
        assert "no-store" in answer.headers["Cache-Control"]
    else:
        assert 303 == answer.status_code
    assert (user is not None) is (is_refused == (path == "logout"))


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"subject_token": ""}, 400, "invalid_request"),
        ({"subject_token": "no token of the legacy system"}, 401, "invalid_token"),
        ({"subject_token": " padded "}, 401, "invalid_token"),
        (b"{", 400, "invalid_request"),
        (b"[]", 400, "invalid_request"),
        (b'{"subject_token": 7}', 400, "invalid_request"),
    ],
)
def test_refused_login(
    site: int, form: dict[str, str], status: int, error: str
) -> None:
    """A token that Auth0 refuses, or that is missing, is answered by the table."""
    is_json = isinstance(form, bytes)
    headers = {"Content-Type": "application/json"} if is_json else {}
    answer = Browser(site).post("/auth/login", data=form, headers=headers)

    assert (status, {"error": error}) == (answer.status_code, answer.json())
    assert "no-store" in answer.headers["Cache-Control"]
    assert (status == 401) is ("WWW-Authenticate" in answer.headers)


def test_backchannel_logout_of_each_client(site: int, tenant: Tenant) -> None:
    """Auth0's logout token is for one application at Auth0: its route ends its sessions."""
    browser, _ = enter(site, tenant, "/orders")
    token = tenant.logout_token(sub="auth0|alice")
    answers = [
        Browser(site).post(f"{prefix}/backchannel-logout", data={"logout_token": text})
        for prefix, text in (("/auth", "no token"), ("/orders", token))
    ]

    assert [400, 200] == [answer.status_code for answer in answers]
    assert {"sub": None} == browser.get("/user?client=orders").json()


def test_own_handler_refuses_other_sites(auth0_tenant: Tenant) -> None:
    """A handler of the application's own has the same check."""

    async def own(request: web.Request) -> web.Response:
        refuse_cross_origin(request)
        return web.Response(text="done")

    app = web.Application()
    app.add_routes([web.post("/own", own)])
    with serve(app) as port:
        statuses = [
            Browser(port).post("/own", headers=headers).status_code
            for headers in ({}, {"Origin": "https://evil.example"})
        ]

    assert [200, 403] == statuses
