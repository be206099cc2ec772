"""Sites of every framework, each served once a module, with a tenant for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from secrets import token_hex

import attrs
import pytest
import redis

from auth0_tx.tenant import Api, Certificates, KeySupply, Tenant
from tests.frameworks import aiohttp_app, django_app, fastapi_app, flask_app
from tests.frameworks.actions import API, OTHER_API
from tests.frameworks.browser import Answer, Browser
from tests.frameworks.clients import SERVER_SIDE, STORES, Clock, World

SITES: dict[str, Callable[[World], AbstractContextManager[int]]] = {
    "django": django_app.serve,
    "flask": flask_app.serve,
    "fastapi": fastapi_app.serve,
    "fastapi-commit": partial(
        fastapi_app.serve, make=fastapi_app.make_site_with_middleware
    ),
    "aiohttp": aiohttp_app.serve,
}
LIFETIME = 600
"""Seconds that an access token lives, which is less than a session does."""


@attrs.frozen
class Site:
    """A running site, and what its visitors have in their hands."""

    name: str
    port: int
    store: str
    world: World

    def new_browser(self) -> Browser:
        """Return a browser without cookies."""
        return Browser(self.port, self.store)

    def log_in(self, browser: Browser, user: str = "alice", **query: str) -> Answer:
        """Log a user in with a token of the external system."""
        token = self.world.tenant.subject_token(f"auth0|{user}")
        answer = browser.post("login", token, **query)
        assert 200 == answer.status, answer
        return answer

    def log_in_new_browser(self, user: str = "alice", **query: str) -> Browser:
        """Return a browser in which a user has logged in."""
        browser = self.new_browser()
        self.log_in(browser, user, **query)
        return browser

    def let_tokens_expire(self) -> None:
        """Let the time pass that an access token lives."""
        self.world.clock.now += LIFETIME + 1

    def count_refreshes(self) -> int:
        """Count the refresh requests of the tenant so far."""
        requests = self.world.tenant.requests
        return sum(b"grant_type=refresh_token" in request.body for request in requests)


@pytest.fixture(scope="module")
def world(
    auth0_tenant_keys: KeySupply,
    auth0_tenant_certificates: Certificates,
    redis_url: str,
) -> Iterator[World]:
    """A tenant whose access tokens live shorter than sessions."""
    clock, prefix = Clock(), f"auth0_tx-test:{token_hex(8)}:"
    tenant = Tenant(
        keys=auth0_tenant_keys, certificates=auth0_tenant_certificates, clock=clock
    )
    tenant.apis.change(API, token_lifetime=LIFETIME)
    tenant.apis.add(Api(OTHER_API, token_lifetime=LIFETIME, allow_offline_access=True))
    with tenant:
        yield World(tenant, clock, redis_url, prefix)
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.delete(key)


@pytest.fixture(scope="module", params=SITES)
def running(request: pytest.FixtureRequest, world: World) -> Iterator[tuple[str, int]]:
    """A site of each framework."""
    with SITES[request.param](world) as port:
        yield request.param, port


@pytest.fixture(params=STORES)
def site(
    request: pytest.FixtureRequest, running: tuple[str, int], world: World
) -> Site:
    """A site with each way of keeping sessions."""
    return Site(*running, request.param, world)


@pytest.fixture(params=SERVER_SIDE)
def server_side(
    request: pytest.FixtureRequest, running: tuple[str, int], world: World
) -> Site:
    """A site that keeps sessions on its server."""
    return Site(*running, request.param, world)
