"""An application, and a client, that is served several times in one process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from auth0_tx import AsyncServerClient, ConfigurationError
from auth0_tx.integrations.aiohttp_web import CLIENT, auth0_of, setup
from auth0_tx.tenant import Tenant
from tests.integrations.aiohttp_web.applications import run
from tests.integrations.async_sites import login_options, make_settings


async def login(request: web.Request) -> web.Response:
    """Log in."""
    await auth0_of(request).login(login_options(await request.text()))
    return web.Response(text="logged in")


def make_app(client: Any, **keywords: Any) -> web.Application:
    """Make an application whose client logs users in."""
    app = web.Application()
    setup(app, client, **keywords)
    app.add_routes([web.post("/login", login)])
    return app


async def log_in_with_test_client(app: web.Application, tenant: Tenant) -> int:
    """Log in to an application through a test client of aiohttp."""
    async with TestClient(TestServer(app)) as client:
        token = tenant.subject_token("auth0|alice")
        return (await client.post("/login", data=token)).status


@pytest.mark.parametrize("is_factory", [False, True], ids=["client", "factory"])
async def test_application_runs_twice(auth0_tenant: Tenant, is_factory: bool) -> None:
    """Each run of one application is served, with new connections."""
    settings = make_settings(auth0_tenant)
    source: Any = AsyncServerClient(**settings)
    if is_factory:
        source = lambda: AsyncServerClient(**settings)  # noqa: E731
    app, connections = make_app(source), []
    for _ in range(2):
        assert 200 == await log_in_with_test_client(app, auth0_tenant)
        connections.append(auth0_tenant.connections)

    assert connections[0] < connections[1]


async def test_runner_twice(auth0_tenant: Tenant) -> None:
    """``web.AppRunner`` may set an application up again after its cleanup."""
    app = make_app(AsyncServerClient(**make_settings(auth0_tenant)))
    for _ in range(3):
        async with run(app):
            await app[CLIENT].check_tenant()


def test_client_of_several_loops(auth0_tenant: Tenant) -> None:
    """A client that was made at import serves one application after another, each on a loop."""
    client = AsyncServerClient(**make_settings(auth0_tenant))
    for _ in range(3):
        status = asyncio.run(log_in_with_test_client(make_app(client), auth0_tenant))
        assert 200 == status


async def test_client_of_two_applications(auth0_tenant: Tenant) -> None:
    """The first application to end does not end the other's client."""
    client = AsyncServerClient(**make_settings(auth0_tenant))
    async with run(make_app(client)):
        assert 200 == await log_in_with_test_client(make_app(client), auth0_tenant)
        await client.check_tenant()


async def test_connections_end_with_the_application(auth0_tenant: Tenant) -> None:
    """No connection is left open after a cleanup."""
    client = AsyncServerClient(**make_settings(auth0_tenant))
    async with run(make_app(client)):
        await client.check_tenant()
        assert client._transport._states
    assert not client._transport._states


async def test_async_factory(auth0_tenant: Tenant) -> None:
    """A function that makes the client may be ``async``."""

    async def make() -> AsyncServerClient:
        return AsyncServerClient(**make_settings(auth0_tenant))

    assert 200 == await log_in_with_test_client(make_app(make), auth0_tenant)


async def test_factory_of_something_else() -> None:
    """A function that makes no client fails the start, and says so."""
    runner = web.AppRunner(make_app(lambda: "client"))

    with pytest.raises(ConfigurationError, match="must return an AsyncServerClient"):
        await runner.setup()
    await runner.cleanup()


def test_no_client() -> None:
    """What is neither a client nor a function is refused at once."""
    with pytest.raises(ConfigurationError, match="AsyncServerClient"):
        setup(web.Application(), "client")  # type: ignore[arg-type]
