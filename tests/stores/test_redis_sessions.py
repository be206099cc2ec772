"""Sessions whose Redis fails: an error or no session, and in time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis
import redis.asyncio

from auth0_tx import SessionPolicy, StoreError
from auth0_tx.stores import RedisStore
from auth0_tx.tenant import Tenant
from tests.e2e.sessions.logins import Browser
from tests.redis_server import RedisServer
from tests.stores.both_worlds import close_client
from tests.stores.delaying_proxy import DelayingProxy
from tests.stores.session_site import Site

SLACK = 1.0

Open = Callable[..., Site]


@pytest.fixture(params=[False, True], ids=["blocking", "async"])
async def open_site(
    request: pytest.FixtureRequest, auth0_tenant: Tenant
) -> AsyncIterator[Open]:
    """Return a function that opens an application whose sessions are in a Redis."""
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
        await close_client(client)


async def end_within(call: Any, within: float) -> Any:
    """Return what a call returns or raises, which must be soon."""
    start = time.monotonic()
    try:
        end = await call
    except StoreError as error:
        end = error
    took = time.monotonic() - start

    assert within + SLACK > took
    return end


async def test_down(open_site: Open, redis_server: Callable[[], RedisServer]) -> None:
    """A Redis that is down is an error, or no session if the policy says so."""
    server = redis_server()
    site, browser = open_site(server.url), Browser()
    await site.log_in(browser)
    lenient = site.make_client(session_policy=SessionPolicy(store_failure="no_session"))
    server.kill()

    assert isinstance(await end_within(site.get_subject(browser), 1.0), StoreError)
    assert await end_within(site.get_subject(browser, lenient), 1.0) is None
    assert browser.cookies

    server.start()

    assert await site.get_subject(browser) is None
    await site.log_in(browser)
    assert "auth0|alice" == await site.get_subject(browser)


async def test_slow(open_site: Open, proxy: DelayingProxy, redis_prefix: str) -> None:
    """A Redis that takes two seconds is given up after one, and used again later."""
    site = open_site(proxy.url, redis_prefix)
    alice, bob = Browser(), Browser()
    await site.log_in(alice, "alice")
    await site.log_in(bob, "bob")
    lenient = site.make_client(session_policy=SessionPolicy(store_failure="no_session"))
    proxy.delay = 2.0

    assert isinstance(await end_within(site.get_subject(alice), 1.0), StoreError)
    assert await end_within(site.get_subject(alice, lenient), 1.0) is None

    proxy.delay = 0.0

    assert "auth0|bob" == await site.get_subject(bob)
    assert "auth0|alice" == await site.get_subject(alice)


async def test_login_that_cannot_be_kept(
    open_site: Open, redis_server: Callable[[], RedisServer]
) -> None:
    """If a new session cannot be stored, the error has its tokens."""
    server = redis_server()
    site, browser = open_site(server.url), Browser()
    server.kill()
    error = await end_within(site.log_in(browser), 1.0)

    assert isinstance(error, StoreError)
    assert error.tokens_issued
    assert error.response.id_token
    assert {} == browser.cookies


async def test_read_only(
    open_site: Open, redis_server: Callable[[], RedisServer]
) -> None:
    """While Redis fails over, sessions can be read, and nobody can log in."""
    server = redis_server()
    site, browser = open_site(server.url), Browser()
    await site.log_in(browser)
    with redis.Redis.from_url(server.url) as admin:
        # A replica that has not yet heard from its primary has what it had.
        admin.execute_command("REPLICAOF", "127.0.0.1", 1)

        assert "auth0|alice" == await end_within(site.get_subject(browser), 1.0)
        assert isinstance(await end_within(site.log_in(Browser()), 1.0), StoreError)
        assert isinstance(
            await end_within(site.call(browser, "logout"), 1.0), StoreError
        )

        admin.execute_command("REPLICAOF", "NO", "ONE")
    await site.log_in(browser, "bob")

    assert "auth0|bob" == await site.get_subject(browser)
