"""One application in each framework, and its test client, for tests of ``auth0_tx.testing``."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from auth0_tx import AsyncServerClient
from auth0_tx.testing import alogin, login
from tests.frameworks import django_settings  # noqa: F401

SECRET = "of a login session, and long enough: 0123456789"
API = "https://api.example.com"

# An address at which nobody listens: without a tenant, nothing is sent anywhere.
NOWHERE = {
    "domain": "tenant.us.auth0.com",
    "client_id": "id",
    "client_secret": "secret",
    "proxy": "http://127.0.0.1:9",
}


class Site(ABC):
    """An application and its test client.

    Attributes:
        client: the test client.
    """

    client: Any

    def log_in(self, user: Any, **keywords: Any) -> Any:
        """Log a user in."""
        return login(self.client, user, **keywords)

    @abstractmethod
    def get(self, path: str) -> Any:
        """Return the JSON of a page."""


class DjangoSite(Site):
    """Django with its synchronous client."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def get(self, path: str) -> Any:
        response = self.client.get(path)
        assert 200 == response.status_code
        return response.json()


class AsyncDjangoSite(Site):
    """Django with its asyncio client."""

    def __init__(self, client: Any, runner: asyncio.Runner) -> None:
        self.client = client
        self._runner = runner

    def log_in(self, user: Any, **keywords: Any) -> Any:
        return self._runner.run(alogin(self.client, user, **keywords))

    def get(self, path: str) -> Any:
        async def get() -> Any:
            return await self.client.get(path)

        response = self._runner.run(get())
        assert 200 == response.status_code
        return response.json()


class FlaskSite(Site):
    """Flask."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.client = app.test_client()

    def get(self, path: str) -> Any:
        response = self.client.get(path)
        assert 200 == response.status_code, response.text
        return response.json


class StarletteSite(Site):
    """Starlette or FastAPI."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def get(self, path: str) -> Any:
        response = self.client.get(path)
        assert 200 == response.status_code
        return response.json()


class AiohttpSite(AsyncDjangoSite):
    """aiohttp.web."""

    def get(self, path: str) -> Any:
        async def get() -> Any:
            async with self.client.get(path) as response:
                assert 200 == response.status
                return await response.json()

        return self._runner.run(get())


def show_django(request: Any) -> Any:
    """Show what the application knows of its user."""
    from django.http import JsonResponse

    from auth0_tx.integrations.django import auth0_of

    auth0 = auth0_of(request, request.GET.get("client"))
    shown: dict[str, Any] = {
        "user": auth0.user,
        "django": request.user.is_authenticated,
    }
    if "audience" in request.GET:
        shown["token"] = auth0.get_access_token(request.GET["audience"] or None)
    return JsonResponse(shown)


async def show_django_async(request: Any) -> Any:
    """Show what the application knows of its user."""
    from asgiref.sync import sync_to_async

    return await sync_to_async(show_django)(request)


def _make_django_settings(settings: dict[str, Any], store: Any) -> dict[str, Any]:
    given = {name.upper(): value for name, value in settings.items()}
    given |= {"SECRET": SECRET}
    if store is not None:
        given["STATE_STORE"] = store
    orders = {**given, "SESSION_POLICY": {"COOKIE_NAME": "orders"}}
    return {
        "AUTH0_TX": {"default": given, "orders": orders},
        "AUTHENTICATION_BACKENDS": [
            "auth0_tx.integrations.django.backends.Auth0Backend"
        ],
        "MIDDLEWARE": [
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "auth0_tx.integrations.django.middleware.Auth0Middleware",
        ],
        "ROOT_URLCONF": "tests.testing.django_urls",
        "SECRET_KEY": "of django's own, and long enough: 0123456789",
    }


@contextmanager
def open_django(settings: dict[str, Any], store: Any = None) -> Iterator[Site]:
    """Set up a Django project."""
    from django.test import Client, override_settings

    with override_settings(**_make_django_settings(settings, store)):
        yield DjangoSite(Client())


@contextmanager
def open_async_django(settings: dict[str, Any], store: Any = None) -> Iterator[Site]:
    """Set up a Django project for its asyncio client."""
    from django.test import AsyncClient, override_settings

    with (
        override_settings(**_make_django_settings(settings, store)),
        asyncio.Runner() as runner,
    ):
        yield AsyncDjangoSite(AsyncClient(), runner)


@contextmanager
def open_flask(settings: dict[str, Any], store: Any = None) -> Iterator[Site]:
    """Set up a Flask application."""
    from flask import Flask, request

    from auth0_tx.integrations.flask import Auth0TX, auth0_of

    app = Flask("tests")
    app.secret_key = "of flask's own, and long enough: 0123456789"
    Auth0TX(
        app,
        clients={"orders": {**settings, "secret": SECRET}},
        secret=SECRET,
        state_store=store,
        **settings,
    )

    @app.get("/user")
    def show() -> Any:
        auth0 = auth0_of(request.args.get("client"))
        shown: dict[str, Any] = {"user": auth0.user}
        if "audience" in request.args:
            shown["token"] = auth0.get_access_token(request.args["audience"] or None)
        return shown

    yield FlaskSite(app)


async def _show(auth0: Any, query: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"user": await auth0.get_user()}
    if "audience" in query:
        shown["token"] = await auth0.get_access_token(query["audience"] or None)
    return shown


def _make_clients(settings: dict[str, Any], store: Any) -> dict[str, Any]:
    from auth0_tx import SessionPolicy

    common = {**settings, "secret": SECRET, "state_store": store}
    policy = SessionPolicy(cookie_name="orders")
    return {
        "client": AsyncServerClient(**common),
        "clients": {"orders": AsyncServerClient(**common, session_policy=policy)},
    }


@contextmanager
def open_starlette(settings: dict[str, Any], store: Any = None) -> Iterator[Site]:
    """Set up a FastAPI application."""
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse
    from fastapi.testclient import TestClient

    from auth0_tx.integrations.fastapi import (
        SessionCommitMiddleware,
        auth0_lifespan,
        auth0_of,
        handle_errors,
    )

    app = FastAPI(lifespan=auth0_lifespan(**_make_clients(settings, store)))
    app.add_middleware(SessionCommitMiddleware)
    handle_errors(app)

    async def show(request: Request) -> JSONResponse:
        query = request.query_params
        shown = await _show(auth0_of(request, query.get("client")), query)
        return JSONResponse(shown)

    app.add_route("/user", show)
    with TestClient(app) as client:
        yield StarletteSite(client)


@contextmanager
def open_aiohttp(settings: dict[str, Any], store: Any = None) -> Iterator[Site]:
    """Set up an application of aiohttp.web."""
    from aiohttp import web
    from aiohttp.test_utils import TestClient, TestServer

    from auth0_tx.integrations.aiohttp_web import auth0_of, setup

    async def show(request: web.Request) -> web.Response:
        auth0 = auth0_of(request, request.query.get("client"))
        return web.json_response(await _show(auth0, request.query))

    async def start() -> Any:
        app = web.Application()
        setup(app, **_make_clients(settings, store))
        app.add_routes([web.get("/user", show)])
        client = TestClient(TestServer(app))
        await client.start_server()
        return client

    with asyncio.Runner() as runner:
        client = runner.run(start())
        try:
            yield AiohttpSite(client, runner)
        finally:
            runner.run(client.close())


SITES: dict[str, Callable[..., Any]] = {
    "django": open_django,
    "django-async": open_async_django,
    "flask": open_flask,
    "fastapi": open_starlette,
    "aiohttp": open_aiohttp,
}
