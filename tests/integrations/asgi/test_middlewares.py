"""Session cookies go out through other middlewares, from mounted applications and handlers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from auth0_tx import AsyncServerClient
from auth0_tx.integrations.starlette import (
    SessionCommitMiddleware,
    auth0_lifespan,
    auth0_of,
    handle_errors,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant
from tests.integrations.async_sites import API, login_options, make_settings

STATUSES = {"fail": 418, "own": 404}

LONG = "long enough to be compressed " * 50


async def pass_on(request: Request, call_next: Any) -> Response:
    """Pass a request on, as most functions with ``@app.middleware("http")`` do."""
    response: Response = await call_next(request)
    response.headers["X-Passed"] = "1"
    return response


async def look_before(request: Request, call_next: Any) -> Response:
    """Read the session before the endpoint does."""
    await auth0_of(request).get_user()
    response: Response = await call_next(request)
    return response


MIDDLEWARES = {
    "commit": Middleware(SessionCommitMiddleware),
    "gzip": Middleware(GZipMiddleware, minimum_size=100),
    "function": Middleware(BaseHTTPMiddleware, dispatch=pass_on),
}


def make_app(tenant: Tenant, client: AsyncServerClient, order: Any) -> Starlette:
    """Make an application that logs in with each kind of answer."""
    seen: list[str] = []

    async def log_in(request: Request) -> None:
        options = login_options(tenant.subject_token("auth0|alice"))
        await auth0_of(request).login(options)

    async def answer_plainly(request: Request) -> Response:
        await log_in(request)
        return PlainTextResponse(LONG)

    async def answer_in_parts(request: Request) -> Response:
        await log_in(request)

        async def parts() -> AsyncIterator[str]:
            for _ in range(3):
                yield LONG
                await asyncio.sleep(0)

        return StreamingResponse(parts())

    async def answer_and_go_on(request: Request) -> Response:
        await log_in(request)

        async def use_token() -> None:
            seen.append(await auth0_of(request).get_access_token(API))

        return PlainTextResponse(LONG, background=BackgroundTask(use_token))

    async def fail(request: Request) -> Response:
        await log_in(request)
        raise HTTPException(418)

    async def fail_in_own_way(request: Request) -> Response:
        await log_in(request)
        raise LookupError

    async def handle_own_error(request: Request, error: Exception) -> Response:
        return PlainTextResponse(LONG, 404)

    async def show_user(request: Request) -> Response:
        user = await auth0_of(request).get_user()
        return PlainTextResponse(user["sub"] if user else "nobody")

    async def show_seen(_: Request) -> Response:
        return PlainTextResponse(str(len(seen)))

    routes = [
        Route("/plain", answer_plainly),
        Route("/parts", answer_in_parts),
        Route("/background", answer_and_go_on),
        Route("/fail", fail),
        Route("/own", fail_in_own_way),
        Route("/user", show_user),
        Route("/seen", show_seen),
    ]
    app = Starlette(
        routes=[*routes, Mount("/mounted", Starlette(routes=routes))],
        lifespan=auth0_lifespan(client),
        middleware=[MIDDLEWARES[name] for name in order],
        exception_handlers={LookupError: handle_own_error},
    )
    handle_errors(app)
    return app


@contextmanager
def visit(app: Any) -> Iterator[TestClient]:
    """Run an application with its lifespan; return a browser."""
    with TestClient(
        app, base_url="https://testserver", raise_server_exceptions=False
    ) as browser:
        yield browser


@pytest.fixture(params=["cookies", "store"])
def client(request: pytest.FixtureRequest, auth0_tenant: Tenant) -> AsyncServerClient:
    """A client that keeps sessions in cookies, or on the server."""
    changes = {} if request.param == "cookies" else {"state_store": MemoryStore()}
    return AsyncServerClient(**make_settings(auth0_tenant, **changes))


@pytest.mark.parametrize(
    "order", [*itertools.permutations(MIDDLEWARES)], ids=lambda order: "-".join(order)
)
def test_any_order(auth0_tenant: Tenant, client: AsyncServerClient, order: Any) -> None:
    """Cookies go out with every kind of answer, in whatever order the middlewares are."""
    app = make_app(auth0_tenant, client, order)
    paths = ("/plain", "/parts", "/background", "/fail", "/own")
    # A mounted application has handlers of its own for its errors.
    mounted = ("/mounted/plain", "/mounted/parts", "/mounted/fail")
    with visit(app) as browser:
        for path in (*paths, *mounted):
            browser.cookies.clear()
            answer = browser.get(path)
            expected = STATUSES.get(path.rpartition("/")[2], 200)
            assert expected == answer.status_code
            assert answer.headers.get_list("set-cookie"), path
            assert "private, no-store" == answer.headers["cache-control"]
            vary = answer.headers["vary"].lower().replace(" ", "").split(",")
            assert "cookie" in vary
            assert "1" == answer.headers["x-passed"]
            assert "auth0|alice" == browser.get("/user").text
            assert "auth0|alice" == browser.get("/mounted/user").text
        assert "1" == browser.get("/seen").text


def test_head(auth0_tenant: Tenant, client: AsyncServerClient) -> None:
    """The answer to HEAD has the headers of GET."""
    app = make_app(auth0_tenant, client, ("commit",))
    with visit(app) as browser:
        browser.get("/plain")
        shown = browser.head("/user")

    assert ("", "11") == (shown.text, shown.headers["content-length"])
    assert "private, no-store" == shown.headers["cache-control"]
    assert "Cookie" == shown.headers["vary"]


def test_read_by_a_middleware(auth0_tenant: Tenant, client: AsyncServerClient) -> None:
    """A session that only a middleware read shows in the headers of the answer, too."""
    app = make_app(auth0_tenant, client, ("commit",))
    app.add_middleware(BaseHTTPMiddleware, dispatch=look_before)
    with visit(SessionCommitMiddleware(app)) as browser:
        answer = browser.get("/seen")

    assert "private, no-store" == answer.headers["cache-control"]
    assert "Cookie" == answer.headers["vary"]
