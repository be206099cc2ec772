"""Lifespans: run again, nested, and with several clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from functools import wraps
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from mangum import Mangum
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from auth0_tx import (
    AsyncServerClient,
    ClientClosedError,
    ConfigurationError,
    CustomTokenExchangeOptions,
    ServerClient,
    SessionPolicy,
)
from auth0_tx.integrations import starlette
from auth0_tx.integrations.fastapi import (
    AccessToken,
    Auth0,
    BoundClient,
    CurrentUser,
    OnBehalfOf,
    OptionalUser,
    SessionCommitMiddleware,
    auth0_lifespan,
    auth0_of,
)
from auth0_tx.tenant import Application, Tenant
from tests.integrations.async_sites import (
    API,
    OTHER,
    add_service,
    login_options,
    make_settings,
)

INVOCATION = {
    "version": "2.0",
    "rawPath": "/",
    "rawQueryString": "",
    "headers": {"host": "x"},
    "requestContext": {
        "http": {
            "method": "GET",
            "path": "/",
            "sourceIp": "127.0.0.1",
            "protocol": "HTTP/1.1",
        }
    },
    "isBase64Encoded": False,
}


def make_site(tenant: Tenant, lifespan: Any) -> FastAPI:
    """Make an application that exchanges a token for each request."""
    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def exchange(auth0: Auth0) -> int | None:
        options = CustomTokenExchangeOptions(
            subject_token=tenant.subject_token("auth0|alice"),
            subject_token_type="urn:acme:legacy-token",
            audience=API,
        )
        return (await auth0.client.custom_token_exchange(options)).expires_in

    return app


def visit(app: Any) -> AbstractContextManager[TestClient]:
    """Run an application with its lifespan, over https for its cookies."""
    return TestClient(app, base_url="https://testserver")


@pytest.fixture
def client(auth0_tenant: Tenant) -> AsyncServerClient:
    """A client that keeps sessions."""
    return AsyncServerClient(**make_settings(auth0_tenant))


@pytest.mark.parametrize("kind", ["client", "function", "async function"])
def test_runs_again(auth0_tenant: Tenant, client: AsyncServerClient, kind: str) -> None:
    """Each test client is served, with one client for all or a new one for each."""
    made: list[AsyncServerClient] = []

    def make_client() -> AsyncServerClient:
        made.append(AsyncServerClient(**make_settings(auth0_tenant)))
        return made[-1]

    async def make_client_async() -> AsyncServerClient:
        return make_client()

    sources = {
        "client": client,
        "function": make_client,
        "async function": make_client_async,
    }
    app = make_site(auth0_tenant, auth0_lifespan(sources[kind]))
    for _ in range(3):
        with visit(app) as browser:
            assert 200 == browser.get("/").status_code
    for used in (client, *made):
        assert {} == used._transport._states
    assert (0 if kind == "client" else 3) == len(made)


@pytest.fixture
def event_loop_of_process() -> Iterator[None]:
    """The event loop that mangum runs every invocation on."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.mark.usefixtures("event_loop_of_process")
def test_aws_lambda(auth0_tenant: Tenant, client: AsyncServerClient) -> None:
    """Each invocation runs the lifespan, on the event loop of the one before."""
    handler: Any = Mangum(make_site(auth0_tenant, auth0_lifespan(client)))
    answers = [handler(INVOCATION, object()) for _ in range(3)]

    assert [200, 200, 200] == [answer["statusCode"] for answer in answers]


def test_two_applications_share_a_client(
    auth0_tenant: Tenant, client: AsyncServerClient
) -> None:
    """One that ends leaves the other as it is."""
    first, second = (make_site(auth0_tenant, auth0_lifespan(client)) for _ in range(2))
    with visit(first) as staying:
        with visit(second) as leaving:
            assert 200 == leaving.get("/").status_code
            assert 200 == staying.get("/").status_code
        assert 200 == staying.get("/").status_code


def test_closed_client(auth0_tenant: Tenant, client: AsyncServerClient) -> None:
    """A client that the application itself closed does not start."""
    app = make_site(auth0_tenant, auth0_lifespan(client))

    @asynccontextmanager
    async def close(_: Any) -> AsyncIterator[None]:
        await client.aclose()
        yield

    with visit(FastAPI(lifespan=close)):
        pass
    with pytest.raises(ClientClosedError), visit(app):
        pass


def add_client(tenant: Tenant, **changes: Any) -> AsyncServerClient:
    """Return a client of another application at Auth0."""
    tenant.applications.add(Application("orders", "secret-of-orders"))
    settings = {
        "client_id": "orders",
        "client_secret": "secret-of-orders",
        "session_policy": SessionPolicy(cookie_name="auth0_tx_orders"),
        **changes,
    }
    return AsyncServerClient(**make_settings(tenant, **settings))


def test_named_clients(auth0_tenant: Tenant, client: AsyncServerClient) -> None:
    """Each client has a login of its own, by its name."""
    orders = add_client(auth0_tenant)
    app = FastAPI(lifespan=auth0_lifespan(client, clients={"orders": orders}))
    app.add_middleware(SessionCommitMiddleware)

    @app.post("/login")
    async def login(auth0: Any = Depends(BoundClient("orders"))) -> None:
        assert orders is auth0.client
        await auth0.login(login_options(auth0_tenant.subject_token("auth0|alice")))

    @app.get("/users")
    async def users(
        request: Request,
        first: CurrentUser,
        second: Any = Depends(OptionalUser("orders")),
        token: str = Depends(AccessToken(API, client="orders")),
    ) -> list[Any]:
        assert await auth0_of(request).get_user() is first
        again = await auth0_of(request, "orders").get_user()
        return [first, second["sub"], again and again["sub"], len(token) > 20]

    with visit(app) as browser:
        browser.post("/login")
        seen = browser.get("/users").json()
        cookies = set(browser.cookies)

    assert [None, "auth0|alice", "auth0|alice", True] == seen
    assert "__Host-auth0_tx_orders" in cookies
    assert "__Host-auth0_tx" not in cookies


def test_unknown_name(client: AsyncServerClient) -> None:
    """A name that the lifespan has not is an error, which says the names that it has."""
    app = FastAPI(lifespan=auth0_lifespan(client))

    @app.get("/")
    async def endpoint(auth0: Any = Depends(BoundClient("orders"))) -> None:
        """Take a client that is not there."""

    with visit(app) as browser, pytest.raises(ConfigurationError, match="default"):
        browser.get("/")


def test_visitor_does_not_choose_the_client(client: AsyncServerClient) -> None:
    """FastAPI shows no parameter of the dependencies, and takes none of the query."""
    app = FastAPI(lifespan=auth0_lifespan(client))

    @app.get("/")
    async def endpoint(first: Auth0, second: Any = Depends(auth0_of)) -> bool:
        return first.client is second.client is client

    with visit(app) as browser:
        document = browser.get("/openapi.json").json()
        answer = browser.get("/?name=orders&client=orders&user=x")

    assert answer.json() is True
    assert "parameters" not in document["paths"]["/"]["get"]


def test_nested_lifespans(auth0_tenant: Tenant, client: AsyncServerClient) -> None:
    """Clients of an inner lifespan are there too, and so are those of mounted applications."""
    orders = add_client(auth0_tenant)
    inner = auth0_lifespan(client, clients={"orders": orders})

    async def show(request: Request) -> JSONResponse:
        names = [auth0_of(request, name).client for name in (None, "orders")]
        return JSONResponse(names == [client, orders])

    mounted = Starlette(routes=[Route("/show", show)])
    app = Starlette(
        routes=[Mount("/below", mounted), Route("/show", show)],
        lifespan=starlette.auth0_lifespan(client, inner),
    )
    with visit(app) as browser:
        seen = [browser.get(path).json() for path in ("/show", "/below/show")]

    assert [True, True] == seen


def test_two_first_clients(auth0_tenant: Tenant, client: AsyncServerClient) -> None:
    """Two lifespans with different clients of one name are refused."""
    other = add_client(auth0_tenant)
    app = FastAPI(lifespan=auth0_lifespan(client, auth0_lifespan(other)))
    with pytest.raises(ConfigurationError, match="'default'"), visit(app):
        pass


def test_one_cookie_for_two(auth0_tenant: Tenant, client: AsyncServerClient) -> None:
    """Two clients that keep sessions in one cookie are refused, also if functions make them."""
    orders = add_client(auth0_tenant, session_policy=SessionPolicy())
    with pytest.raises(ConfigurationError, match="cookie"):
        auth0_lifespan(client, clients={"orders": orders})

    app = FastAPI(lifespan=auth0_lifespan(client, clients={"orders": lambda: orders}))
    with pytest.raises(ConfigurationError, match="cookie"), visit(app):
        pass
    settings = make_settings(auth0_tenant, secret=None)
    without_sessions = AsyncServerClient(**settings)
    auth0_lifespan(client, clients={"orders": without_sessions})


@pytest.mark.parametrize("name", ["default", "", "Orders", "a b", 7])
def test_name_of_a_client(client: AsyncServerClient, name: Any) -> None:
    """A name is a word, and not that of the first client."""
    with pytest.raises(ConfigurationError, match="name of a client"):
        auth0_lifespan(client, clients={name: client})


def test_another_kind_of_client(auth0_tenant: Tenant) -> None:
    """A blocking client is refused at once, and one that a function makes at the start."""
    blocking: Any = ServerClient(**make_settings(auth0_tenant))
    with pytest.raises(ConfigurationError, match="AsyncServerClient"):
        auth0_lifespan(blocking)
    app = FastAPI(lifespan=auth0_lifespan(lambda: blocking))
    with pytest.raises(ConfigurationError, match="AsyncServerClient"), visit(app):
        pass


def test_cookies_in_the_document(
    auth0_tenant: Tenant, client: AsyncServerClient
) -> None:
    """The document names the cookies that the clients set, whatever their policies."""
    policy = SessionPolicy(cookie_name="plain", cookie_secure=False)
    orders = add_client(auth0_tenant, session_policy=policy)
    app = FastAPI(lifespan=auth0_lifespan(client, clients={"orders": orders}))

    @app.get("/")
    async def endpoint(
        first: Any = Depends(AccessToken()),
        second: Any = Depends(AccessToken(client="orders")),
    ) -> None:
        """Take a token of each client."""

    names = []
    for _ in range(2):
        with visit(app) as browser:
            document = browser.get("/openapi.json").json()
        schemes = document["components"]["securitySchemes"]
        names.append({name: scheme["name"] for name, scheme in schemes.items()})

    expected = {"Auth0Session": "__Host-auth0_tx", "Auth0Session_orders": "plain"}
    assert [expected, expected] == names


def test_document_of_the_applications_own(client: AsyncServerClient) -> None:
    """A document that the application changes itself keeps its changes."""
    app = FastAPI(lifespan=auth0_lifespan(client))
    make_document = app.openapi

    @wraps(make_document)
    def openapi() -> dict[str, Any]:
        return {**make_document(), "x-own": True}

    app.openapi = openapi  # type: ignore[method-assign]
    for _ in range(2):
        with visit(app) as browser:
            assert browser.get("/openapi.json").json()["x-own"]


def test_on_behalf_of_with_a_client_of_its_own(
    auth0_tenant: Tenant, client: AsyncServerClient
) -> None:
    """Login and on-behalf-of are two applications at Auth0, and two clients of one site."""
    service = AsyncServerClient(**{**add_service(auth0_tenant), "secret": None})
    app = FastAPI(lifespan=auth0_lifespan(client, clients={"service": service}))

    @app.get("/")
    async def endpoint(
        token: Any = Depends(OnBehalfOf(OTHER, client="service")),
    ) -> Any:
        return token.scope

    token = auth0_tenant.access_token("auth0|alice", API)
    with visit(app) as browser:
        answer = browser.get("/", headers={"Authorization": f"Bearer {token}"})

    assert "read:more" == answer.json()
