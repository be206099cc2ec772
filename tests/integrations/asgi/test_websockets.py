"""WebSockets on uvicorn: whose they are, how they are refused, and cookies of the handshake."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.cookies import SimpleCookie
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Close

from auth0_tx import AsyncServerClient, InvalidInputError, RefusedError, UserClaims
from auth0_tx.integrations import starlette
from auth0_tx.integrations.fastapi import (
    AccessToken,
    Auth0,
    CurrentUser,
    RequiredUser,
    SessionCommitMiddleware,
    auth0_lifespan,
    handle_errors,
    login_required,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant
from tests.frameworks.loop_thread import serve_in_thread
from tests.frameworks.uvicorn_server import serve_uvicorn
from tests.integrations.async_sites import API, Browser, login_options, make_settings

# At the level DEBUG, this library logs all headers.
SILENT = logging.Logger("silent", logging.CRITICAL)

User = Annotated[UserClaims, Depends(RequiredUser())]
Token = Annotated[str, Depends(AccessToken(API))]
Scoped = Annotated[UserClaims, Depends(RequiredUser(scopes=["delete:all"]))]


def make_app(client: AsyncServerClient, tenant: Tenant) -> Any:
    """Make an application with a WebSocket for each way to the user."""
    origins = ["https://app.example.com"]
    app = FastAPI(lifespan=auth0_lifespan(client, trusted_origins=origins))
    handle_errors(app)
    app.add_middleware(SessionCommitMiddleware)

    @app.post("/login")
    async def login(auth0: Auth0) -> None:
        await auth0.login(login_options(tenant.subject_token("auth0|alice")))

    @app.get("/user")
    async def show_user(user: CurrentUser) -> str:
        return user["sub"] if user else "nobody"

    async def say(socket: WebSocket, text: str) -> None:
        await socket.accept(headers=[(b"x-own", b"1")])
        await socket.send_text(text)
        await socket.close()

    @app.websocket("/current")
    async def current(socket: WebSocket, user: CurrentUser) -> None:
        await say(socket, user["sub"] if user else "nobody")

    @app.websocket("/required")
    async def required(socket: WebSocket, user: User) -> None:
        await say(socket, user["sub"])

    @app.websocket("/scoped")
    async def scoped(socket: WebSocket, user: Scoped) -> None:
        await say(socket, user["sub"])

    @app.websocket("/token")
    async def token(socket: WebSocket, token: Token) -> None:
        await say(socket, "a token")

    @app.websocket("/decorated")
    @login_required
    async def decorated(socket: WebSocket) -> None:
        await say(socket, "let in")

    @app.websocket("/refused")
    async def refuse(socket: WebSocket, token: Token) -> None:
        await socket.close(1008)

    @app.websocket("/failed")
    async def fail(socket: WebSocket, token: Token) -> None:
        raise ArithmeticError("before the socket was accepted")

    @app.websocket("/late")
    async def late(socket: WebSocket, auth0: Auth0) -> None:
        await socket.accept()
        try:
            await auth0.get_access_token(API)
            await socket.send_text("renewed")
        except InvalidInputError as error:
            await socket.send_text(str(error))
        await socket.close()

    @app.websocket("/error")
    async def error(socket: WebSocket, auth0: Auth0, kind: str) -> None:
        await socket.accept()
        if kind == "login":
            await auth0.get_access_token(API)
        raise RefusedError("no", "server_error", 503 if kind == "busy" else 401)

    return app


@contextmanager
def serve(app: Any) -> Iterator[int]:
    """Serve an application with its lifespan and WebSockets."""
    site = partial(serve_uvicorn, app, lifespan="on", ws="websockets-sansio")
    with serve_in_thread(site) as port:
        yield port


@pytest.fixture(params=["cookies", "store"])
def kind(request: pytest.FixtureRequest) -> str:
    """Where the sessions are."""
    found: str = request.param
    return found


@pytest.fixture
def port(auth0_tenant: Tenant, kind: str) -> Iterator[int]:
    """The application, on uvicorn."""
    changes = {} if kind == "cookies" else {"state_store": MemoryStore()}
    client = AsyncServerClient(**make_settings(auth0_tenant, **changes))
    with serve(make_app(client, auth0_tenant)) as port:
        yield port


class Visitor(Browser):
    """A browser with WebSockets, which keeps the cookies of a handshake."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.port = port

    def open(self, path: str, **headers: str) -> tuple[str, Any]:
        """Return the first text of a WebSocket, or how it was closed, and the headers."""
        return asyncio.run(self._open(path, headers))

    async def _open(self, path: str, headers: dict[str, str]) -> tuple[str, Any]:
        pairs = [f"{cookie.name}={cookie.value}" for cookie in self.cookies]
        if pairs:
            headers["Cookie"] = "; ".join(pairs)
        url = f"ws://127.0.0.1:{self.port}{path}"
        try:
            async with connect(
                url, additional_headers=headers, proxy=None, logger=SILENT
            ) as socket:
                assert socket.response is not None
                answered = socket.response.headers
                self._keep(answered)
                try:
                    return str(await socket.recv()), answered
                except ConnectionClosed as error:
                    closed = error.rcvd or Close(1006, "")
                    return f"{closed.code} {closed.reason}", answered
        except InvalidStatus as error:
            self._keep(error.response.headers)
            return f"HTTP {error.response.status_code}", error.response.headers

    def _keep(self, headers: Any) -> None:
        for field in headers.get_all("Set-Cookie"):
            for name, morsel in SimpleCookie(field).items():
                value = morsel.value if morsel["max-age"] != "0" else None
                self.cookies.set(name, value, domain="127.0.0.1", path="/")


def log_in(port: int) -> Visitor:
    """Return a browser in which Alice is logged in."""
    browser = Visitor(port)
    assert 200 == browser.post("/login").status_code
    return browser


def wait_for_expiry(tenant: Tenant, port: int) -> Visitor:
    """Return a browser whose access token must be renewed."""
    tenant.apis.change(API, token_lifetime=1)
    browser = log_in(port)
    asyncio.run(asyncio.sleep(1))
    tenant.apis.change(API, token_lifetime=86_400)
    return browser


def test_users(port: int) -> None:
    """Each dependency has the user of a WebSocket, as of a request."""
    browser = log_in(port)
    paths = ("/current", "/required", "/token", "/decorated", "/late")
    said = [browser.open(path)[0] for path in paths]

    assert ["auth0|alice", "auth0|alice", "a token", "let in"] == said[:4]
    assert "renewed" == said[4]
    assert "nobody" == Visitor(port).open("/current")[0]


@pytest.mark.parametrize("path", ["/required", "/token", "/decorated", "/scoped"])
def test_refused(port: int, path: str) -> None:
    """Nobody is let in without a login: the handshake is answered with 403."""
    assert "HTTP 403" == Visitor(port).open(path)[0]


def test_scope(port: int) -> None:
    """A user without the scope is not let in."""
    assert "HTTP 403" == log_in(port).open("/scoped")[0]


@pytest.mark.parametrize("path", ["/current", "/required", "/token", "/decorated"])
def test_page_of_another_origin(port: int, path: str) -> None:
    """A page of another origin opens no WebSocket as the user, unless it is trusted."""
    browser = log_in(port)
    origins = {
        f"http://127.0.0.1:{port}": True,
        "https://app.example.com": True,
        "https://evil.example": False,
        "null": False,
    }
    said = {origin: browser.open(path, Origin=origin)[0] for origin in origins}
    same_site, _ = browser.open(path, **{"Sec-Fetch-Site": "same-site"})

    let_in = {origin: text != "HTTP 403" for origin, text in said.items()}
    assert origins == let_in
    assert "HTTP 403" == same_site


@pytest.mark.parametrize(
    ("kind_of_error", "closed"),
    [
        ("login", "1008 login_required"),
        ("busy", "1013 temporarily_unavailable"),
        ("refused", "1008 invalid_token"),
    ],
)
def test_error_after_acceptance(port: int, kind_of_error: str, closed: str) -> None:
    """An error in an open WebSocket closes it, and its code is the reason."""
    assert closed == Visitor(port).open(f"/error?kind={kind_of_error}")[0]


@pytest.mark.parametrize(
    ("path", "said"),
    [("/token", "a token"), ("/refused", "HTTP 403"), ("/failed", "HTTP 500")],
)
def test_renewed_in_the_handshake(
    auth0_tenant: Tenant, port: int, path: str, said: str
) -> None:
    """A refresh token that was rotated before the handshake's end reaches the browser."""
    browser = wait_for_expiry(auth0_tenant, port)
    first = browser.open(path)
    again = browser.open("/token")

    assert (said, "a token") == (first[0], again[0])
    assert "auth0|alice" == browser.get("/user").json()
    assert 2 == auth0_tenant.count("/oauth/token")
    if path == "/token":
        assert "1" == first[1]["x-own"]


def test_renewed_after_acceptance(auth0_tenant: Tenant, port: int, kind: str) -> None:
    """Later, a store on the server keeps a new token; cookies cannot, and it is not asked for."""
    browser = wait_for_expiry(auth0_tenant, port)
    said, _ = browser.open("/late")

    if kind == "store":
        assert "renewed" == said
    else:
        assert "Once a WebSocket is accepted" in said
    assert "auth0|alice" == browser.get("/user").json()
    assert "a token" == browser.open("/token")[0]
    assert 2 == auth0_tenant.count("/oauth/token")


def test_starlette(auth0_tenant: Tenant) -> None:
    """Starlette without FastAPI has the same."""
    client = AsyncServerClient(**make_settings(auth0_tenant))

    @starlette.login_required
    async def endpoint(socket: WebSocket) -> None:
        """Let nobody in."""

    app = Starlette(
        routes=[WebSocketRoute("/", endpoint)],
        lifespan=starlette.auth0_lifespan(client),
    )
    with serve(app) as port:
        assert "HTTP 403" == Visitor(port).open("/")[0]


async def test_server_without_denials() -> None:
    """A server that does not let an application answer a handshake gets the close itself."""
    messages: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 1008})

    async def send(message: Any) -> None:
        messages.append(message)

    await SessionCommitMiddleware(app)({"type": "websocket"}, send, send)

    assert [{"type": "websocket.close", "code": 1008}] == messages
