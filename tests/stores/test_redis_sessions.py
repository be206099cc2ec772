"""What becomes of sessions when their Redis fails: an error or no session, and in time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis
import redis.asyncio
from both_worlds import closed
from delaying_proxy import DelayingProxy
from kept_sessions import Site

from auth0_tx import SessionPolicy, StoreError
from auth0_tx.stores import RedisStore
from auth0_tx.tenant import Tenant
from tests.e2e.sessions.logged_in import Browser
from tests.redis_server import RedisServer

SLACK = 1.0

Open = Callable[..., Site]


@pytest.fixture(params=[False, True], ids=["blocking", "async"])
async def open_site(
    request: pytest.FixtureRequest, auth0_tenant: Tenant
) -> AsyncIterator[Open]:
    """Open an application whose sessions are in the Redis at a URL."""
    is_async, sites = request.param, list[Site]()
    clients: list[Any] = []

    def make(url: str, prefix: str = "faults:") -> Site:
        clients.append((redis.asyncio if is_async else redis).Redis.from_url(url))
        store = RedisStore(clients[-1], prefix=prefix)
        sites.append(Site(auth0_tenant, store, is_async, url))
        return sites[-1]

    yield make
    for site in sites:
        await site.close()
    for client in clients:
        await closed(client)


async def timed(call: Any, within: float) -> Any:
    """Give what a call ends with, which must be soon."""
    start = time.monotonic()
    try:
        end = await call
    except StoreError as error:
        end = error
    took = time.monotonic() - start

    assert within + SLACK > took
    return end


async def test_down(open_site: Open, redis_server: Callable[[], RedisServer]) -> None:
    """A Redis that is down is an error, or no session where that is asked for."""
    server = redis_server()
    site, browser = open_site(server.url), Browser()
    await site.log_in(browser)
    lenient = site.client(session_policy=SessionPolicy(store_failure="no_session"))
    server.kill()

    assert isinstance(await timed(site.user(browser), 1.0), StoreError)
    assert await timed(site.user(browser, lenient), 1.0) is None
    assert browser.cookies

    server.start()

    assert await site.user(browser) is None
    await site.log_in(browser)
    assert "auth0|alice" == await site.user(browser)


async def test_slow(open_site: Open, proxy: DelayingProxy, redis_prefix: str) -> None:
    """A Redis that takes two seconds is given up after one, and then it goes on."""
    site = open_site(proxy.url, redis_prefix)
    alice, bob = Browser(), Browser()
    await site.log_in(alice, "alice")
    await site.log_in(bob, "bob")
    lenient = site.client(session_policy=SessionPolicy(store_failure="no_session"))
    proxy.delay = 2.0

    assert isinstance(await timed(site.user(alice), 1.0), StoreError)
    assert await timed(site.user(alice, lenient), 1.0) is None

    proxy.delay = 0.0

    assert "auth0|bob" == await site.user(bob)
    assert "auth0|alice" == await site.user(alice)


async def test_login_that_cannot_be_kept(
    open_site: Open, redis_server: Callable[[], RedisServer]
) -> None:
    """Tokens that were issued are in the error, when there is nowhere to keep them."""
    server = redis_server()
    site, browser = open_site(server.url), Browser()
    server.kill()
    error = await timed(site.log_in(browser), 1.0)

    assert isinstance(error, StoreError)
    assert error.tokens_issued
    assert error.response.id_token
    assert {} == browser.cookies


async def test_read_only(
    open_site: Open, redis_server: Callable[[], RedisServer]
) -> None:
    """While Redis fails over to a replica, who is logged in is known, and none can log in."""
    server = redis_server()
    site, browser = open_site(server.url), Browser()
    await site.log_in(browser)
    with redis.Redis.from_url(server.url) as admin:
        # A replica that has not yet heard from its primary has what it had.
        admin.execute_command("REPLICAOF", "127.0.0.1", 1)

        assert "auth0|alice" == await timed(site.user(browser), 1.0)
        assert isinstance(await timed(site.log_in(Browser()), 1.0), StoreError)
        assert isinstance(await timed(site.call(browser, "logout"), 1.0), StoreError)

        admin.execute_command("REPLICAOF", "NO", "ONE")
    await site.log_in(browser, "bob")

    assert "auth0|bob" == await site.user(browser)
