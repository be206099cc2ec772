"""Two applications with one of everything: neither touches a session of the other.

They have the same secret, the same store with the same prefix, and the same cookie name.  They
are two clients of one tenant, or two tenants' clients of the same name.  Alice is a user of
both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import attrs
import pytest

from auth0_tx import BackchannelLogoutError, LoginRequiredError
from auth0_tx.tenant import Application, Certificates, KeySupply, Settings, Tenant
from tests.e2e.sessions.logins import AUDIENCE, Browser, count_refreshes
from tests.e2e.sessions.moved_clock import MovedClock
from tests.e2e.sessions.visits import (
    LOGIN,
    build_options,
    close,
    make_client,
    read_claims,
    visit,
)
from tests.stores.both_worlds import resolve
from tests.stores.every_store import BLOCKING, EVERY_KIND, open_store

ALICE = "auth0|alice"
SUBJECTS = ("one tenant", "two tenants")
WORLDS = ("blocking", "async")
HOUR = 3_600.0


@attrs.define(eq=False)
class Shop:
    """One of the two applications."""

    tenant: Tenant
    client_id: str
    client: Any

    async def log_in(self, browser: Browser | None = None) -> Browser:
        """Log Alice in, and return the browser."""
        browser = browser or Browser()
        options = build_options(self.tenant, ALICE)
        done = await visit(self.client, browser, LOGIN, options)
        assert done.error is None, done.error
        browser.take(done.answer)
        return browser

    async def find_user(self, browser: Browser) -> str | None:
        """Return the ``sub`` of a browser's user."""
        done = await visit(self.client, browser, "get_user")
        assert done.error is None, done.error
        browser.take(done.answer)
        return done.value and str(done.value["sub"])

    async def find_session_id(self, browser: Browser) -> Any:
        """Return the ``sid`` of a browser's session at Auth0."""
        done = await visit(self.client, browser, "get_session")
        return done.value["user"].get("sid")

    def sign_logout_token(self, **claims: Any) -> str:
        """Return a logout token for this application."""
        return self.tenant.logout_token(ALICE, client_id=self.client_id, **claims)

    async def take_logout_token(self, token: str) -> None:
        """Take a logout token."""
        await resolve(self.client.handle_backchannel_logout(token))


@attrs.define(eq=False)
class Shops:
    """Both applications."""

    first: Shop
    second: Shop
    clock: MovedClock
    is_in_cookies: bool


@pytest.fixture(
    params=[
        (kind, world, subject)
        for subject in SUBJECTS
        for kind in EVERY_KIND
        for world in WORLDS
        if world == "blocking" or kind not in BLOCKING
    ],
    ids=", ".join,
)
async def shops(
    request: pytest.FixtureRequest,
    auth0_tenant_keys: KeySupply,
    auth0_tenant_certificates: Certificates,
) -> AsyncIterator[Shops]:
    """Return two applications that share all that they can."""
    kind, world, subject = request.param
    is_async, clock = world == "async", MovedClock()
    redis_url = request.getfixturevalue("redis_url") if kind == "redis" else ""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            open_store(kind, is_async=is_async, redis_url=redis_url)
        )
        tenants = [
            stack.enter_context(
                Tenant(
                    clock=clock,
                    client_secret="of both applications, and long enough: 0123456789",
                    settings=Settings(session_ids=True, cache_control="max-age=86400"),
                    keys=auth0_tenant_keys,
                    certificates=auth0_tenant_certificates,
                )
            )
            for _ in range(1 if subject == "one tenant" else 2)
        ]
        for tenant in tenants:
            tenant.apis.change(AUDIENCE, token_lifetime=int(HOUR))
        ids = [tenants[0].client_id, tenants[-1].client_id]
        if len(tenants) == 1:
            ids[1] = "another-client"
            tenants[0].applications.add(
                Application("another-client", tenants[0].client_secret)
            )
        shops = [
            Shop(
                tenant,
                client_id,
                make_client(
                    tenant,
                    store,
                    is_async=is_async,
                    client_id=client_id,
                    clock=clock,
                ),
            )
            for tenant, client_id in zip((tenants[0], tenants[-1]), ids, strict=True)
        ]
        for shop in shops:
            stack.push_async_callback(close, shop.client)
        yield Shops(shops[0], shops[1], clock, kind == "cookies")


async def test_session_of_the_other(shops: Shops) -> None:
    """A session opens where its user logged in, and nowhere else."""
    browser = await shops.first.log_in()
    copy = Browser(dict(browser.cookies))

    assert await shops.second.find_user(copy) is None
    assert (await visit(shops.second.client, copy, "get_session")).value is None
    assert ALICE == await shops.first.find_user(browser)
    # Looking did the copy no harm either.
    assert ALICE == await shops.first.find_user(copy)


async def test_refresh_of_the_other(shops: Shops) -> None:
    """No refresh token is sent by an application that it was not issued to."""
    browser = await shops.first.log_in()
    await shops.second.log_in()
    shops.clock.move(2 * HOUR)
    copy = Browser(dict(browser.cookies))
    refused = await visit(shops.second.client, copy, "get_access_token", AUDIENCE)

    assert isinstance(refused.error, LoginRequiredError)
    assert 0 == count_refreshes(shops.first.tenant)
    assert 0 == count_refreshes(shops.second.tenant)

    done = await visit(shops.first.client, browser, "get_access_token", AUDIENCE)

    assert ALICE == read_claims(done.value)["sub"]
    assert shops.first.client_id == read_claims(done.value)["azp"]


async def test_logout_of_the_other(shops: Shops) -> None:
    """A logout of one application ends no session of the other, and revokes none of its tokens."""
    browser = await shops.first.log_in()
    copy = Browser(dict(browser.cookies))
    done = await visit(shops.second.client, copy, "logout")
    copy.take(done.answer)

    assert done.error is None
    assert ALICE == await shops.first.find_user(browser)
    assert [shops.first.client_id] == [
        token.client_id for token in shops.first.tenant.refresh_tokens
    ]


async def test_login_of_the_other(shops: Shops) -> None:
    """A login of one application leaves the other's session as it was."""
    browser = await shops.first.log_in()
    copy = await shops.second.log_in(Browser(dict(browser.cookies)))

    assert ALICE == await shops.second.find_user(copy)
    assert await shops.first.find_user(copy) is None
    assert ALICE == await shops.first.find_user(browser)


async def test_backchannel_logout_of_the_other(shops: Shops) -> None:
    """A logout token ends the sessions of the application that it is for."""
    if shops.is_in_cookies:
        return
    first, second = shops.first, shops.second
    mine, theirs = await first.log_in(), await second.log_in()
    with pytest.raises(BackchannelLogoutError):
        await second.take_logout_token(first.sign_logout_token())

    assert ALICE == await first.find_user(mine)
    assert ALICE == await second.find_user(theirs)

    await second.take_logout_token(second.sign_logout_token(jti="of both"))

    assert ALICE == await first.find_user(mine)
    assert await second.find_user(theirs) is None

    # A ``jti`` is unique among its issuer's tokens for one client at most.
    await first.take_logout_token(first.sign_logout_token(jti="of both"))

    assert await first.find_user(mine) is None


async def test_backchannel_logout_by_sid_of_the_other(shops: Shops) -> None:
    """The same by ``sid``: the session of that id at the other application stays."""
    if shops.is_in_cookies:
        return
    first, second = shops.first, shops.second
    mine = await first.log_in()
    theirs = await second.log_in()
    session_id = await first.find_session_id(mine)
    assert session_id
    await second.take_logout_token(second.sign_logout_token(session_id=session_id))

    assert ALICE == await first.find_user(mine)
    assert ALICE == await second.find_user(theirs)

    await first.take_logout_token(first.sign_logout_token(session_id=session_id))

    assert await first.find_user(mine) is None
    assert ALICE == await second.find_user(theirs)


async def test_end_sessions_of_the_other(shops: Shops) -> None:
    """An application ends all sessions of a user that it has made, and no others."""
    if shops.is_in_cookies:
        return
    mine = [await shops.first.log_in() for _ in range(2)]
    theirs = await shops.second.log_in()

    assert 1 == await resolve(shops.second.client.end_sessions(sub=ALICE))
    assert [ALICE, ALICE] == [await shops.first.find_user(each) for each in mine]
    assert await shops.second.find_user(theirs) is None
    assert 2 == await resolve(shops.first.client.end_sessions(sub=ALICE))
    assert [None, None] == [await shops.first.find_user(each) for each in mine]
