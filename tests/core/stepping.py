"""Processes that run flows one effect at a time, in any order, against one store and server.

``World`` has a clock, a store and a server.  A ``Process`` is a client in it: it runs the flows
that are started in it, shares flights among them as both drivers do, and runs companions.
``World.step()`` performs one effect of one run; which one is the caller's to choose.  A request
takes two steps, so that others may act while it is under way.  A process that is killed takes no
further step.  So a test plays any interleaving without a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import attrs

from auth0_tx.core.context import Context
from auth0_tx.core.effects import (
    Accompany,
    Begin,
    Effect,
    Flow,
    Invoke,
    Postpone,
    Request,
    Response,
    Send,
    Share,
    Sleep,
)
from tests.core.world import Clock


@attrs.define(eq=False)
class _Flight:
    """A run that several callers share."""

    run: Run
    waiters: list[tuple[Run, Effect]] = attrs.field(factory=list)


@attrs.define(eq=False)
class Run:
    """A flow under way.

    Attributes:
        process: where it runs.
        effect: the effect to perform next; ``None`` when it has ended.
        result: its result.
        error: its error.
        performed: every effect that it asked for.
        note: what a test notes about it.
        is_companion: whether it runs beside another.
    """

    process: Process
    _frames: list[Flow[Any]]
    effect: Effect | None = None
    result: Any = None
    error: BaseException | None = None
    performed: list[Effect] = attrs.field(factory=list)
    wakes_at: float = 0.0
    _under_way: Any = None
    _companions: list[_Companion] = attrs.field(factory=list)
    _postponed: list[Postpone] = attrs.field(factory=list)
    on_end: Callable[[Run], None] | None = None
    note: Any = None
    is_companion: bool = False

    @property
    def is_under_way(self) -> bool:
        """Whether a request has left, and its answer has not arrived."""
        return self._under_way is not None

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing left to perform."""
        return self.effect is None

    def begin(self) -> Run:
        """Run to the first effect."""
        self._resume(lambda flow: flow.send(None))
        return self

    def close(self) -> None:
        """Close its flows, as when its coroutine is collected as garbage."""
        while self._frames:
            self._frames.pop().close()
        self.effect = None

    def is_ready(self, now: float) -> bool:
        """Return whether its effect can be performed."""
        return self.effect is not None and now >= self.wakes_at

    def interrupt(self, error: BaseException) -> None:
        """Throw an interrupt in, where the effect is; what it asked for may have happened."""
        self.wakes_at, self._under_way = 0.0, None
        self._resume(lambda flow: flow.throw(error))

    def step(self) -> None:
        """Perform the effect, or a half of it."""
        effect, world = self.effect, self.process.world
        assert effect is not None
        try:
            if isinstance(effect, Send):
                if self._under_way is None:
                    self._under_way = world.server(effect.prepare())
                    self.wakes_at = world.clock() + world.latency()
                    return
                reply, self._under_way = self._under_way, None
                if isinstance(reply, BaseException):
                    raise reply
            elif isinstance(effect, Sleep):
                if self._under_way is None:
                    self._under_way = effect
                    self.wakes_at = world.clock() + effect.seconds
                    return
                reply, self._under_way = None, None
            elif isinstance(effect, Invoke):
                reply = effect.function(*effect.arguments)
            elif isinstance(effect, Share):
                self.process.share(self, effect)
                return
            elif isinstance(effect, Begin):
                self.process.start(effect.flow())
                reply = None
            elif isinstance(effect, Postpone):
                self._postponed.append(effect)
                reply = None
            elif isinstance(effect, Accompany):
                self._companions.append(self.process.accompany(effect))
                self._enter(effect.flow())
                return
            else:
                reply = None
        except BaseException as error:
            failure = error
        else:
            self._resume(lambda flow: flow.send(reply))
            return
        self._resume(lambda flow: flow.throw(failure))

    def reply(self, result: Any, error: BaseException | None) -> None:
        """Go on with the result of a shared run."""
        self.wakes_at = 0.0
        if error is None:
            self._resume(lambda flow: flow.send(result))
        else:
            self._resume(lambda flow: flow.throw(error))

    def _enter(self, flow: Flow[Any]) -> None:
        self._frames.append(flow)
        self._resume(lambda flow: flow.send(None))

    def _resume(self, advance: Callable[[Flow[Any]], Effect]) -> None:
        while True:
            try:
                self.effect = advance(self._frames[-1])
                self.performed.append(self.effect)
                return
            except StopIteration as stop:
                ending, failure = stop.value, None
            except BaseException as error:
                ending, failure = None, error.with_traceback(None)
            self._frames.pop()
            if self._frames:
                # What is accompanied is on top of the flow that asked for it.
                self._companions.pop().has_ended = True
            else:
                self.effect, self.result, self.error = None, ending, failure
                if self.on_end is not None:
                    self.on_end(self)
                for postponed in self._postponed:
                    self.process.start(postponed.flow())
                return
            if failure is None:
                advance = _make_sender(ending)
            else:
                advance = _make_thrower(failure)


def _make_sender(value: Any) -> Callable[[Flow[Any]], Effect]:
    return lambda flow: flow.send(value)


def _make_thrower(error: BaseException) -> Callable[[Flow[Any]], Effect]:
    return lambda flow: flow.throw(error)


@attrs.define(eq=False)
class _Companion:
    effect: Accompany[Any]
    due: float
    has_ended: bool = False


@attrs.define(eq=False)
class Process:
    """A client in a process of its own.

    Attributes:
        context: what its flows share.
        runs: its flows under way.
        every_run: those that have ended, too.
        is_alive: whether it was not killed.
        stands_until: when it goes on, if it stands still.
    """

    world: World
    context: Context
    runs: list[Run] = attrs.field(factory=list)
    every_run: list[Run] = attrs.field(factory=list)
    is_alive: bool = True
    stands_until: float = 0.0
    _flights: dict[Any, _Flight] = attrs.field(factory=dict)
    _companions: list[_Companion] = attrs.field(factory=list)

    def start(self, flow: Flow[Any]) -> Run:
        """Begin a flow."""
        return self._begin(Run(self, [flow]))

    def _begin(self, run: Run) -> Run:
        self.runs.append(run)
        self.every_run.append(run)
        return run.begin()

    def kill(self) -> None:
        """End the process: nothing in it takes another step."""
        self.is_alive = False

    def share(self, caller: Run, share: Share[Any]) -> None:
        """Have *caller* lead or join a flight, which has a run of its own, as among tasks."""
        caller.wakes_at = float("inf")
        flight = self._flights.get(share.key)
        if flight is None:
            run = Run(self, [share.flow()], on_end=lambda _: self._land(share.key))
            flight = self._flights[share.key] = _Flight(run, [(caller, share)])
            self._begin(run)
        else:
            flight.waiters.append((caller, share))

    def _land(self, key: Any) -> None:
        flight = self._flights.pop(key)
        for waiter, share in flight.waiters:
            if waiter.effect is not share:
                # It was interrupted, and has left.
                continue
            error = flight.run.error
            evolve = getattr(error, "evolve", None)
            waiter.reply(flight.run.result, error if evolve is None else evolve())

    def accompany(self, effect: Accompany[Any]) -> _Companion:
        """Run a companion from now on."""
        due = self.world.clock() + effect.seconds
        self._companions.append(companion := _Companion(effect, due))
        return companion

    def list_ready(self, now: float) -> list[Run]:
        """Return the runs that can take a step; companions that are due begin."""
        if not self.is_alive or now < self.stands_until:
            return []
        self._companions = [each for each in self._companions if not each.has_ended]
        for companion in self._companions:
            if now >= companion.due:
                companion.due = float("inf")
                self._begin_companion(companion)
        self.runs = [run for run in self.runs if not run.has_ended]
        return [run for run in self.runs if run.is_ready(now)]

    def _begin_companion(self, companion: _Companion) -> None:
        def go_along(run: Run) -> None:
            assert run.error is None, run.error
            companion.due = self.world.clock() + companion.effect.seconds

        flow = companion.effect.companion()
        self._begin(Run(self, [flow], on_end=go_along, is_companion=True))

    def find_next(self) -> float:
        """Return when something can go on in it; infinity if nothing will."""
        if not self.is_alive:
            return float("inf")
        times = [run.wakes_at for run in self.runs if not run.has_ended]
        times += [each.due for each in self._companions if not each.has_ended]
        return max(self.stands_until, min(times, default=float("inf")))


@attrs.define(eq=False)
class World:
    """A clock, a server, and the processes that use it.

    Attributes:
        server: answers a request, or returns an error to raise.
        latency: returns the seconds until an answer arrives.
    """

    clock: Clock
    server: Callable[[Request], Response | BaseException]
    latency: Callable[[], float] = lambda: 0.1
    processes: list[Process] = attrs.field(factory=list)

    def add(self, context: Context) -> Process:
        """Add a client in a process of its own."""
        process = Process(self, context)
        self.processes.append(process)
        return process

    def step(self, choose: Callable[[list[Run]], Run] = lambda runs: runs[0]) -> bool:
        """Perform one effect; let time pass if none is ready.  Return whether any was."""
        ready = [
            run
            for process in self.processes
            for run in process.list_ready(self.clock())
        ]
        if ready:
            choose(ready).step()
            return True
        next_time = min(process.find_next() for process in self.processes)
        if next_time == float("inf"):
            return False
        self.clock.now = max(self.clock.now, next_time)
        return True

    def finish(self, choose: Callable[[list[Run]], Run] = lambda runs: runs[0]) -> None:
        """Step until nothing goes on any more."""
        while self.step(choose):
            pass

    def run_until(self, is_so: Callable[[], bool]) -> None:
        """Step until something is so."""
        while not is_so():
            assert self.step(), "nothing goes on, and it is not so"


def choose_with(random: Random) -> Callable[[list[Run]], Run]:
    """Return a choice among runs that a seed decides."""
    return random.choice
