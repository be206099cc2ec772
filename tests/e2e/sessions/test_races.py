"""Two requests over one store, their commands in every order.

Each is served by a client of its own, as by two processes.  A command runs when it is its
request's turn, and of each choice between the two, up to the fifth, both ways are tried.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import attrs
import pytest

from auth0_tx import Auth0Error, LoginRequiredError, SessionPolicy
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Certificates, KeySupply, Settings, Tenant
from tests.e2e.sessions.logins import AUDIENCE, Browser
from tests.e2e.sessions.moved_clock import MovedClock
from tests.e2e.sessions.visits import (
    LOGIN,
    Visit,
    add_user,
    build_options,
    close,
    list_reuses,
    make_client,
    read_claims,
    visit,
)
from tests.stores.stepped_store import SteppedStore, find_next_turns

HOUR = 3_600.0
BOUND = 2
"""The sessions that a user may have."""

POLICY = SessionPolicy(absolute_seconds=10**8, max_sessions=BOUND)

OPERATIONS = ("read", "token", "logout", "login over", "end by Auth0", "end sessions")
ENDS = {"logout", "login over", "end by Auth0", "end sessions"}


@attrs.define(eq=False)
class World:
    """A tenant, two clients over one stepped store, and what did not hold."""

    tenant: Tenant
    clock: MovedClock
    store: SteppedStore
    clients: tuple[Any, Any]
    broken: list[str] = attrs.field(factory=list)
    race: str = ""
    _number: Iterator[int] = attrs.field(factory=itertools.count)

    def expect(self, condition: object, text: str) -> None:
        """Note an expectation that does not hold."""
        if not condition:
            self.broken.append(f"{self.race}: {text}")

    def make_user(self) -> str:
        """Return the ``sub`` of a new user of the tenant."""
        return add_user(self.tenant, f"user-{next(self._number)}")

    async def log_in(self, user: str, browser: Browser | None = None) -> Browser:
        """Return the browser of a user who has logged in."""
        browser = browser or Browser()
        options = build_options(self.tenant, user)
        done = await visit(self.clients[0], browser, LOGIN, options)
        self.expect(done.is_good, f"a login failed: {done.error!r}")
        browser.take(done.answer)
        return browser

    async def find_user(self, browser: Browser) -> str | None:
        """Return the ``sub`` of a browser's user."""
        done = await visit(self.clients[1], browser, "get_user")
        self.expect(done.is_good, f"get_user failed: {done.error!r}")
        return done.value and str(done.value["sub"])

    async def expect_lasting(self, browser: Browser, user: str) -> None:
        """The session is whole: hours later each client in turn renews its tokens."""
        for client in self.clients:
            self.clock.move(2 * HOUR)
            done = await visit(client, browser, "get_access_token", AUDIENCE)
            browser.take(done.answer)
            if done.error is not None:
                self.expect(False, f"hours later: {done.error!r}")
                return
            self.expect(user == read_claims(done.value)["sub"], "another's token")


@attrs.define(eq=False)
class Party:
    """One of the two requests."""

    operation: str
    client: Any
    browser: Browser

    async def act(self, world: World, user: str, other: str) -> Visit:
        """Do it."""
        match self.operation:
            case "read":
                return await visit(self.client, self.browser, "get_user")
            case "token":
                return await visit(
                    self.client, self.browser, "get_access_token", AUDIENCE
                )
            case "logout":
                return await visit(self.client, self.browser, "logout")
            case "login over":
                options = build_options(world.tenant, other)
                return await visit(self.client, self.browser, LOGIN, options)
            case "end by Auth0":
                token = world.tenant.logout_token(user)
                return await attempt(self.client.handle_backchannel_logout(token))
            case _:
                return await attempt(self.client.end_sessions(sub=user))


async def attempt(call: Awaitable[Any]) -> Visit:
    """Return how a call went."""
    try:
        return Visit(await call, None, {})
    except Auth0Error as error:
        return Visit(None, error, {})


async def run_race(
    world: World, operations: tuple[str, str], turns: list[int]
) -> list[int]:
    """Let two operations race, and look at what is left; return the turns taken."""
    user, other = world.make_user(), world.make_user()
    browser = await world.log_in(user)
    # The access token has expired, and the use of the session is due to be noted.
    world.clock.move(3 * HOUR)
    world.tenant.clear()
    parties = [
        Party(operation, client, Browser(dict(browser.cookies)))
        for operation, client in zip(operations, world.clients, strict=True)
    ]
    acts: list[Callable[[], Any]] = [
        lambda party=party: party.act(world, user, other) for party in parties
    ]
    visits, taken = await world.store.race(acts, turns)
    world.race = f"{operations}, turns {taken}"
    for party, done in zip(parties, visits, strict=True):
        expect_visit(world, party, done, user, bool(ENDS & {*operations}))
    await expect_end(world, browser, user, operations)
    new = [
        (party.browser, done)
        for party, done in zip(parties, visits, strict=True)
        if party.operation == "login over" and done.is_good
    ]
    for new_browser, done in new:
        new_browser.take(done.answer)
        found = await world.find_user(new_browser)
        world.expect(other == found, f"{other} has logged in, and {found} is")
    # A logout token ends all sessions of the user at once.
    for new_browser, _ in new[:1]:
        await expect_reachable(world, new_browser, other)
    world.expect(not list_reuses(world.tenant), "a refresh token was reused")
    return taken


def expect_visit(
    world: World, party: Party, done: Visit, user: str, may_end: bool
) -> None:
    """A request succeeds, or says that a login is required if something ended the session."""
    if done.error is not None:
        world.expect(
            may_end
            and party.operation == "token"
            and isinstance(done.error, LoginRequiredError),
            f"{party.operation} raised {done.error!r}",
        )
    elif party.operation == "token":
        world.expect(user == read_claims(done.value)["sub"], "another's token")
    elif party.operation == "read":
        seen = done.value and done.value["sub"]
        world.expect(seen == user or (may_end and seen is None), f"{seen} was seen")


async def expect_end(
    world: World, browser: Browser, user: str, operations: tuple[str, str]
) -> None:
    """The session has ended if either operation ends it, and lasts if neither does."""
    found = await world.find_user(browser)
    if ENDS & {*operations}:
        world.expect(found is None, f"{found} is still logged in")
        # Nothing that the two left behind keeps the user from logging in.
        await expect_reachable(world, await world.log_in(user), user)
    else:
        world.expect(user == found, f"{user} expected, and {found} is logged in")
        await world.expect_lasting(browser, user)


async def expect_reachable(world: World, browser: Browser, user: str) -> None:
    """A new session is there, and Auth0 can end it."""
    found = await world.find_user(browser)
    world.expect(user == found, f"{user} has logged in, and {found} is")
    done = await attempt(
        world.clients[0].handle_backchannel_logout(world.tenant.logout_token(user))
    )
    world.expect(done.is_good, f"a logout token is refused: {done.error!r}")
    found = await world.find_user(browser)
    world.expect(found is None, f"{found} is logged in after Auth0 ended it")


async def run_login_race(world: World, operation: str, turns: list[int]) -> list[int]:
    """Let a login race with an end of all the user's sessions: it may end the new one too."""
    user = world.make_user()
    earlier = await world.log_in(user)
    parties = [
        Party("login over", world.clients[0], Browser()),
        Party(operation, world.clients[1], earlier),
    ]
    acts: list[Callable[[], Any]] = [
        lambda party=party: party.act(world, user, user) for party in parties
    ]
    (login, end), taken = await world.store.race(acts, turns)
    world.race = f"a new login, {operation}, turns {taken}"
    world.expect(login.is_good, f"the login failed: {login.error!r}")
    world.expect(end.is_good, f"the end failed: {end.error!r}")
    found = await world.find_user(earlier)
    world.expect(found is None, "the session of before is alive")
    browser = Browser()
    browser.take(login.answer)
    if await world.find_user(browser) is not None:
        # It began after the end, and must not have been taken out of the index by it.
        await expect_reachable(world, browser, user)
    return taken


@pytest.fixture
async def world(
    auth0_tenant_keys: KeySupply, auth0_tenant_certificates: Certificates
) -> AsyncIterator[World]:
    """Return an application with two clients over one store."""
    clock = MovedClock()
    async with AsyncExitStack() as stack:
        tenant = stack.enter_context(
            Tenant(
                clock=clock,
                settings=Settings(cache_control="max-age=86400"),
                keys=auth0_tenant_keys,
                certificates=auth0_tenant_certificates,
            )
        )
        tenant.apis.change(AUDIENCE, token_lifetime=int(HOUR))
        store = SteppedStore(MemoryStore())
        clients = [
            make_client(
                tenant, store, is_async=True, clock=clock, session_policy=POLICY
            )
            for _ in range(2)
        ]
        for client in clients:
            stack.push_async_callback(close, client)
        yield World(tenant, clock, store, (clients[0], clients[1]))


@pytest.mark.parametrize(
    "operations",
    list(itertools.combinations_with_replacement(OPERATIONS, 2)),
    ids=" and ".join,
)
async def test_two_requests(world: World, operations: tuple[str, str]) -> None:
    """In whatever order their commands run, the session holds, or has ended."""
    turns: list[int] | None = []
    while turns is not None:
        turns = find_next_turns(await run_race(world, operations, turns))

    assert [] == world.broken


@pytest.mark.parametrize("operation", ["end by Auth0", "end sessions"])
async def test_login_and_end(world: World, operation: str) -> None:
    """Whoever logs in while all sessions end is logged out too, or can be later."""
    turns: list[int] | None = []
    while turns is not None:
        turns = find_next_turns(await run_login_race(world, operation, turns))

    assert [] == world.broken


async def run_bounded_race(world: World, turns: list[int]) -> list[int]:
    """Let two logins of a user race who has as many sessions as the bound allows."""
    user = world.make_user()
    earlier = [await world.log_in(user) for _ in range(BOUND)]
    parties = [Party("login over", client, Browser()) for client in world.clients]
    acts: list[Callable[[], Any]] = [
        lambda party=party: party.act(world, user, user) for party in parties
    ]
    visits, taken = await world.store.race(acts, turns)
    world.race = f"two logins, turns {taken}"
    for party, done in zip(parties, visits, strict=True):
        world.expect(done.is_good, f"a login failed: {done.error!r}")
        party.browser.take(done.answer)
    browsers = [*earlier, *(party.browser for party in parties)]
    found = [await world.find_user(browser) for browser in browsers]
    world.expect([None] * BOUND + [user] * 2 == found, f"{found} are logged in")
    return taken


async def test_logins_beyond_bound(world: World) -> None:
    """Of several logins at once, the newest sessions are there afterwards, and no more."""
    turns: list[int] | None = []
    while turns is not None:
        turns = find_next_turns(await run_bounded_race(world, turns))

    assert [] == world.broken
