"""aiohttp.web: one client for the application, and cookies on any response."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from auth0_tx import AsyncServerClient, ConfigurationError
from auth0_tx.integrations.aiohttp_web import (
    CLIENT,
    auth0_of,
    backchannel_logout,
    handle_errors,
    setup,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant, User
from auth0_tx.testing import MovableClock
from tests.integrations.aiohttp_web.applications import log_in, serve
from tests.integrations.async_sites import (
    API,
    OTHER,
    Browser,
    add_service,
    login_options,
    make_settings,
)
from tests.stores.failing_store import FailingStore


async def login(request: web.Request) -> web.Response:
    """Log in, and raise the redirect."""
    await auth0_of(request).login(login_options(await request.text()))
    raise web.HTTPSeeOther("/user")


async def user(request: web.Request) -> web.Response:
    """Return who is logged in."""
    found = await auth0_of(request).get_user()
    return web.json_response({"sub": found and found["sub"]})


async def token(request: web.Request) -> web.StreamResponse:
    """Get an access token, and answer in one of several ways."""
    auth0 = auth0_of(request)
    await auth0.get_access_token(API)
    match request.query.get("then"):
        case "error":
            raise KeyError("a bug of the application's")
        case "forbidden":
            raise web.HTTPForbidden
        case "own":
            return web.Response(headers={"Cache-Control": "max-age=60"})
        case "stream":
            stream = web.StreamResponse()
            await stream.prepare(request)
            await stream.write(b"token")
            return stream
    return web.json_response({"session": await auth0.get_session() is not None})


async def user_of_client(request: web.Request) -> web.Response:
    """Return who is logged in, through the client itself."""
    found = await request.config_dict[CLIENT].get_user({"request": request})
    return web.json_response({"sub": found and found["sub"]})


async def logout(request: web.Request) -> web.Response:
    """Log out."""
    raise web.HTTPSeeOther(await auth0_of(request).logout())


async def behalf(request: web.Request) -> web.Response:
    """Exchange the bearer token of the request."""
    answer = await auth0_of(request).get_token_on_behalf_of(OTHER)
    return web.json_response({"scope": answer.scope})


async def nothing(request: web.Request) -> web.Response:
    """Ask for nothing."""
    return web.Response(text="nothing")


def make_app(client: AsyncServerClient) -> web.Application:
    """Make an application, with another below it."""
    app = web.Application(middlewares=[handle_errors])
    setup(app, client)
    app.add_routes(
        [
            web.post("/login", login),
            web.get("/token", token),
            web.post("/logout", logout),
            web.get("/behalf", behalf),
            web.get("/nothing", nothing),
            web.post("/backchannel-logout", backchannel_logout),
            web.get("/user", user),
            web.get("/user-of-client", user_of_client),
        ]
    )
    below = web.Application()
    below.add_routes([web.get("/user", user)])
    app.add_subapp("/below", below)
    return app


@contextmanager
def serve_site(tenant: Tenant, **changes: Any) -> Iterator[int]:
    """Serve the application of a client of the tenant's."""
    with serve(make_app(AsyncServerClient(**make_settings(tenant, **changes)))) as port:
        yield port


@pytest.mark.parametrize("store", [None, MemoryStore()], ids=["cookies", "memory"])
def test_login(auth0_tenant: Tenant, store: Any) -> None:
    """A login's cookies are on the redirect that the handler raises."""
    with serve_site(auth0_tenant, state_store=store) as port:
        browser = log_in(port, auth0_tenant)
        for path in ("/user", "/below/user"):
            assert {"sub": "auth0|alice"} == browser.get(path).json()
        assert {"sub": None} == Browser(port).get("/user").json()
        assert "Vary" not in browser.get("/nothing").headers
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


@pytest.mark.parametrize(
    ("then", "status"), [("", 200), ("stream", 200), ("forbidden", 403), ("error", 500)]
)
def test_renewed_on_any_answer(
    auth0_tenant: Tenant, auth0_clock: MovableClock, then: str, status: int
) -> None:
    """A refresh token that was rotated is kept, with a stream and with an error too."""
    auth0_tenant.apis.change(API, token_lifetime=60)
    with serve_site(auth0_tenant, clock=auth0_clock) as port:
        browser = log_in(port, auth0_tenant)
        auth0_clock.move(61)
        auth0_tenant.apis.change(API, token_lifetime=86_400)
        answer = browser.get(f"/token?then={then}")
        after = browser.get("/token")

    assert status == answer.status_code
    assert "private, no-store" == answer.headers["Cache-Control"]
    assert {"session": True} == after.json()
    assert 2 == auth0_tenant.count("/oauth/token")


def test_read_session_is_for_no_cache(auth0_tenant: Tenant) -> None:
    """An answer whose request read the session says so; a handler's own word is kept."""
    with serve_site(auth0_tenant) as port:
        browser = log_in(port, auth0_tenant)
        paths = ("/user", "/below/user", "/user-of-client", "/token?then=stream")
        read = [browser.get(path).headers for path in paths]
        own = browser.get("/token?then=own").headers
        nothing = browser.get("/nothing").headers

    assert {"private, no-store"} == {headers["Cache-Control"] for headers in read}
    assert ("max-age=60", "Cookie") == (own["Cache-Control"], own["Vary"])
    assert {"Cookie"} == {headers["Vary"] for headers in read}
    assert not {"Cache-Control", "Vary"} & {*nothing}


def test_users_are_apart(auth0_tenant: Tenant) -> None:
    """Many browsers at once each see their own user."""
    users = [f"auth0|user_{number}" for number in range(10)]
    for name in users:
        auth0_tenant.users.add(User(name))
    with serve_site(auth0_tenant) as port, ThreadPoolExecutor(10) as threads:

        def visit(name: str) -> set[str]:
            browser = log_in(port, auth0_tenant, name)
            return {browser.get("/user").json()["sub"] for _ in range(10)}

        assert [{name} for name in users] == list(threads.map(visit, users))


def test_on_behalf_of(auth0_tenant: Tenant) -> None:
    """One line exchanges the bearer token; what is wrong with it is the caller's to know."""
    keywords = add_service(auth0_tenant)
    token = auth0_tenant.access_token("auth0|alice", API)
    with serve(make_app(AsyncServerClient(**keywords))) as port:
        good, none, wrong = (
            Browser(port).get("/behalf", headers=headers)
            for headers in (
                {"Authorization": f"Bearer {token}"},
                {},
                {"Authorization": "Bearer no-token"},
            )
        )

    assert {"scope": "read:more"} == good.json()
    assert [401, 401] == [answer.status_code for answer in (none, wrong)]
    assert {"error": "invalid_token"} == wrong.json()


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
        assert {"sub": None} == browser.get("/user").json()


def test_not_set_up() -> None:
    """An application without ``setup`` gets an error that names it."""
    with pytest.raises(ConfigurationError, match="setup"):
        auth0_of(make_mocked_request("GET", "/"))
