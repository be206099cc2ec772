"""Requests of one browser that end in any order, and answers that arrive in any order.

A browser sends two or three requests at once, with the same cookies: it reads its user, asks
for an access token that is due for a refresh, logs out, or logs in as somebody else.  The server
answers them in each order, one after another or while Auth0's answer to the refresh is on its
way; and in each order the answers arrive.  The tenant rotates refresh tokens, and ends the
family of one that is used twice.

Two clients, as two processes have them, serve the requests where sessions are on the server.
A session in cookies is served by one: nothing tells two processes of each other there.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import attrs
import pytest

from auth0_tx import LoginRequiredError, SessionPolicy
from auth0_tx.tenant import Api, Certificates, KeySupply, Reply, Settings, Tenant
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
    serve,
    visit,
)
from tests.stores.every_store import BLOCKING, EVERY_KIND, open_store

HOUR = 3_600.0
OTHER_AUDIENCE = "https://other.example.com"

# All orders together take weeks.
POLICY = SessionPolicy(absolute_seconds=10**8)

THREE = ("read", "token", "logout")
OPERATIONS = (*THREE, "login")


SHARES = (
    "cookies, blocking",
    "memory, blocking",
    "redis, blocking",
    "redis, async",
    "django, blocking",
    "django database, blocking",
    "own, blocking",
    "own, async",
)
"""The stores and worlds that share the orders of three requests."""


@attrs.frozen
class Order:
    """An order of ends and of arrivals.

    Attributes:
        operations: what the requests do, in the order in which they end.
        arrivals: the numbers of the requests, in the order in which their answers arrive.
        overlaps: whether all others that end before a refresh begin while it is under way.
    """

    operations: tuple[str, ...]
    arrivals: tuple[int, ...]
    overlaps: bool

    def __str__(self) -> str:
        arriving = ", ".join(self.operations[number] for number in self.arrivals)
        how = "during a refresh" if self.overlaps else "one by one"
        return f"{', '.join(self.operations)} ({how}); arriving {arriving}"


def list_orders(count: int) -> Iterator[Order]:
    """Yield every order of so many requests."""
    # The rules for logins are seen with two requests; more take long.
    among = OPERATIONS if count == 2 else THREE
    for operations in itertools.product(among, repeat=count):
        for arrivals in itertools.permutations(range(count)):
            yield Order(operations, arrivals, False)
            # Something ends before the refresh does, or two ask for it at once.
            if "token" in operations[1:]:
                yield Order(operations, arrivals, True)


class Gate:
    """Holds back the tenant's answers to refreshes, which it has acted on by then."""

    def __init__(self, tenant: Tenant) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()
        self._opened.set()
        tenant.alter_reply(self._hold)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold answers back, until the end of the block at the latest."""
        self._reached.clear()
        self._opened.clear()
        try:
            yield
        finally:
            self._opened.set()

    def open(self) -> None:
        """Let the answers go."""
        self._opened.set()

    async def wait_until_reached(self) -> None:
        """Wait until an answer is held back."""
        assert await asyncio.to_thread(self._reached.wait, 10)

    def _hold(self, reply: Reply) -> Reply:
        # An exchange says what it issued (RFC 8693 section 2.2.1); a refresh does not.
        if b"issued_token_type" not in reply.body:
            self._reached.set()
            self._opened.wait(10)
        return reply


@attrs.define(eq=False)
class World:
    """A tenant, and two clients of its application over one store, each with its own memory."""

    tenant: Tenant
    clock: MovedClock
    clients: tuple[Any, ...]
    is_in_cookies: bool
    is_async: bool
    broken: list[str] = attrs.field(factory=list)
    order: Order | None = None
    _number: Iterator[int] = attrs.field(factory=itertools.count)

    def expect(self, condition: object, text: str) -> None:
        """Note an expectation that does not hold."""
        if not condition:
            self.broken.append(f"{self.order}: {text}")

    @property
    def serving(self) -> tuple[Any, ...]:
        """The clients that serve requests which overlap."""
        return self.clients[:1] if self.is_in_cookies else self.clients

    def make_user(self) -> str:
        """Return the ``sub`` of a new user of the tenant."""
        return add_user(self.tenant, f"user-{next(self._number)}")

    async def log_in(self, user: str) -> Browser:
        """Return the browser of a user who has logged in."""
        browser = Browser()
        done = await visit(
            self.clients[0], browser, LOGIN, build_options(self.tenant, user)
        )
        assert done.error is None, done.error
        browser.take(done.answer)
        return browser

    async def find_user(self, browser: Browser) -> str | None:
        """Return the ``sub`` of a browser's user; the answer changes nothing."""
        users = set()
        for client in self.clients:
            done = await visit(client, Browser(dict(browser.cookies)), "get_user")
            self.expect(done.is_good, f"get_user raised {done.error!r}")
            users.add(done.value and str(done.value["sub"]))
        self.expect(1 == len(users), f"two clients see {users}")
        return users.pop()


@attrs.define(eq=False)
class Request:
    """A request that was sent, and the visit that it became."""

    operation: str
    options: dict[str, Any]
    client: Any
    done: Visit | None = None

    async def serve(self, world: World, other: str) -> None:
        """Serve it."""
        method, arguments = {
            "read": ("get_user", ()),
            "token": ("get_access_token", (AUDIENCE,)),
            "other token": ("get_access_token", (OTHER_AUDIENCE,)),
            "logout": ("logout", ()),
            "login": (LOGIN, (build_options(world.tenant, other),)),
        }[self.operation]
        self.done = await serve(self.client, self.options, method, *arguments)

    def start(self, world: World, other: str) -> asyncio.Task[None]:
        """Serve it in a task, or in a thread in the blocking world."""
        if world.is_async:
            return asyncio.create_task(self.serve(world, other))
        return asyncio.create_task(
            asyncio.to_thread(lambda: asyncio.run(self.serve(world, other)))
        )


async def try_order(world: World, order: Order) -> None:
    """Let requests end and answers arrive in an order, and look at what there is after each."""
    world.order = order
    user, other = world.make_user(), world.make_user()
    browser = await world.log_in(user)
    before = Browser(dict(browser.cookies))
    # The access token has expired, and the use of the session is due to be noted.
    world.clock.move(3 * HOUR)
    world.tenant.clear()
    gate = Gate(world.tenant)
    requests = [
        Request(
            operation, browser.request(), world.serving[number % len(world.serving)]
        )
        for number, operation in enumerate(order.operations)
    ]
    if order.overlaps:
        await serve_overlapping(world, gate, requests, other)
    else:
        for request in requests:
            await request.serve(world, other)
    for request in requests:
        expect_visit(world, request, user, other)
    arriving = [requests[number] for number in order.arrivals]
    await deliver(world, browser, arriving, other)
    await expect_end(world, browser, before, user)


async def serve_overlapping(
    world: World, gate: Gate, requests: list[Request], other: str
) -> None:
    """Begin the refreshes; serve what ends before the last of them meanwhile."""
    last = max(number for number, request in enumerate(requests) if is_token(request))
    with gate.hold():
        tasks = [
            request.start(world, other) for request in requests if is_token(request)
        ]
        await gate.wait_until_reached()
        for request in requests[:last]:
            if not is_token(request):
                await request.serve(world, other)
        gate.open()
        await asyncio.gather(*tasks)
    for request in requests[last + 1 :]:
        await request.serve(world, other)


def is_token(request: Request) -> bool:
    """Return whether a request asks for an access token."""
    return request.operation in ("token", "other token")


def expect_visit(world: World, request: Request, user: str, other: str) -> None:
    """A request returns what is the user's; none fails but for a logout, or another login."""
    assert request.done is not None
    value, error = request.done.value, request.done.error
    ends = {"logout", "login"} & {*(world.order.operations if world.order else ())}
    if error is not None:
        world.expect(
            is_token(request) and ends and isinstance(error, LoginRequiredError),
            f"{request.operation} raised {error!r}",
        )
    elif is_token(request):
        claims = read_claims(value)
        world.expect(user == claims["sub"], f"a token of {claims['sub']}")
        world.expect(world.clock() < claims["exp"], "a token that has expired")
    elif request.operation == "read":
        seen = value and value["sub"]
        world.expect(
            seen == user or (seen is None and ends), f"{user} read, and saw {seen}"
        )


async def deliver(
    world: World, browser: Browser, requests: list[Request], other: str
) -> None:
    """Let the answers arrive; after that of a logout or a login, the earlier user is gone."""
    may_be: set[str | None] = {None}
    has_ended = False
    for request in requests:
        assert request.done is not None
        browser.take(request.done.answer)
        if request.operation == "login":
            may_be.add(other)
        has_ended = has_ended or request.operation in ("logout", "login")
        if has_ended:
            found = await world.find_user(browser)
            world.expect(
                found in may_be,
                f"{found} is logged in after the answer of a logout or a login",
            )


async def expect_end(
    world: World, browser: Browser, before: Browser, user: str
) -> None:
    """The session lasts if nothing ended it; if something did, nothing of it is left."""
    assert world.order is not None
    operations = world.order.operations
    world.expect(not list_reuses(world.tenant), "a refresh token was reused")
    if "logout" in operations or "login" in operations:
        if not world.is_in_cookies:
            found = await world.find_user(before)
            world.expect(found is None, "the cookies of before open the session")
        # A login over the session has ended it before the logout could read its tokens.
        if "logout" in operations and "login" not in operations:
            left = [
                token for token in world.tenant.refresh_tokens if token.user_id == user
            ]
            world.expect(not left, "a refresh token outlived the logout")
        # A logout is an end, and whoever logs in next is logged in.
        if len(operations) > 2:
            return
        done = await visit(
            world.clients[-1], browser, LOGIN, build_options(world.tenant, user)
        )
        world.expect(done.is_good, f"the next login raised {done.error!r}")
        browser.take(done.answer)
    if "other token" in operations:
        done = await visit(world.clients[0], browser, "get_access_token", AUDIENCE)
        browser.take(done.answer)
    found = await world.find_user(browser)
    world.expect(user == found, f"{user} expected, and {found} is logged in")
    for client in reversed(world.clients):
        world.clock.move(3 * HOUR)
        done = await visit(client, browser, "get_access_token", AUDIENCE)
        browser.take(done.answer)
        if done.error is not None:
            world.expect(False, f"hours later: {done.error!r}")
            return
        world.expect(user == read_claims(done.value)["sub"], "another's token")
    world.expect(not list_reuses(world.tenant), "a refresh token was reused later")


@pytest.fixture(
    params=[
        (kind, name)
        for kind in EVERY_KIND
        for name in ("blocking", "async")
        if name == "blocking" or kind not in BLOCKING
    ],
    ids=", ".join,
)
async def world(
    request: pytest.FixtureRequest,
    auth0_tenant_keys: KeySupply,
    auth0_tenant_certificates: Certificates,
) -> AsyncIterator[World]:
    """Return an application with each kind of store, in each world that may have it."""
    kind, name = request.param
    is_async, clock = name == "async", MovedClock()
    redis_url = request.getfixturevalue("redis_url") if kind == "redis" else ""
    async with AsyncExitStack() as stack:
        tenant = stack.enter_context(
            Tenant(
                clock=clock,
                settings=Settings(cache_control="max-age=86400"),
                keys=auth0_tenant_keys,
                certificates=auth0_tenant_certificates,
            )
        )
        tenant.apis.add(
            Api(OTHER_AUDIENCE, scopes=("read:data",), allow_offline_access=True)
        )
        for audience in (AUDIENCE, OTHER_AUDIENCE):
            tenant.apis.change(audience, token_lifetime=int(HOUR))
        store = await stack.enter_async_context(
            open_store(kind, is_async=is_async, redis_url=redis_url)
        )
        clients = [
            make_client(
                tenant, store, is_async=is_async, clock=clock, session_policy=POLICY
            )
            for _ in range(2)
        ]
        for client in clients:
            stack.push_async_callback(close, client)
        yield World(tenant, clock, tuple(clients), kind == "cookies", is_async)


async def test_two_requests(world: World) -> None:
    """In whatever order requests end and answers arrive, a session holds, or has ended."""
    for order in list_orders(2):
        await try_order(world, order)

    assert [] == world.broken


async def test_two_audiences(world: World) -> None:
    """Of two refreshes for two APIs, the older answer may arrive last.

    It brings cookies a refresh token that is spent.  For a minute the client knows what came
    for it, so the next request for an access token makes up for it.
    """
    for operations in itertools.permutations(("token", "other token")):
        for arrivals in itertools.permutations(range(2)):
            for overlaps in (False, True):
                await try_order(world, Order(operations, arrivals, overlaps))

    assert [] == world.broken


async def test_three_requests(world: World, request: pytest.FixtureRequest) -> None:
    """The same with three requests.

    In asyncio all orders are tried in cookies, which the answers bring, and in memory.  The
    other stores share them: ``tests/stores/test_answer_orders`` tries all with each, without
    clients.
    """
    orders = list(list_orders(3))
    kind = request.node.callspec.id
    if kind in SHARES:
        orders = orders[SHARES.index(kind) :: len(SHARES)]
    for order in orders:
        await try_order(world, order)

    assert [] == world.broken
