"""Starlette and FastAPI on uvicorn: dependencies, cookies on any answer, and the document."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from auth0_tx import (
    AsyncServerClient,
    ConfigurationError,
    TokenExchangeResponse,
)
from auth0_tx.integrations.fastapi import (
    Auth0,
    CurrentUser,
    ExchangedToken,
    OnBehalfOf,
    RequiredUser,
    SessionCommitMiddleware,
    auth0_lifespan,
    auth0_of,
    backchannel_logout,
    handle_errors,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant, User
from auth0_tx.testing import MovableClock
from tests.frameworks.loop_thread import serve_in_thread
from tests.frameworks.uvicorn_server import serve_uvicorn
from tests.integrations.async_sites import (
    API,
    OTHER,
    Browser,
    add_service,
    login_options,
    make_settings,
)
from tests.stores.failing_store import FailingStore


def make_app(client: AsyncServerClient) -> Any:
    """Make a FastAPI application with an endpoint for everything."""
    app = FastAPI(lifespan=auth0_lifespan(client))
    handle_errors(app)

    @app.post("/login")
    async def login(request: Request, auth0: Auth0) -> RedirectResponse:
        await auth0.login(login_options((await request.body()).decode()))
        return RedirectResponse("/user", 303)

    @app.get("/user")
    async def user(found: CurrentUser) -> dict[str, Any]:
        return {"sub": found and found["sub"]}

    @app.get("/required")
    async def required(
        found: Annotated[dict[str, Any], Depends(RequiredUser())],
    ) -> dict[str, Any]:
        return {"sub": found["sub"]}

    @app.get("/token")
    async def token(auth0: Auth0, then: str = "") -> Any:
        await auth0.get_access_token(API)
        if then == "error":
            raise KeyError("a bug of the application's")
        if then == "stream":
            return StreamingResponse(iter([b"to", b"ken"]))
        return {"session": await auth0.get_session() is not None}

    @app.get("/own")
    async def own(found: CurrentUser, response: Response) -> dict[str, Any]:
        response.headers["Cache-Control"] = "max-age=60"
        return {"sub": found and found["sub"]}

    @app.get("/nothing")
    async def nothing(auth0: Auth0) -> str:
        return "nothing"

    @app.post("/logout")
    async def logout(auth0: Auth0) -> RedirectResponse:
        return RedirectResponse(await auth0.logout(), 303)

    @app.get("/behalf")
    async def behalf(
        token: Annotated[TokenExchangeResponse, Depends(OnBehalfOf(OTHER))],
    ) -> dict[str, Any]:
        return {"scope": token.scope}

    @app.get("/exchanged")
    async def exchanged(
        token: Annotated[
            TokenExchangeResponse,
            Depends(ExchangedToken("urn:acme:legacy-token", API)),
        ],
    ) -> dict[str, Any]:
        return {"expires_in": token.expires_in}

    app.add_route("/backchannel-logout", backchannel_logout, methods=["POST"])
    return SessionCommitMiddleware(app)


@contextmanager
def serve(app: Any) -> Iterator[int]:
    """Serve an application with its lifespan; return its port."""
    with serve_in_thread(partial(serve_uvicorn, app, lifespan="on")) as port:
        yield port


@contextmanager
def serve_site(tenant: Tenant, **changes: Any) -> Iterator[int]:
    """Serve the application of a client of the tenant's."""
    client = AsyncServerClient(**make_settings(tenant, **changes))
    with serve(make_app(client)) as port:
        yield port


def log_in(port: int, tenant: Tenant, user: str = "auth0|alice") -> Browser:
    """Return a browser in which a user is logged in."""
    browser = Browser(port)
    answer = browser.post("/login", data=tenant.subject_token(user))
    assert 303 == answer.status_code, answer.text
    return browser


def test_login(auth0_tenant: Tenant) -> None:
    """A login's cookies are on the redirect that the endpoint returns."""
    with serve_site(auth0_tenant) as port:
        browser = log_in(port, auth0_tenant)
        assert {"sub": "auth0|alice"} == browser.get("/user").json()
        assert {"sub": "auth0|alice"} == browser.get("/required").json()
        assert {"sub": None} == Browser(port).get("/user").json()
        assert 401 == Browser(port).get("/required").status_code
        assert 303 == browser.post("/logout").status_code
        assert {"sub": None} == browser.get("/user").json()


def test_logout_with_a_store_that_is_down(auth0_tenant: Tenant) -> None:
    """The error says so, and the browser is logged out all the same."""
    store = FailingStore(MemoryStore(), awaits=False)
    with serve_site(auth0_tenant, state_store=store) as port:
        browser = log_in(port, auth0_tenant)
        assert "__Host-auth0_tx" in browser.cookies
        store.plan(lambda number, name: "before")
        answer = browser.post("/logout")

    assert 503 == answer.status_code
    assert "__Host-auth0_tx" not in browser.cookies


@pytest.mark.parametrize("then", ["", "stream", "error"])
def test_renewed_on_any_answer(
    auth0_tenant: Tenant, auth0_clock: MovableClock, then: str
) -> None:
    """A refresh token that was rotated is kept, with a stream and with an error too."""
    auth0_tenant.apis.change(API, token_lifetime=60)
    with serve_site(auth0_tenant, clock=auth0_clock) as port:
        browser = log_in(port, auth0_tenant)
        auth0_clock.move(61)
        auth0_tenant.apis.change(API, token_lifetime=86_400)
        answer = browser.get(f"/token?then={then}")
        # A server that met an exception closes the connection, which the next request would
        # find out only when it is sent.
        browser.close()
        after = browser.get("/token")

    assert (500 if then == "error" else 200) == answer.status_code
    assert "private, no-store" == answer.headers["Cache-Control"]
    assert {"session": True} == after.json()
    assert 2 == auth0_tenant.count("/oauth/token")


def test_read_session_is_for_no_cache(auth0_tenant: Tenant) -> None:
    """An answer whose request read the session says so; an endpoint's own word is kept."""
    with serve_site(auth0_tenant) as port:
        browser = log_in(port, auth0_tenant)
        paths = ("/user", "/required", "/token?then=stream")
        read = [browser.get(path).headers for path in paths]
        own = browser.get("/own").headers
        nothing = browser.get("/nothing").headers

    assert {"private, no-store"} == {headers["Cache-Control"] for headers in read}
    assert {"Cookie"} == {headers["Vary"] for headers in read}
    assert ("max-age=60", "Cookie") == (own["Cache-Control"], own["Vary"])
    assert not {"Cache-Control", "Vary"} & {*nothing}


def test_users_are_apart(auth0_tenant: Tenant) -> None:
    """Many browsers at once each see their own user."""
    users = [f"auth0|user_{number}" for number in range(10)]
    for user in users:
        auth0_tenant.users.add(User(user))
    with serve_site(auth0_tenant) as port, ThreadPoolExecutor(10) as threads:

        def visit(user: str) -> set[str]:
            browser = log_in(port, auth0_tenant, user)
            return {browser.get("/user").json()["sub"] for _ in range(10)}

        assert [{user} for user in users] == list(threads.map(visit, users))


def test_on_behalf_of(auth0_tenant: Tenant) -> None:
    """One line exchanges the bearer token; what is wrong with it is the caller's to know."""
    keywords = add_service(auth0_tenant)
    token = auth0_tenant.access_token("auth0|alice", API)
    foreign = auth0_tenant.access_token("auth0|alice", OTHER)
    with serve(make_app(AsyncServerClient(**keywords))) as port:

        def answer(bearer: str | None) -> Any:
            headers = {} if bearer is None else {"Authorization": bearer}
            return Browser(port).get("/behalf", headers=headers)

        good, none, basic, wrong = (
            answer(bearer)
            for bearer in (f"bearer {token}", None, "Basic abc", f"Bearer {foreign}")
        )

    assert {"scope": "read:more"} == good.json()
    assert [401, 401, 401] == [answer.status_code for answer in (none, basic, wrong)]
    assert "Bearer" == none.headers["WWW-Authenticate"]
    assert "invalid_token" in wrong.headers["WWW-Authenticate"]
    assert {"error": "invalid_token"} == wrong.json()


def test_exchanged_token(auth0_tenant: Tenant) -> None:
    """So does one for tokens of the external system."""
    headers = {"Authorization": f"Bearer {auth0_tenant.subject_token('auth0|alice')}"}
    with serve_site(auth0_tenant) as port:
        good = Browser(port).get("/exchanged", headers=headers)
        bad = Browser(port).get("/exchanged", headers={"Authorization": "Bearer no"})

    assert {"expires_in": 86_400} == good.json()
    assert 401 == bad.status_code


def test_backchannel_logout(auth0_tenant: Tenant) -> None:
    """Auth0 ends a user's sessions; anything that is not a logout token is a 400."""
    with serve_site(auth0_tenant, state_store=MemoryStore()) as port:
        browser = log_in(port, auth0_tenant)
        token = auth0_tenant.logout_token(sub="auth0|alice")
        answers = [
            Browser(port).post("/backchannel-logout", data={"logout_token": text})
            for text in ("no token", token)
        ]

        assert [400, 200] == [answer.status_code for answer in answers]
        assert {"no-store"} == {answer.headers["Cache-Control"] for answer in answers}
        assert {"sub": None} == browser.get("/user").json()


def test_errors(auth0_tenant: Tenant) -> None:
    """Errors that an endpoint does not catch are answers, where the application asks for it."""
    with serve_site(auth0_tenant) as port:
        nobody = Browser(port).get("/token")
        refused = Browser(port).post("/login", data="nobody's")

    assert (401, {"error": "login_required"}) == (nobody.status_code, nobody.json())
    assert (401, {"error": "invalid_token"}) == (refused.status_code, refused.json())


def test_document(auth0_tenant: Tenant) -> None:
    """The OpenAPI document says how each endpoint is to be called."""
    with serve_site(auth0_tenant) as port:
        document = Browser(port).get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]

    assert {"type": "apiKey", "in": "cookie", "name": "__Host-auth0_tx"}.items() <= (
        schemes["Auth0Session"].items()
    )
    assert {"type": "http", "scheme": "bearer"}.items() <= schemes["OnBehalfOf"].items()
    assert [{"OnBehalfOf": []}] == document["paths"]["/behalf"]["get"]["security"]
    assert [{"Auth0Session": []}] == document["paths"]["/required"]["get"]["security"]


def test_starlette_alone(auth0_tenant: Tenant) -> None:
    """Starlette needs nothing of FastAPI's; an application's own lifespan is kept."""
    client = AsyncServerClient(**make_settings(auth0_tenant))
    states: list[str] = []

    @asynccontextmanager
    async def own(_: Any) -> AsyncIterator[dict[str, Any]]:
        states.append("begun")
        yield {"own": "state"}
        states.append("ended")

    async def login(request: Any) -> JSONResponse:
        auth0 = auth0_of(request)
        await auth0.login(login_options((await request.body()).decode()))
        user = await auth0_of(request).get_user()
        assert user is not None
        return JSONResponse({"sub": user["sub"], "own": request.state.own})

    app = Starlette(
        routes=[Route("/login", login, methods=["POST"])],
        lifespan=auth0_lifespan(client, own),
    )
    with serve(SessionCommitMiddleware(app)) as port:
        answer = Browser(port).post(
            "/login", data=auth0_tenant.subject_token("auth0|alice")
        )

    assert {"sub": "auth0|alice", "own": "state"} == answer.json()
    assert ["begun", "ended"] == states


def test_without_lifespan() -> None:
    """Without the lifespan, what to do is said."""
    request = Request({"type": "http", "headers": [], "state": {}})
    with pytest.raises(ConfigurationError, match="auth0_lifespan"):
        auth0_of(request)
