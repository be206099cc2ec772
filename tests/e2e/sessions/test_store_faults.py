"""Each command of a store fails before or after its effect, in every operation of a session.

Nobody can tell the two failures apart: in both, the command raised.  So whatever a flow has
begun when a command fails must be sound as it is, and whatever is left must be done by the
same call again, or by the next.  In memory, all single failures are tried, two failures near
each other, and a store that is down from a command on.  The other stores have the single
failures: they differ in what a command does, not in when it is sent.

A table is tried in one test: what broke is listed, with the commands that failed.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import attrs
import pytest

from auth0_tx import (
    Auth0Error,
    BackchannelLogoutError,
    LoginRequiredError,
    SessionPolicy,
    StoreError,
)
from auth0_tx.tenant import Certificates, KeySupply, Settings, Tenant
from tests.e2e.sessions.logins import AUDIENCE, Browser, count_refreshes
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
from tests.stores.both_worlds import resolve
from tests.stores.every_store import BLOCKING, ON_THE_SERVER, open_store
from tests.stores.failing_store import Choose, FailingStore, When

HOUR = 3_600.0

BOUND = 2
"""The sessions that a user may have."""

# All trials of a table together take weeks.
POLICY = SessionPolicy(absolute_seconds=10**8, max_sessions=BOUND)

WORLDS = ("blocking", "async")
MOMENTS: tuple[When, ...] = ("before", "after")


@attrs.define(eq=False)
class World:
    """A tenant, its application's store, which fails, and two clients over it.

    Attributes:
        first: the client whose operations meet the failures.
        second: a client of another process, as far as anybody can see.
        bob: another user's browser, which nothing must happen to.
        broken: the expectations that did not hold, each with the failures it was met with.
    """

    tenant: Tenant
    clock: MovedClock
    store: FailingStore
    first: Any
    second: Any
    bob: Browser = attrs.field(factory=Browser)
    broken: list[str] = attrs.field(factory=list)
    faults: str = ""
    _number: Iterator[int] = attrs.field(factory=itertools.count)

    def expect(self, condition: object, text: str) -> None:
        """Note an expectation that does not hold."""
        if not condition:
            commands = ", ".join(self.store.commands)
            self.broken.append(f"{self.faults} of [{commands}]: {text}")

    async def move(self, seconds: float) -> None:
        """Let time pass; the other user comes by, so that the other session goes on."""
        self.clock.move(seconds)
        done = await visit(self.second, self.bob, "get_user")
        self.bob.take(done.answer)

    def make_user(self) -> str:
        """Return the ``sub`` of a new user of the tenant."""
        return add_user(self.tenant, f"user-{next(self._number)}")

    async def log_in(self, user: str, **changes: Any) -> Browser:
        """Return the browser of a user who has logged in."""
        browser = Browser()
        options = build_options(self.tenant, user, **changes)
        done = await visit(self.first, browser, LOGIN, options)
        assert done.error is None, done.error
        browser.take(done.answer)
        return browser

    async def attempt(
        self, browser: Browser, method: str, *arguments: Any, **named: Any
    ) -> Visit:
        """Serve a request amid the failures, deliver its answer, and mend the store."""
        done = await visit(self.first, browser, method, *arguments, **named)
        self.store.heal()
        self.expect(
            done.is_good or isinstance(done.error, Auth0Error),
            f"a foreign error came out: {done.error!r}",
        )
        browser.take(done.answer)
        return done

    async def find_user(self, browser: Browser, client: Any = None) -> str | None:
        """Return the ``sub`` of a browser's user; the answer changes nothing."""
        done = await visit(client or self.second, browser, "get_user")
        self.expect(done.is_good, f"a healthy store, and get_user raised {done.error}")
        return done.value and str(done.value["sub"])

    async def expect_user(self, browser: Browser, user: str | None) -> None:
        """Both clients see the user, or nobody."""
        for client in (self.first, self.second):
            found = await self.find_user(browser, client)
            self.expect(user == found, f"{user} expected, and {found} is logged in")

    async def expect_token(self, browser: Browser, user: str, client: Any) -> None:
        """A client returns a token of the user, for the audience."""
        done = await visit(client, browser, "get_access_token", AUDIENCE)
        browser.take(done.answer)
        if done.error is not None:
            self.expect(False, f"no token, with a healthy store: {done.error!r}")
            return
        claims = read_claims(done.value)
        self.expect(user == claims["sub"], f"the token of {claims['sub']}")
        self.expect(AUDIENCE in claims["aud"], f"a token for {claims['aud']}")
        self.expect(self.clock() < claims["exp"], "a token that has expired")

    async def expect_lasting(self, browser: Browser, user: str) -> None:
        """The session is whole: hours later each client in turn renews its tokens."""
        await self.expect_user(browser, user)
        await self.expect_token(browser, user, self.first)
        for client in (self.second, self.first):
            await self.move(2 * HOUR)
            await self.expect_token(browser, user, client)
            await self.expect_user(browser, user)


Trial: TypeAlias = Callable[[World, Choose], Awaitable[None]]


async def log_in(world: World, choose: Choose) -> None:
    """A login gives a working session, which Auth0 can end, or an error with the tokens."""
    browser, user = Browser(), world.make_user()
    options = build_options(world.tenant, user)
    world.store.plan(choose)
    done = await world.attempt(browser, LOGIN, options)

    if done.is_good:
        world.expect(user == done.value.state_data["user"]["sub"], "another's session")
        await world.expect_lasting(browser, user)
        await expect_ended_by_auth0(world, browser, user)
    else:
        expect_tokens(world, done, user)
        await world.expect_user(browser, None)


async def log_in_over_another(world: World, choose: Choose) -> None:
    """The same over another user's session, of which nothing is left in the browser."""
    earlier, user = world.make_user(), world.make_user()
    browser = await world.log_in(earlier)
    options = build_options(world.tenant, user)
    world.store.plan(choose)
    done = await world.attempt(browser, LOGIN, options)

    if done.is_good:
        await world.expect_lasting(browser, user)
        await expect_ended_by_auth0(world, browser, user)
    else:
        expect_tokens(world, done, user)
        # Nothing was said of the earlier session: it may have ended, or not.
        found = await world.find_user(browser)
        world.expect(found in (earlier, None), f"{found} is logged in")


async def read(world: World, choose: Choose) -> None:
    """A read returns the user, or a StoreError; the session is none the worse."""
    user = world.make_user()
    browser = await world.log_in(user)
    world.store.plan(choose)
    done = await world.attempt(browser, "get_user")

    expect_read(world, done, user)
    await world.expect_lasting(browser, user)


async def read_after_hours(world: World, choose: Choose) -> None:
    """The same where the use of the session is noted, so that it lasts longer."""
    user = world.make_user()
    browser = await world.log_in(user)
    await world.move(20 * HOUR)
    world.store.plan(choose)
    done = await world.attempt(browser, "get_user")

    expect_read(world, done, user)
    if done.is_good:
        # A use whose note failed is noted by the next.
        again = await visit(world.first, browser, "get_user")
        browser.take(again.answer)
        await world.move(20 * HOUR)
    await world.expect_lasting(browser, user)


async def refresh(world: World, choose: Choose) -> None:
    """A refresh loses nothing, in whatever way it ended."""
    user = world.make_user()
    browser = await world.log_in(user)
    await world.move(2 * HOUR)
    world.store.plan(choose)
    done = await world.attempt(browser, "get_access_token", AUDIENCE)

    if done.is_good:
        claims = read_claims(done.value)
        world.expect(user == claims["sub"], f"the token of {claims['sub']}")
        world.expect(world.clock() < claims["exp"], "a token that has expired")
        # It was kept: another process has it, and needs none of this one's memory.
        await world.expect_token(browser, user, world.second)
    else:
        world.expect(
            not isinstance(done.error, LoginRequiredError), "a login is required"
        )
        await world.expect_token(browser, user, world.first)
    world.expect(1 == count_refreshes(world.tenant), "not one refresh")
    await world.expect_lasting(browser, user)


async def exchange_again(world: World, choose: Choose) -> None:
    """A session without a refresh token is renewed by another exchange, or stays as it was."""
    user = world.make_user()
    browser = await world.log_in(user, scope="openid read:data")
    await world.move(2 * HOUR)

    def supply() -> Any:
        return build_options(world.tenant, user, scope="openid read:data")

    world.store.plan(choose)
    done = await world.attempt(
        browser, "get_access_token", AUDIENCE, subject_token_supplier=supply
    )
    if done.is_good:
        world.expect(user == read_claims(done.value)["sub"], "another's token")
    await world.expect_user(browser, user)
    again = await visit(
        world.second,
        browser,
        "get_access_token",
        AUDIENCE,
        subject_token_supplier=supply,
    )
    world.expect(again.is_good, f"it cannot be renewed any more: {again.error!r}")


async def log_out(world: World, choose: Choose) -> None:
    """After a logout the browser has no session; if it raised, the same again ends it."""
    user = world.make_user()
    browser = await world.log_in(user)
    before = Browser(dict(browser.cookies))
    world.store.plan(choose)
    done = await world.attempt(browser, "logout")

    await world.expect_user(browser, None)
    if not done.is_good:
        world.expect(isinstance(done.error, StoreError), f"raised {done.error!r}")
        # The error page may have had none of our cookies: the browser asks once more.
        again = await visit(world.first, before, "logout")
        world.expect(again.is_good, f"again, with a healthy store: {again.error!r}")
    await world.expect_user(before, None)


async def end_by_auth0(world: World, choose: Choose) -> None:
    """A logout token that was taken has ended all it names; one that was not is sent again."""
    user = world.make_user()
    browsers = [await world.log_in(user) for _ in range(2)]
    await send_logout_token(world, choose, user)
    for browser in browsers:
        await world.expect_user(browser, None)
    # Whoever logs in again is logged in.
    await world.expect_lasting(await world.log_in(user), user)


async def end_one_by_auth0(world: World, choose: Choose) -> None:
    """A logout token with a ``sid`` ends that session, and no other of its user."""
    user = world.make_user()
    browser, other = [await world.log_in(user) for _ in range(2)]
    shown = await visit(world.second, browser, "get_session")
    await send_logout_token(world, choose, user, shown.value["user"]["sid"])
    await world.expect_user(browser, None)
    await world.expect_lasting(other, user)


async def end_all(world: World, choose: Choose) -> None:
    """Sessions of a user that could not be ended are ended by the same call again."""
    user = world.make_user()
    browsers = [await world.log_in(user) for _ in range(2)]
    world.store.plan(choose)
    done = await visit_end_sessions(world, user)
    world.store.heal()
    if done.is_good:
        world.expect(2 == done.value, f"it says that it ended {done.value}")
    else:
        world.expect(isinstance(done.error, StoreError), f"raised {done.error!r}")
        again = await visit_end_sessions(world, user)
        world.expect(again.is_good, f"again, with a healthy store: {again.error!r}")
    for browser in browsers:
        await world.expect_user(browser, None)


async def log_in_beyond_bound(world: World, choose: Choose) -> None:
    """A login ends the user's oldest session beyond the bound, by the next login at the latest."""
    user = world.make_user()
    browsers = [await world.log_in(user) for _ in range(BOUND)]
    browser, options = Browser(), build_options(world.tenant, user)
    world.store.plan(choose)
    done = await world.attempt(browser, LOGIN, options)

    if done.is_good:
        await world.expect_user(browser, user)
    else:
        expect_tokens(world, done, user)
    has_failed = any(
        choose(number, name) for number, name in enumerate(world.store.commands, 1)
    )
    if not has_failed:
        await world.expect_user(browsers[0], None)
    last = await world.log_in(user)
    found = [await world.find_user(each) for each in (*browsers, browser, last)]
    world.expect(user == found[-1], "the newest session has ended")
    alive = len(found) - found.count(None)
    world.expect(alive <= BOUND, f"{alive} sessions of one user")
    # Nothing was ended that the bound left room for.
    world.expect(not done.is_good or found[-2] == user, "a session too many has ended")


async def visit_end_sessions(world: World, user: str) -> Visit:
    """End a user's sessions."""
    try:
        count = await resolve(world.first.end_sessions(sub=user))
    except Exception as error:
        world.expect(isinstance(error, Auth0Error), f"a foreign error: {error!r}")
        return Visit(None, error, {})
    return Visit(count, None, {})


async def send_logout_token(
    world: World, choose: Choose, user: str, session_id: str | None = None
) -> None:
    """Send a logout token amid the failures, and again until it is taken."""
    token = world.tenant.logout_token(user, session_id=session_id)
    world.store.plan(choose)
    done = await hand_in(world, token)
    world.store.heal()
    if not done.is_good:
        world.expect(isinstance(done.error, StoreError), f"raised {done.error!r}")
        again = await hand_in(world, token)
        world.expect(again.is_good, f"again, with a healthy store: {again.error!r}")
    replayed = await hand_in(world, token)
    world.expect(
        isinstance(replayed.error, BackchannelLogoutError),
        f"a token that was used counts again: {replayed}",
    )


async def hand_in(world: World, token: str) -> Visit:
    """Hand a logout token in."""
    try:
        await resolve(world.first.handle_backchannel_logout(token))
    except Exception as error:
        world.expect(isinstance(error, Auth0Error), f"a foreign error: {error!r}")
        return Visit(None, error, {})
    return Visit(None, None, {})


def expect_tokens(world: World, done: Visit, user: str) -> None:
    """A login that failed brings the tokens, which were issued for nothing otherwise."""
    world.expect(isinstance(done.error, StoreError), f"raised {done.error!r}")
    response = getattr(done.error, "response", None)
    if response is None:
        world.expect(False, f"the tokens are lost: {done.error!r}")
        return
    world.expect(user == read_claims(response.access_token)["sub"], "another's token")
    world.expect(response.refresh_token is not None, "the refresh token is lost")


def expect_read(world: World, done: Visit, user: str) -> None:
    """A read returns the user, or says that the store failed."""
    if done.is_good:
        found = done.value and done.value["sub"]
        world.expect(user == found, f"{found} is logged in")
    else:
        world.expect(isinstance(done.error, StoreError), f"raised {done.error!r}")


async def expect_ended_by_auth0(world: World, browser: Browser, user: str) -> None:
    """Auth0 can end the session: it was put in the index before the browser had it."""
    done = await hand_in(world, world.tenant.logout_token(user))
    world.expect(done.is_good, f"a logout token is refused: {done.error!r}")
    await world.expect_user(browser, None)


TRIALS: dict[str, Trial] = {
    "login": log_in,
    "login over another": log_in_over_another,
    "read": read,
    "read after hours": read_after_hours,
    "refresh": refresh,
    "exchange again": exchange_again,
    "logout": log_out,
    "back-channel logout": end_by_auth0,
    "back-channel logout of one": end_one_by_auth0,
    "end sessions": end_all,
    "login beyond the bound": log_in_beyond_bound,
}


def fail_at(*places: tuple[int, When]) -> Choose:
    """Fail the commands at some places, counted from 1."""
    moments = dict(places)
    return lambda number, _: moments.get(number)


def fail_from(first: int, when: When) -> Choose:
    """Fail each command from the *first* on."""
    return lambda number, _: when if number >= first else None


def list_single_faults(number: int) -> list[tuple[str, Choose]]:
    """Return the failures of one command."""
    return [(f"{number} {when}", fail_at((number, when))) for when in MOMENTS]


def list_more_faults(number: int) -> list[tuple[str, Choose]]:
    """Return the failures of several commands that begin with one."""
    pairs = [
        (
            f"{number} {when}, {number + step} {then}",
            fail_at((number, when), (number + step, then)),
        )
        for step in (1, 2)
        for when in MOMENTS
        for then in MOMENTS
    ]
    lasting = [(f"from {number} {when}", fail_from(number, when)) for when in MOMENTS]
    return [*pairs, *lasting]


@pytest.fixture
async def world(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    auth0_tenant_keys: KeySupply,
    auth0_tenant_certificates: Certificates,
) -> AsyncIterator[World]:
    """Return an application whose store fails, of the kind and world that a test names."""
    kind, name, trial = request.param
    is_async, clock = name == "async", MovedClock()
    redis_url = request.getfixturevalue("redis_url") if kind == "redis" else ""
    # A caller who could not give its lock back is waited for: in a test not for long.
    monkeypatch.setattr("auth0_tx.core.session.lock.LOCK_SECONDS", 0.1)
    async with AsyncExitStack() as stack:
        tenant = stack.enter_context(
            Tenant(
                clock=clock,
                settings=Settings(
                    session_ids=trial == "back-channel logout of one",
                    cache_control="max-age=86400",
                ),
                keys=auth0_tenant_keys,
                certificates=auth0_tenant_certificates,
            )
        )
        tenant.apis.change(AUDIENCE, token_lifetime=int(HOUR))
        inner = await stack.enter_async_context(
            open_store(kind, is_async=is_async, redis_url=redis_url)
        )
        awaits = is_async and kind in ("redis", "own")
        store = FailingStore(inner, awaits=awaits)
        clients = [
            make_client(
                tenant, store, is_async=is_async, clock=clock, session_policy=POLICY
            )
            for _ in range(2)
        ]
        for client in clients:
            stack.push_async_callback(close, client)
        world = World(tenant, clock, store, *clients)
        world.bob = await world.log_in("auth0|bob")
        yield world


def list_cases() -> list[Any]:
    """Return each operation in each world and kind of store."""
    return [
        pytest.param((kind, name, trial), trial, id=f"{trial}, {kind}, {name}")
        for trial in TRIALS
        for kind in ON_THE_SERVER
        for name in WORLDS
        if name == "blocking" or kind not in BLOCKING
    ]


async def try_faults(
    world: World, trial: str, list_faults: Callable[[int], list[tuple[str, Choose]]]
) -> None:
    """Try an operation with the failures that begin with its first command, its second, ..."""
    number, is_reached = 1, True
    while is_reached:
        is_reached = False
        for world.faults, choose in list_faults(number):
            world.tenant.clear()
            await TRIALS[trial](world, choose)
            is_reached = is_reached or len(world.store.commands) >= number
            world.expect(not list_reuses(world.tenant), "a refresh token was reused")
            found = await world.find_user(world.bob)
            world.expect("auth0|bob" == found, f"another browser became {found}'s")
        number += 1

    assert number > 2
    assert [] == world.broken


@pytest.mark.parametrize(("world", "trial"), list_cases(), indirect=["world"])
async def test_one_command_fails(world: World, trial: str) -> None:
    """Whichever command fails, and however, the operation keeps what is promised of it."""
    await try_faults(world, trial, list_single_faults)


IN_MEMORY = pytest.mark.parametrize(
    ("world", "trial"),
    [pytest.param(("memory", "async", trial), trial, id=trial) for trial in TRIALS],
    indirect=["world"],
)


@IN_MEMORY
async def test_several_commands_fail(world: World, trial: str) -> None:
    """The same if a second command fails, one of the next two, or all that follow."""
    await try_faults(world, trial, list_more_faults)


@IN_MEMORY
async def test_one_command_fails_slowly(
    world: World, trial: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same if it takes so long to fail that it is not tried again."""
    for module in ("store_calls", "session_lock"):
        monkeypatch.setattr(f"auth0_tx.core.flows.{module}.AT_ONCE", 0.0)
    await try_faults(world, trial, list_single_faults)
