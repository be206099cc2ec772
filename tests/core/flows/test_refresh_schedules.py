"""Refreshes of one session in random order, by processes that fail, stand still and die.

Each seed is a schedule: two or three processes over one store ask for tokens at random moments.
Every step of every flow may come before or after any other's.  Answers are fast or slow, store
commands fail before or after they took effect, or take effect when their caller has given up;
calls are interrupted, processes stand still for up to two seconds, or are killed.  The server rotates refresh tokens
and takes a second use for theft.

What must hold, whatever happens:

- While a request with a refresh token is under way, nobody sends that token again.
- The session ends up with the newest refresh token, unless that was lost: with an answer, with
  the run or the process that waited for it, or because the store refused it again and again.
- No lock outlives its holder by more than ``LOCK_SECONDS``; by nothing, if the holder was not
  killed and the store does not fail.
- Every caller gets a token, or an error of the library's.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import pytest

from auth0_tx.core.effects import Request, Response, Send
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.core.flows.session import get_session, get_user
from auth0_tx.core.session.lock import LOCK_SECONDS, split_mark
from auth0_tx.errors import (
    AmbiguousError,
    Auth0Error,
    LoginRequiredError,
    NotSentError,
    StoreError,
)
from auth0_tx.values import RetryPolicy, SessionPolicy
from tests.core.browser import Browser, PaperStore, build_session_client, log_in
from tests.core.stepping import Process, Run, World
from tests.core.world import Clock, build_refusal, build_response

SEEDS = 150


class Signal(Exception):
    """What a signal handler raises."""


INTERRUPTS = (KeyboardInterrupt, Signal)


class RotatingServer:
    """Issues a refresh token for one use with each refresh; a second use ends the family.

    Attributes:
        newest: the number of the newest refresh token.
        is_over: whether a second use was taken for theft.
        repeated: what was sent again while it was under way.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self.newest = 1
        self.is_over = False
        self.repeated: list[str] = []

    def __call__(self, request: Request) -> Response | Auth0Error:
        """Answer a refresh, or lose it."""
        token = dict(parse_qsl((request.body or b"").decode()))["refresh_token"]
        how = self._schedule.random.random()
        if how < self._schedule.loss:
            # The request did not leave.
            return NotSentError("not sent")
        others = [
            run
            for process in self._schedule.world.processes
            if process.is_alive
            for run in process.runs
            if isinstance(run.effect, Send) and run.is_under_way
        ]
        if any(other.note == token for other in others):
            self.repeated.append(token)
        self._schedule.current.note = token
        if self.is_over or token != f"r-{self.newest}":
            self.is_over = True
            return build_refusal(403, "invalid_grant")
        self.newest += 1
        if how < 2 * self._schedule.loss:
            self._schedule.has_lost_tokens = True
            return AmbiguousError("the answer was lost")
        return build_response(
            {
                "access_token": f"a-{self.newest}",
                "refresh_token": f"r-{self.newest}",
                "token_type": "Bearer",
                "expires_in": 20,
            }
        )


class UnreliableStore(PaperStore):
    """A store whose commands fail before or after they took effect, or take effect late.

    Attributes:
        rate: how often a command fails.
        late: commands that take effect at some later moment.
    """

    def __init__(self, clock: Callable[[], float], random: Random) -> None:
        super().__init__(clock)
        self._random = random
        self.rate = 0.0
        self.late: list[Callable[[], object]] = []

    def get(self, key: str) -> bytes | None:
        """Read, or fail."""
        if self._random.random() < self.rate:
            raise TimeoutError
        return super().get(key)

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Write, or fail."""

        def write() -> bool:
            return super(UnreliableStore, self).set(
                key, value, ttl=ttl, expected=expected
            )

        if self._random.random() >= self.rate:
            return write()
        how = self._random.randrange(3)
        if how == 1:
            write()
        if how == 2:
            self.late.append(write)
        raise TimeoutError


class Schedule:
    """One seed's world, and what became of it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.clock = Clock()
        self.server = RotatingServer(self)
        self.store = UnreliableStore(self.clock, self.random)
        self.world = World(self.clock, self.server, self._draw_latency)
        self.browser = Browser()
        self.loss = 0.0
        self.has_lost_tokens = self.is_store_reliable = False
        self.outcomes: list[Run] = []
        self.interrupted: list[Run] = []
        self.current: Any = None
        for _ in range(self.random.randint(2, 3)):
            self.add_process()
        log_in(
            self.processes[0].context,
            self.browser,
            {"refresh_token": "r-1", "expires_in": 20},
        )
        self.clock.wait(20)

    @property
    def processes(self) -> list[Process]:
        """All processes, of which some may be dead."""
        return self.world.processes

    def add_process(self) -> Process:
        """Start a process."""
        policy = SessionPolicy(idle_seconds=200, absolute_seconds=100_000)
        name = f"process-{len(self.world.processes)}"
        context = build_session_client(
            self.clock,
            state_store=self.store,
            retry=RetryPolicy(attempts=1),
            session_policy=policy,
            timeout=10.0,
        )
        new_id = context.new_id
        object.__setattr__(context, "new_id", lambda: f"{name}-{new_id()}")
        return self.world.add(context)

    def _draw_latency(self) -> float:
        return self.random.choice([0.01, 0.1, 0.5, 1.5, 3.0, 7.0])

    def play(self, seconds: float = 60.0) -> None:
        """Have processes ask for tokens for a while, and things go wrong."""
        random, ends = self.random, self.clock() + seconds
        self.store.rate = random.choice([0.0, 0.0, 0.01, 0.1])
        self.is_store_reliable = self.store.rate == 0.0
        self.loss = random.choice([0.0, 0.05])
        deaths, stalls = random.choice([0.0, 0.002]), random.choice([0.0, 0.002])
        interrupts = random.choice([0.0, 0.01])
        while self.clock() < ends:
            alive = [process for process in self.processes if process.is_alive]
            if random.random() < 0.1 and sum(len(each.runs) for each in alive) < 12:
                # A browser sends several requests at once.
                for _ in range(random.randint(1, 4)):
                    self.start(random.choice(alive))
            if random.random() < deaths and len(alive) > 1:
                self.kill(random.choice(alive))
            if random.random() < stalls:
                stalled = random.choice(alive)
                # Not again and again: it must get round to a renewal.
                if self.clock() > stalled.stands_until + 10:
                    stalled.stands_until = self.clock() + random.uniform(0, 2)
            if random.random() < interrupts:
                self.interrupt(random.choice(alive))
            if self.store.late and random.random() < 0.1:
                self.store.late.pop(random.randrange(len(self.store.late)))()
            if not self.step():
                self.clock.wait(random.uniform(0.0, 2.0))
        while self.step():
            pass
        self.store.rate = self.loss = 0.0
        for write in self.store.late:
            write()
        while self.step():
            pass

    def step(self) -> bool:
        """Take a step of any run."""
        goes_on = self.world.step(self._choose)
        holder = self._find_holder()
        if holder is not None and holder.is_alive and self.is_store_reliable:
            assert any(not run.has_ended for run in holder.runs), "a lock was left"
        return goes_on

    def _find_holder(self) -> Process | None:
        """Return the process whose mark is on the session."""
        mark = self.read_mark().decode()
        number = mark.removeprefix("~process-").partition("-")[0]
        return self.processes[int(number)] if mark else None

    def _choose(self, ready: list[Run]) -> Run:
        self.current = self.random.choice(ready)
        return self.current  # type: ignore[no-any-return]

    def start(self, process: Process) -> None:
        """Have a process ask for a token, or only for the user."""
        request = self.browser.request()
        if self.random.random() < 0.8:
            self.outcomes.append(
                process.start(get_access_token(process.context, request))
            )
        else:
            process.start(get_user(process.context, request))

    def interrupt(self, process: Process) -> None:
        """Interrupt a run of a process, whatever it waits for."""
        # Once each: a second interrupt ends the clean-up, and then time must end the lock.
        runs = [
            run
            for run in process.runs
            if not (run.has_ended or run.is_companion or run in self.interrupted)
        ]
        if not runs:
            return
        run = self.random.choice(runs)
        self.interrupted.append(run)
        if run.is_under_way and isinstance(run.effect, Send):
            # What was issued comes back to nobody.
            self.has_lost_tokens = True
        run.interrupt(self.random.choice([KeyboardInterrupt, Signal])())

    def read_mark(self) -> bytes:
        """Return the mark of the session."""
        (value, _), *_ = self.store.values.values()
        return split_mark(value)[1]

    def kill(self, process: Process) -> None:
        """Kill a process; what it was issued and has not stored is lost."""
        stored = self.read_stored_token()
        if stored != f"r-{self.server.newest}":
            self.has_lost_tokens = True
        process.kill()

    def read_stored_token(self) -> str | None:
        """Return the refresh token of the session that is stored."""
        process = Process(self.world, self.processes[0].context)
        rate, self.store.rate = self.store.rate, 0.0
        run = process.start(get_session(process.context, self.browser.request()))
        while not run.has_ended:
            run.step()
        self.store.rate = rate
        return None if run.result is None else str(run.result["refresh_token"])


@pytest.mark.parametrize("seed", range(SEEDS))
def test_schedule(seed: int) -> None:
    """Whatever happens in whatever order, no token is sent twice, lost, or locked away."""
    check(seed)


def check(seed: int) -> None:
    """Play a schedule, and check what must hold."""
    schedule = Schedule(seed)
    schedule.play()
    server = schedule.server
    errors = [
        run.error
        for run in schedule.outcomes
        if run.process.is_alive and run.error is not None
    ]
    is_excused = schedule.has_lost_tokens or any(
        isinstance(run.error, StoreError) and run.error.tokens_issued
        for process in schedule.processes
        for run in process.every_run
    )

    assert [] == server.repeated
    assert all(run.has_ended for run in schedule.outcomes if run.process.is_alive)
    assert all(isinstance(each, (Auth0Error, *INTERRUPTS)) for each in errors), errors
    # Another process gets a token, and does not wait for longer than a dead lock lasts.
    newcomer, started = schedule.add_process(), schedule.clock()
    schedule.world.latency = lambda: 0.01
    schedule.clock.wait(20)
    started = schedule.clock()
    run = newcomer.start(get_access_token(newcomer.context, schedule.browser.request()))
    while schedule.step():
        pass
    took = schedule.clock() - started
    assert took < LOCK_SECONDS + 0.5
    assert b"" == schedule.read_mark()
    if is_excused:
        assert isinstance(run.error, (LoginRequiredError, type(None)))
        return
    assert not server.is_over
    assert run.error is None
    assert f"a-{server.newest}" == run.result
    assert f"r-{server.newest}" == schedule.read_stored_token()
    kinds = {type(error) for error in errors}
    assert kinds <= {StoreError, NotSentError, *INTERRUPTS}, kinds
