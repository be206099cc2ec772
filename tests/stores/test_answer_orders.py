"""Three requests of one browser over each store, in every order there is.

Each reads the user, asks for an access token that is due for a refresh, or logs out.  They are
sent, served and answered in every order that ``tests.core.flows.test_answer_orders`` lists, or
all are sent at once and some of them are served while a refresh is under way.  Two processes
serve them in turn, which know of each other by the store alone.  The tenant rotates refresh
tokens.

The flows run one effect at a time, without clients or sockets.  So all orders are tried with
every store, in either world, which would take minutes with real clients.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import attrs
import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.core.flows.logout import logout
from auth0_tx.core.flows.session import get_session, get_user
from auth0_tx.core.session.rotations import Rotations
from auth0_tx.errors import LoginRequiredError
from tests.core.browser import Browser, build_session_client
from tests.core.flows.test_answer_orders import (
    USER,
    Tenant,
    find_user,
    list_orders_of_three,
    start_with_login,
)
from tests.core.stepping import Process, Run, World
from tests.core.world import Clock, play
from tests.stores.every_store import open_store

pytestmark = pytest.mark.exhaustive

OPERATIONS = ("read", "token", "logout")

LATER = 10_000.0
"""Seconds: the access token has expired, and the use of the session is due to be noted."""

LATENCY = 0.05
"""Seconds until Auth0's answer arrives."""

KINDS = (
    ("memory", False),
    ("redis", False),
    ("redis", True),
    ("django", False),
    ("django database", False),
    ("own", False),
    ("own", True),
)


class StoreInLoop:
    """A store that is to be awaited, as one that is not: each command runs in a loop."""

    def __init__(self, store: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._store, self._loop = store, loop

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)
        return lambda *arguments, **named: self._loop.run_until_complete(
            method(*arguments, **named)
        )


class WatchedStore:
    """Passes commands on to a store, and notes the key and the value of a new session."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.session = ("", b"")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        if expected is None:
            self.session = key, value
        return bool(self._store.set(key, value, ttl=ttl, expected=expected))

    def bring_back(self) -> None:
        """Store the session as it was when it was new."""
        key, value = self.session
        found = self._store.get(key)
        if found != value:
            assert self._store.set(key, value, ttl=100_000.0, expected=found)


@attrs.define(eq=False)
class Site:
    """A user who is logged in, at two processes over one store."""

    clock: Clock
    store: WatchedStore
    contexts: list[Context]
    start: Browser
    now: float


@pytest.fixture(params=KINDS, ids=lambda kind: kind[0] + (" async" if kind[1] else ""))
def site(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Site]:
    """Return a site with each kind of store."""
    kind, is_async = request.param
    redis_url = request.getfixturevalue("redis_url") if kind == "redis" else ""
    loop, stack = asyncio.new_event_loop(), AsyncExitStack()
    opened = open_store(kind, is_async=is_async, redis_url=redis_url)
    inner = loop.run_until_complete(stack.enter_async_context(opened))
    store = WatchedStore(StoreInLoop(inner, loop) if is_async else inner)
    contexts = [
        name_locks(build_session_client(clock, state_store=store), f"process-{number}")
        for number in range(2)
    ]
    start = start_with_login(contexts[0])
    clock.wait(LATER)
    yield Site(clock, store, contexts, start, clock.now)
    loop.run_until_complete(stack.aclose())
    loop.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until it is told to go on."""
    return Clock()


def name_locks(context: Context, name: str) -> Context:
    """Return a context whose ids are no other process's."""
    new_id = context.new_id
    return attrs.evolve(context, new_id=lambda: f"{name}-{new_id()}")


@attrs.define(eq=False)
class Request:
    """A request, the process that serves it, and its copy of the browser."""

    operation: str
    process: Process
    copy: Browser = attrs.field(factory=Browser)
    run: Run | None = None

    def send(self, browser: Browser) -> None:
        """Send it with the cookies of this moment."""
        self.copy = browser.copy()

    def begin(self) -> None:
        """Begin to serve it."""
        flow: Any = {
            "read": get_user,
            "token": get_access_token,
            "logout": logout,
        }[self.operation]
        self.run = self.process.start(flow(self.process.context, self.copy.request()))

    def serve(self) -> None:
        """Serve it from beginning to end."""
        self.begin()
        run = self.run
        assert run is not None
        if self.operation == "token":
            # Its flight and its lock have runs of their own.
            self.process.world.run_until(lambda: run.has_ended)
        # Step by step: a refresh that is under way stands still meanwhile.
        while not run.has_ended:
            run.step()


@attrs.define(eq=False)
class Trial:
    """One order of three requests."""

    site: Site
    operations: tuple[str, ...]
    tenant: Tenant = attrs.field(factory=Tenant)
    browser: Browser = attrs.field(init=False)
    world: World = attrs.field(init=False)
    requests: list[Request] = attrs.field(init=False)
    user: str | None = USER

    def __attrs_post_init__(self) -> None:
        site = self.site
        site.store.bring_back()
        site.clock.now = site.now
        self.browser = site.start.copy()
        self.world = World(site.clock, self.tenant.answer, lambda: LATENCY)
        processes = [
            self.world.add(attrs.evolve(context, rotations=Rotations()))
            for context in site.contexts
        ]
        self.requests = [
            Request(operation, processes[number % 2])
            for number, operation in enumerate(self.operations)
        ]

    def serve(self, request: Request) -> None:
        """Serve a request from beginning to end."""
        request.serve()
        if request.operation == "logout":
            # The session has ended, whatever the browser has been told by now.
            self.user = None

    def serve_overlapping(self) -> None:
        """Begin the refreshes; serve what ends before the last of them meanwhile."""
        tokens = [each for each in self.requests if each.operation == "token"]
        for request in tokens:
            request.begin()
        self.world.run_until(lambda: any(run.is_under_way for run in self.list_runs()))
        last = self.requests.index(tokens[-1])
        for request in self.requests[:last]:
            if request not in tokens:
                self.serve(request)
        self.world.finish()
        for request in self.requests[last + 1 :]:
            self.serve(request)

    def list_runs(self) -> list[Run]:
        """Return all runs under way."""
        return [run for process in self.world.processes for run in process.runs]

    def answer(self, request: Request) -> None:
        """Deliver a request's answer: the user is logged in, or nobody from a logout on."""
        self.browser.take(request.copy)
        assert self.user == find_user(self.site.contexts[0], self.browser)

    def check(self) -> None:
        """Each request returned what is the user's, and the session holds, or has ended."""
        has_ended = "logout" in self.operations
        for request in self.requests:
            run = request.run
            assert run is not None
            assert run.has_ended
            if request.operation == "token" and run.error is None:
                assert run.result == "at-2"
            elif request.operation == "token":
                assert has_ended
                assert isinstance(run.error, LoginRequiredError)
            else:
                assert run.error is None
        assert [] == self.tenant.reused
        session, _ = play(
            get_session(self.site.contexts[1], self.site.start.copy().request())
        )
        if has_ended:
            assert session is None
            assert self.site.store.get(self.site.store.session[0]) is None
        else:
            assert session is not None
            assert self.tenant.current == session["refresh_token"]


def test_every_order(site: Site) -> None:
    """A session that nobody ended has the newest refresh token; after a logout none is left."""
    orders = [
        *list_orders_of_three(at_once=True),
        *list_orders_of_three(at_once=False),
    ]
    for operations in itertools.product(OPERATIONS, repeat=3):
        for order in orders:
            trial = Trial(site, operations)
            for number, step in order:
                request = trial.requests[number]
                if step == "send":
                    request.send(trial.browser)
                elif step == "serve":
                    trial.serve(request)
                else:
                    trial.answer(request)
            trial.check()


def test_every_order_during_a_refresh(site: Site) -> None:
    """The same if the others end while a refresh is under way."""
    for operations in itertools.product(OPERATIONS, repeat=3):
        if "token" not in operations[1:]:
            # Nothing ends before the refresh does, and no two ask for it at once.
            continue
        for arrivals in itertools.permutations(range(3)):
            trial = Trial(site, operations)
            for request in trial.requests:
                request.send(trial.browser)
            trial.serve_overlapping()
            for number in arrivals:
                trial.answer(trial.requests[number])
            trial.check()
