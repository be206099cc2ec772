"""One site in each framework, with a page for each way in which an answer may depend on a session.

A page's path says what it does; ``/untouched`` alone has nothing to do with the session.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import attrs

from auth0_tx import (
    AsyncServerClient,
    LoginRequiredError,
    LoginWithCustomTokenExchangeOptions,
    SessionPolicy,
)
from auth0_tx.testing import alogin, login
from tests.frameworks import django_settings  # noqa: F401

SECRET = "of a login session, and long enough: 0123456789"
API = "https://api.example.com"
CLIENT = {
    "domain": "tenant.us.auth0.com",
    "client_id": "id",
    "client_secret": "secret",
    "secret": SECRET,
}
OTHER = SessionPolicy(cookie_name="orders")

PAGES = (
    "user",
    "session",
    "token",
    "named",
    "required",
    "scoped",
    "error",
    "raised",
    "stream",
    "late",
    "own",
)


class Bug(Exception):
    """A bug of the application's."""


@attrs.frozen
class Answer:
    """An answer: its status and its header fields, by names in lower case."""

    status: int
    headers: dict[str, str]


@attrs.frozen
class CacheSite:
    """A site.

    Attributes:
        ask: asks for a path with a method and header fields.
        log_in: logs Alice in, without the scope that a page needs.
    """

    ask: Callable[[str, str, Mapping[str, str]], Answer]
    log_in: Callable[[], object]


def make_options(token: str) -> LoginWithCustomTokenExchangeOptions:
    """Return the options of a login that is never made."""
    return LoginWithCustomTokenExchangeOptions(
        subject_token=token, subject_token_type="urn:acme:legacy-token"
    )


def _to_answer(status: int, headers: Any) -> Answer:
    return Answer(status, {name.lower(): value for name, value in headers})


def show_django(request: Any, page: str) -> Any:
    """Answer in Django."""
    from django.http import HttpResponse, StreamingHttpResponse

    from auth0_tx.integrations.django import auth0_of

    auth0 = request.auth0
    match page:
        case "user":
            return HttpResponse(str(auth0.user))
        case "session":
            return HttpResponse(str(auth0.session is None))
        case "token":
            return HttpResponse(auth0.get_access_token(API))
        case "named":
            return HttpResponse(str(auth0_of(request, "orders").user))
        case "error":
            raise Bug(auth0.user)
        case "raised":
            if auth0.user is None:
                raise LoginRequiredError("nobody is logged in")
        case "stream":
            user = auth0.user
            return StreamingHttpResponse(iter([str(user)]))
        case "late":
            return StreamingHttpResponse(str(auth0.user) for _ in range(1))
        case "own":
            return HttpResponse(
                str(auth0.user), headers={"Cache-Control": "private, max-age=60"}
            )
    return HttpResponse(page)


def make_django_urls() -> tuple[Any, ...]:
    """Return the URL patterns of the Django site."""
    from django.urls import include, path

    from auth0_tx.integrations.django.decorators import (
        auth0_login_required,
        scopes_required,
    )

    return (
        path("auth0/", include("auth0_tx.integrations.django.urls")),
        path("required", auth0_login_required(show_django), {"page": "required"}),
        path(
            "scoped",
            scopes_required("read:all", audience=API)(show_django),
            {"page": "scoped"},
        ),
        path("<str:page>", show_django),
    )


@contextmanager
def open_django() -> Iterator[CacheSite]:
    """Open the Django site."""
    from django.test import Client, override_settings

    default = {name.upper(): value for name, value in CLIENT.items()}
    default["LOGIN"] = {"subject_token_type": "urn:acme:legacy-token"}
    with override_settings(
        AUTH0_TX={
            "default": default,
            "orders": {"CLIENT_ID": "orders", "CLIENT_SECRET": "x"},
        },
        AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend"],
        LOGIN_URL="/login",
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "auth0_tx.integrations.django.middleware.Auth0Middleware",
        ],
        ROOT_URLCONF=make_django_urls(),
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    ):
        client = Client(raise_request_exception=False)

        def ask(method: str, path: str, headers: Mapping[str, str]) -> Answer:
            if path.startswith("/auth/"):
                path = f"/auth0/{path.removeprefix('/auth/')}/"
            response = client.generic(method, path, headers=headers)
            return _to_answer(response.status_code, response.items())

        def log_in() -> None:
            login(client, "auth0|alice", access_tokens={API: "read:some"})

        yield CacheSite(ask, log_in)


@contextmanager
def open_flask() -> Iterator[CacheSite]:
    """Open the Flask site."""
    from flask import Flask, Response, render_template_string, stream_with_context

    from auth0_tx.integrations.flask import (
        Auth0TX,
        auth0_of,
        current_auth0,
        login_required,
    )

    app = Flask("site")
    app.secret_key = SECRET
    app.config["AUTH0_TX_LOGIN_URL"] = "/login"
    extension = Auth0TX(
        app, clients={"orders": {"client_id": "orders", "client_secret": "x"}}, **CLIENT
    )
    extension.handle_errors(app)
    app.register_blueprint(extension.routes(make_options), url_prefix="/auth")

    @app.get("/<page>")
    def show(page: str) -> Any:
        match page:
            case "user":
                return render_template_string("{{ current_auth0.user }}")
            case "session":
                return str(current_auth0.session is None)
            case "token":
                return current_auth0.get_access_token(API)
            case "named":
                return str(auth0_of("orders").user)
            case "error":
                raise Bug(current_auth0.user)
            case "raised":
                if current_auth0.user is None:
                    raise LoginRequiredError("nobody is logged in")
            case "stream":
                user = current_auth0.user
                return Response(iter([str(user)]))
            case "late":
                late = (str(current_auth0.user) for _ in range(1))
                return Response(stream_with_context(late))
            case "own":
                text = str(current_auth0.user)
                return Response(text, headers={"Cache-Control": "private, max-age=60"})
        return page

    @app.get("/required")
    @login_required
    def required() -> str:
        return "required"

    @app.get("/scoped")
    @login_required(scopes=["read:all"], audience=API)
    def scoped() -> str:
        return "scoped"

    client = app.test_client()

    def ask(method: str, path: str, headers: Mapping[str, str]) -> Answer:
        response = client.open(path, method=method, headers=headers)
        return _to_answer(response.status_code, response.headers.items())

    def log_in() -> None:
        login(client, "auth0|alice", access_tokens={API: "read:some"})

    yield CacheSite(ask, log_in)


async def _read_page(auth0: Any, named: Any, page: str) -> str:
    match page:
        case "session":
            return str(await auth0.get_session() is None)
        case "token":
            return str(await auth0.get_access_token(API))
        case "named":
            return str(await named().get_user())
        case "error":
            raise Bug(await auth0.get_user())
        case "raised":
            if await auth0.get_user() is None:
                raise LoginRequiredError("nobody is logged in")
    return str(await auth0.get_user())


def _make_clients() -> dict[str, Any]:
    return {
        "client": AsyncServerClient(**CLIENT),
        "clients": {"orders": AsyncServerClient(**CLIENT, session_policy=OTHER)},
    }


@contextmanager
def open_starlette() -> Iterator[CacheSite]:
    """Open the Starlette site."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response, StreamingResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    from auth0_tx.integrations.starlette import (
        SessionCommitMiddleware,
        auth0_lifespan,
        auth0_of,
        auth0_routes,
        handle_errors,
        login_required,
    )

    async def show(request: Request) -> Response:
        page = request.path_params["page"]
        if page == "untouched":
            return PlainTextResponse(page)
        auth0 = auth0_of(request)
        if page == "late":

            async def read_late() -> AsyncIterator[str]:
                yield str(await auth0.get_user())

            return StreamingResponse(read_late())
        text = await _read_page(auth0, lambda: auth0_of(request, "orders"), page)
        match page:
            case "stream":
                return StreamingResponse(iter([text]))
            case "own":
                return Response(text, headers={"Cache-Control": "private, max-age=60"})
        return PlainTextResponse(text)

    @login_required
    async def required(request: Request) -> Response:
        return PlainTextResponse("required")

    @login_required(scopes=["read:all"], audience=API)
    async def scoped(request: Request) -> Response:
        return PlainTextResponse("scoped")

    app = Starlette(
        routes=[
            *auth0_routes(make_options, login="/auth/login", logout="/auth/logout"),
            Route("/required", required),
            Route("/scoped", scoped),
            Route("/{page}", show),
        ],
        lifespan=auth0_lifespan(**_make_clients()),
    )
    handle_errors(app, login_url="/login")
    client = TestClient(
        SessionCommitMiddleware(app),
        "https://testserver",
        raise_server_exceptions=False,
        follow_redirects=False,
    )

    def ask(method: str, path: str, headers: Mapping[str, str]) -> Answer:
        response = client.request(method, path, headers=headers)
        return _to_answer(response.status_code, response.headers.items())

    def log_in() -> None:
        login(client, "auth0|alice", access_tokens={API: "read:some"})

    with client:
        yield CacheSite(ask, log_in)


@contextmanager
def open_aiohttp() -> Iterator[CacheSite]:
    """Open the site of aiohttp.web."""
    from aiohttp import web
    from aiohttp.test_utils import TestClient, TestServer

    from auth0_tx.integrations.aiohttp_web import (
        auth0_of,
        auth0_routes,
        handle_errors,
        login_required,
        setup,
    )

    async def show(request: web.Request) -> web.StreamResponse:
        page = request.match_info["page"]
        if page == "untouched":
            return web.Response(text=page)
        auth0, stream = auth0_of(request), web.StreamResponse()
        if page == "late":
            await stream.prepare(request)
        text = await _read_page(auth0, lambda: auth0_of(request, "orders"), page)
        match page:
            case "stream" | "late":
                await stream.prepare(request)
                if request.method != "HEAD":
                    await stream.write(text.encode())
                return stream
            case "own":
                headers = {"Cache-Control": "private, max-age=60"}
                return web.Response(text=text, headers=headers)
        return web.Response(text=text)

    @login_required
    async def required(request: web.Request) -> web.Response:
        return web.Response(text="required")

    @login_required(scopes=["read:all"], audience=API)
    async def scoped(request: web.Request) -> web.Response:
        return web.Response(text="scoped")

    app = web.Application(middlewares=[handle_errors])
    setup(app, login_url="/login", **_make_clients())
    app.add_routes(
        auth0_routes(make_options, login="/auth/login", logout="/auth/logout")
    )
    app.add_routes(
        [
            web.get("/required", required),
            web.get("/scoped", scoped),
            web.get("/{page}", show),
        ]
    )
    with asyncio.Runner() as runner:

        async def start() -> Any:
            client = TestClient(TestServer(app))
            await client.start_server()
            return client

        client = runner.run(start())

        def ask(method: str, path: str, headers: Mapping[str, str]) -> Answer:
            async def send() -> Answer:
                async with client.request(
                    method, path, headers=headers, allow_redirects=False
                ) as response:
                    await response.read()
                    return _to_answer(response.status, response.headers.items())

            return runner.run(send())

        def log_in() -> None:
            tokens = {API: "read:some"}
            runner.run(alogin(client, "auth0|alice", access_tokens=tokens))

        try:
            yield CacheSite(ask, log_in)
        finally:
            runner.run(client.close())


SITES: dict[str, Callable[[], AbstractContextManager[CacheSite]]] = {
    "django": open_django,
    "flask": open_flask,
    "starlette": open_starlette,
    "aiohttp": open_aiohttp,
}
