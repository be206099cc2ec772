"""The middleware that sets a session's cookies on any response to a request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse

from auth0_tx import AsyncServerClient, LoginWithCustomTokenExchangeOptions
from auth0_tx.core.session.cookies import SetCookie
from auth0_tx.errors import InvalidInputError
from auth0_tx.frameworks.cookies import RESPONSE_STATE, HttpCookies
from auth0_tx.integrations.asgi import SessionCommitMiddleware
from tests.frameworks.browser import Answer, Browser
from tests.frameworks.clients import World, open_async_clients
from tests.frameworks.loop_thread import serve_in_thread
from tests.frameworks.set_cookies import parse_set_cookie
from tests.frameworks.uvicorn_server import serve_uvicorn

COOKIE = "__Host-auth0_tx"
CURRENT = f"{COOKIE}.current"


def make_site(clients: Mapping[str, AsyncServerClient], seen: list[Any]) -> FastAPI:
    """Make an application of the endpoints that lose cookies without the middleware."""
    app = FastAPI()

    async def log_in(request: Request, store: str) -> None:
        options = LoginWithCustomTokenExchangeOptions(
            subject_token=(await request.body()).decode(),
            subject_token_type="urn:acme:legacy-token",
        )
        await clients[store].login_with_custom_token_exchange(
            options, {"request": request}
        )

    @app.get("/{store}/me")
    async def show_me(request: Request, store: str) -> Any:
        user = await clients[store].get_user({"request": request})
        return None if user is None else user["sub"]

    @app.post("/{store}/redirect")
    async def redirect_after_login(
        request: Request, store: str, response: Response
    ) -> Response:
        response.set_cookie("lost", "by FastAPI")
        await log_in(request, store)
        return RedirectResponse("/", 303)

    @app.post("/{store}/stream")
    async def stream_after_login(request: Request, store: str) -> Response:
        await log_in(request, store)

        async def parts() -> AsyncIterator[str]:
            yield "begun, "
            user = await clients[store].get_user({"request": request})
            yield "nobody" if user is None else user["sub"]

        return StreamingResponse(parts())

    @app.post("/{store}/late")
    async def log_in_late(request: Request, store: str) -> Response:
        await request.body()

        async def parts() -> AsyncIterator[str]:
            yield "begun, "
            try:
                await log_in(request, store)
            except InvalidInputError as error:
                yield error.message

        return StreamingResponse(parts())

    @app.post("/{store}/background")
    async def run_in_background(
        request: Request, store: str, after: BackgroundTasks
    ) -> Response:
        async def look() -> None:
            user = await clients[store].get_user({"request": request})
            seen.append(None if user is None else user["sub"])

        await log_in(request, store)
        after.add_task(look)
        return JSONResponse(None, background=after)

    @app.post("/{store}/teapot")
    async def raise_teapot(request: Request, store: str) -> None:
        await log_in(request, store)
        raise HTTPException(418)

    @app.post("/{store}/crash")
    async def crash_after_login(request: Request, store: str) -> None:
        await log_in(request, store)
        raise ArithmeticError("nobody handles this")

    @app.post("/{store}/own")
    async def set_own_cookies(request: Request, store: str) -> Response:
        await log_in(request, store)
        response = Response("ok")
        response.set_cookie("theme", "dark")
        response.set_cookie(COOKIE, "set by the application")
        response.headers["Cache-Control"] = "public, max-age=60"
        response.headers["Vary"] = "Accept"
        return response

    @app.get("/{store}/mine")
    async def set_own_headers(request: Request, store: str) -> Response:
        await clients[store].get_user({"request": request})
        headers = {"Cache-Control": "max-age=60", "Vary": "Accept"}
        return Response("ok", headers=headers)

    @app.get("/{store}/cached")
    async def show_cached() -> Response:
        headers = {"Cache-Control": "public, max-age=60", "Vary": "Accept"}
        return Response("ok", headers=headers)

    return app


@pytest.fixture(scope="module")
def seen() -> list[Any]:
    """The users that background tasks saw."""
    return []


@pytest.fixture(scope="module")
def ports(world: World, seen: list[Any]) -> Iterator[dict[str, int]]:
    """The application with the middleware inside, around it, and in both places."""
    found: dict[str, int] = {}

    @asynccontextmanager
    async def run_sites() -> AsyncIterator[int]:
        async with open_async_clients(world) as clients:
            inside, both = make_site(clients, seen), make_site(clients, seen)
            inside.add_middleware(SessionCommitMiddleware)
            both.add_middleware(SessionCommitMiddleware)
            around = SessionCommitMiddleware(make_site(clients, seen))
            async with (
                serve_uvicorn(inside, "on") as found["inside"],
                serve_uvicorn(around, "on") as found["around"],
                serve_uvicorn(SessionCommitMiddleware(both), "on") as found["both"],
            ):
                yield 0

    with serve_in_thread(run_sites):
        yield found


@pytest.fixture(params=["inside", "around", "both"])
def browser(request: pytest.FixtureRequest, ports: dict[str, int]) -> Browser:
    """A visitor of each."""
    return Browser(ports[request.param], "cookie")


def post(browser: Browser, world: World, action: str) -> Answer:
    """Have an endpoint log Alice in."""
    return browser.post(action, world.tenant.subject_token("auth0|alice"))


@pytest.mark.parametrize(
    ("action", "status"),
    [("redirect", 303), ("stream", 200), ("background", 200), ("teapot", 418)],
)
def test_any_response_has_the_cookies(
    browser: Browser, world: World, action: str, status: int
) -> None:
    """Redirects, streams and errors that the application makes all carry the session."""
    answer = post(browser, world, action)

    assert status == answer.status
    assert [COOKIE, CURRENT] == [cookie.name for cookie in answer.cookies_set]
    assert ["private, no-store"] == answer.list_fields("Cache-Control")
    assert ["Cookie"] == answer.list_fields("Vary")
    assert "auth0|alice" == browser.get("me").json


def test_attributes(browser: Browser, world: World) -> None:
    """The middleware's cookie has the attributes that frameworks give it."""
    cookie, note = post(browser, world, "redirect").cookies_set

    expected = {
        "max-age": "259200",
        "path": "/",
        "secure": "",
        "httponly": "",
        "samesite": "Lax",
    }
    assert expected == cookie.attributes == note.attributes


def test_stream_knows_the_user(browser: Browser, world: World) -> None:
    """Code that runs while the response is sent can read the session."""
    assert b"begun, auth0|alice" == post(browser, world, "stream").body


def test_too_late(browser: Browser, world: World) -> None:
    """A login that begins after the response has is refused before anything is sent."""
    before = len(world.tenant.requests)

    answer = post(browser, world, "late")

    assert answer.body.startswith(b"begun, store_options must have a response")
    assert [] == answer.cookies_set
    assert before == len(world.tenant.requests)


def test_background_task(browser: Browser, world: World, seen: list[Any]) -> None:
    """A task that runs after the response can read the session."""
    seen.clear()

    post(browser, world, "background")
    browser.get("me")

    assert ["auth0|alice"] == seen


def test_unhandled_error(ports: dict[str, int], world: World) -> None:
    """Around the whole application, the response to an unhandled error has the cookies too."""
    around = Browser(ports["around"], "cookie")

    answer = post(around, world, "crash")

    assert (500, [COOKIE, CURRENT]) == (
        answer.status,
        [cookie.name for cookie in answer.cookies_set],
    )
    assert "auth0|alice" == around.get("me").json


def test_joins_what_the_application_set(browser: Browser, world: World) -> None:
    """The application's cookies stay, except one named like the session; caches keep nothing."""
    answer = post(browser, world, "own")

    assert ["theme", COOKIE, CURRENT] == [cookie.name for cookie in answer.cookies_set]
    assert "auth0|alice" == browser.get("me").json
    assert ["private, no-store"] == answer.list_fields("Cache-Control")
    assert ["Accept, Cookie"] == answer.list_fields("Vary")


def test_read_session_is_for_no_cache(browser: Browser) -> None:
    """A response whose request read the session says so; the endpoint's own word is kept."""
    plain, own = browser.get("me"), browser.get("mine")

    assert ["private, no-store"] == plain.list_fields("Cache-Control")
    assert ["Cookie"] == plain.list_fields("Vary")
    assert ["max-age=60"] == own.list_fields("Cache-Control")
    assert ["Accept, Cookie"] == own.list_fields("Vary")


def test_leaves_other_responses_alone(browser: Browser) -> None:
    """A response without a session's cookies is as the application made it."""
    answer = browser.get("cached")

    assert ["public, max-age=60"] == answer.list_fields("Cache-Control")
    assert ["Accept"] == answer.list_fields("Vary")
    assert [] == answer.cookies_set


async def _receive() -> dict[str, Any]:
    return {"type": "http.request"}


@pytest.mark.parametrize("kind", ["lifespan", "of tomorrow"])
async def test_other_kinds_pass_untouched(kind: str) -> None:
    """Lifespans go through as they are."""
    scope, messages, got = {"type": kind}, [], []

    async def app(*arguments: Any) -> None:
        got.extend(arguments)

    async def send(message: Any) -> None:
        messages.append(message)

    await SessionCommitMiddleware(app)(scope, _receive, send)

    assert [scope, _receive, send] == got
    assert ({"type": kind}, []) == (scope, messages)


async def run_with_cookies(
    start: dict[str, Any], *cookies: SetCookie
) -> list[dict[str, Any]]:
    """Return the messages of an application that writes cookies and begins with *start*."""
    messages: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope[RESPONSE_STATE].cookies.update(
            {cookie.name: cookie for cookie in cookies}
        )
        await send(start)
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        messages.append(message)

    await SessionCommitMiddleware(app)({"type": "http"}, _receive, send)
    return messages


async def test_response_without_headers() -> None:
    """A response that names no headers gets the session's."""
    start = {"type": "http.response.start", "status": 204}
    cookie = SetCookie(name=COOKIE, value="sealed", max_age=60)

    begun, _ = await run_with_cookies(start, cookie)

    names = [name for name, _ in begun["headers"]]
    assert [b"set-cookie", b"cache-control", b"vary"] == names
    assert "headers" not in start


async def test_headers_of_any_case() -> None:
    """Headers are known in any case, and several of one name are joined."""
    headers = [
        (b"Vary", b"Accept"),
        (b"VARY", b"Cookie, Origin"),
        (b"Cache-Control", b"max-age=60"),
        [b"Set-Cookie", f"{COOKIE}.0=old; Path=/".encode()],
        [b"Set-Cookie", b"\xff=\xff"],
        (b"X-Other", b"1"),
    ]
    start = {"type": "http.response.start", "status": 200, "headers": iter(headers)}

    begun, _ = await run_with_cookies(
        start, SetCookie(name=f"{COOKIE}.0", value="", max_age=0)
    )

    kept = [(name.lower(), value) for name, value in begun["headers"]]
    assert [(b"set-cookie", b"\xff=\xff"), (b"x-other", b"1")] == kept[:2]
    assert (b"cache-control", b"private, no-store") == kept[3]
    assert (b"vary", b"Accept, Cookie, Origin") == kept[4]
    assert parse_set_cookie(kept[2][1].decode()).is_deletion


async def test_information_before_the_response() -> None:
    """Messages before a response, such as early hints, do not begin it."""
    scope: dict[str, Any] = {"type": "http"}
    messages: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.early_hint", "links": []})
        request = Request({**scope, "headers": []})
        assert HttpCookies().can_write({"request": request})

    async def send(message: Any) -> None:
        messages.append(message)

    await SessionCommitMiddleware(app)(scope, _receive, send)

    assert [{"type": "http.response.early_hint", "links": []}] == messages
