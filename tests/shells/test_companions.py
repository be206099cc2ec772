"""Companions: they run beside a flow, in both worlds, and end with it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from auth0_tx.core.effects import Accompany, Flow, Invoke, Sleep
from auth0_tx.shells import companions
from auth0_tx.shells.companions import CompanionThread, companion_thread
from auth0_tx.shells.drivers import run, run_async
from tests.shells.test_drivers import AsyncWorld, World

Drive = Callable[[Flow[Any]], Any]

NAME: ContextVar[str] = ContextVar("NAME", default="of nobody")


def in_threads(flow: Flow[Any]) -> Any:
    """Drive a flow in the blocking world."""
    return run(flow, World())


def in_tasks(flow: Flow[Any]) -> Any:
    """Drive a flow in the asyncio world."""
    return asyncio.run(run_async(flow, AsyncWorld()))


drivers = pytest.mark.parametrize("drive", [in_threads, in_tasks])


class Beats:
    """A companion that counts, and a flow that it accompanies until it came so often."""

    def __init__(self, until: int = 2, ending: BaseException | None = None) -> None:
        self.count = 0
        self.names: set[str] = set()
        self._until = until
        self._ending = ending

    def flow(self) -> Flow[str]:
        """Wait for the companion."""
        while self.count < self._until:
            yield from Sleep(0.01)
        if self._ending is not None:
            raise self._ending
        return "done"

    def beat(self) -> Flow[None]:
        """Count."""
        yield from Sleep(0.0)
        self.count += 1
        self.names.add(NAME.get())

    def accompany(self, seconds: float = 0.02) -> Flow[str]:
        """Have the flow accompanied."""
        return (yield from Accompany(self.flow, self.beat, seconds))


@drivers
def test_a_companion(drive: Drive) -> None:
    """It runs again and again until the flow ends, and not afterwards."""
    beats = Beats()

    assert "done" == drive(beats.accompany())
    count = beats.count
    assert count >= 2
    time.sleep(0.5)
    assert count == beats.count


@drivers
def test_a_short_flow(drive: Drive) -> None:
    """A flow that ends before its companion is due has none."""
    beats = Beats(until=0)

    assert "done" == drive(beats.accompany(seconds=60.0))
    assert 0 == beats.count


@drivers
@pytest.mark.parametrize("ending", [ValueError, KeyboardInterrupt])
def test_a_flow_that_fails(drive: Drive, ending: type[BaseException]) -> None:
    """Its error is what the accompanied flow raises, and its companion ends."""
    beats = Beats(ending=ending())

    with pytest.raises(ending):
        drive(beats.accompany())
    count = beats.count
    time.sleep(0.3)
    assert count == beats.count


@drivers
def test_a_companion_that_fails(drive: Drive, caplog: pytest.LogCaptureFixture) -> None:
    """Its failure is logged, does not affect the flow, and it comes again."""
    beats = Beats()

    def beat() -> Flow[None]:
        yield from beats.beat()
        raise ZeroDivisionError

    assert "done" == drive(
        Accompany(beats.flow, beat, 0.02).__iter__()  # the effect as a flow
    )
    assert {"a companion of a flow failed"} == {
        record.getMessage() for record in caplog.records
    }


def test_a_companion_that_ends_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends the thread that a companion runs in, it runs again afterwards."""
    beats, reported = Beats(), []
    monkeypatch.setattr(threading, "excepthook", reported.append)

    def beat_and_exit() -> Flow[None]:
        yield from beats.beat()
        raise KeyboardInterrupt

    assert "done" == in_threads(Accompany(beats.flow, beat_and_exit, 0.02).__iter__())
    # The last of them reports its end after it has counted.
    for thread in threading.enumerate():
        if thread.name == "auth0_tx companions at work":
            thread.join()
    assert {KeyboardInterrupt} == {each.exc_type for each in reported}


@drivers
def test_context_variables(drive: Drive) -> None:
    """A companion sees the context variables of the call, as the flow does."""
    beats = Beats()
    token = NAME.set("of Alice")
    try:
        drive(beats.accompany())
    finally:
        NAME.reset(token)

    assert {"of Alice"} == beats.names


async def test_a_task_that_is_cancelled() -> None:
    """A cancelled flow takes its companion along; neither is left behind."""
    beats = Beats(until=1_000)
    task = asyncio.create_task(run_async(beats.accompany(), AsyncWorld()))
    while beats.count < 2:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_a_coroutine_that_is_closed() -> None:
    """A coroutine that is closed awaits nothing any more, and has no companion."""
    beats = Beats(until=1_000)
    coroutine = run_async(beats.accompany(), AsyncWorld())
    coroutine.send(None)
    coroutine.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert {asyncio.current_task()} == asyncio.all_tasks()


def test_many_threads() -> None:
    """One thread runs the companions of all."""
    every = [Beats() for _ in range(8)]
    threads = [
        threading.Thread(target=in_threads, args=(beats.accompany(),))
        for beats in every
    ]
    for thread in threads:
        thread.start()
    count = sum(thread.name.endswith("companions") for thread in threading.enumerate())
    for thread in threads:
        thread.join()

    assert all(beats.count >= 2 for beats in every)
    # Two who come first in the same instant may start one each.
    assert 1 <= count <= 2


def test_companions_that_hang() -> None:
    """However many do, they do not hold up another, and each comes once at a time."""
    own, beats, end, hanging = CompanionThread(), Beats(until=3), threading.Event(), []

    def hang() -> Flow[None]:
        hanging.append(True)
        yield from Invoke(end.wait)

    def drive(effect: Accompany[str]) -> str:
        return own.accompany(effect, lambda flow: run(flow, World()))

    effects = [Accompany(beats.flow, hang, 0.0)] * 8
    beside = [threading.Thread(target=drive, args=(effect,)) for effect in effects]
    for thread in beside:
        thread.start()
    time.sleep(0.2)
    # If it is held up, this ends it all the same.
    in_time = threading.Timer(4, setattr, (beats, "count", 3))
    in_time.start()
    try:
        assert "done" == drive(Accompany(beats.flow, beats.beat, 0.02))
        assert in_time.is_alive()
    finally:
        in_time.cancel()
        end.set()
        for thread in beside:
            thread.join()
    assert [True] * 8 == hanging


def test_a_second_thread_that_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one thread then runs the companions itself."""
    start = threading.Thread.start

    def start_one(thread: threading.Thread) -> None:
        if "at work" in thread.name:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    own, beats = CompanionThread(), Beats()
    effect = Accompany(beats.flow, beats.beat, 0.02)

    assert "done" == own.accompany(effect, lambda flow: run(flow, World()))


async def test_a_cancellation_that_is_swallowed() -> None:
    """A store whose client swallows the cancellation does not keep its caller waiting."""
    began = asyncio.Event()

    async def swallow() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return

    def flow() -> Flow[str]:
        yield from Invoke(began.wait)
        return "done"

    def beat() -> Flow[None]:
        yield from Invoke(swallow)

    effect: Accompany[str] = Accompany(flow, beat, 0.01)
    task = asyncio.create_task(run_async(effect.__iter__(), AsyncWorld()))

    await asyncio.wait({task}, timeout=5)
    assert task.done()
    assert "done" == task.result()


def test_the_end_of_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread ends when it has nobody to accompany, and starts again."""
    monkeypatch.setattr(companions, "_LONGEST_IDLE", 0.0)
    own = CompanionThread()

    def drive() -> str:
        beats = Beats()
        effect = Accompany(beats.flow, beats.beat, 0.02)
        return own.accompany(effect, lambda flow: run(flow, World()))

    assert "done" == drive()
    first = own._thread
    assert first is not None
    first.join(5)
    assert not first.is_alive()
    assert own._thread is None
    assert "done" == drive()


def test_who_comes_as_the_thread_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company that comes in the instant in which the thread resigns is served."""
    monkeypatch.setattr(companions, "_LONGEST_IDLE", 0.0)
    own, beats = CompanionThread(), Beats()

    class LateArrivals(list[Any]):
        """What the thread looks at last has somebody in it, once."""

        looks = 0

        def popleft(self) -> Any:
            return self.pop(0)

        def __bool__(self) -> bool:
            self.looks += 1
            if self.looks == 1:
                self.append(
                    companions._Company(
                        beats.beat, lambda flow: run(flow, World()), 0.02, 0.0
                    )
                )
            return len(self) > 0

    own._arrivals = LateArrivals()  # type: ignore[assignment]
    own._start()
    give_up = time.monotonic() + 5
    while beats.count < 2 and time.monotonic() < give_up:
        time.sleep(0.01)
    thread = own._thread

    assert beats.count >= 2
    assert thread is not None
    assert thread.is_alive()


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow goes on without a companion where no thread can be started."""

    def fail(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    own, beats = CompanionThread(), Beats(until=0)
    effect = Accompany(beats.flow, beats.beat, 0.02)

    assert "done" == own.accompany(effect, lambda flow: run(flow, World()))
    assert own._thread is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_after_a_fork() -> None:
    """A child has a thread of its own."""
    in_threads(Beats().accompany())
    pid = os.fork()
    if pid == 0:
        try:
            beats = Beats()
            in_threads(beats.accompany())
            os._exit(0 if beats.count >= 2 and companion_thread._thread else 1)
        finally:
            os._exit(2)

    assert (pid, 0) == os.waitpid(pid, 0)


@drivers
def test_a_client_that_is_closed_meanwhile(drive: Drive) -> None:
    """What is accompanied ends although the client is closed under it."""
    world, beats = World(), Beats()
    async_world = AsyncWorld()

    def flow() -> Flow[str]:
        yield from Invoke(_close, (world, async_world))
        return (yield from beats.accompany())

    if drive is in_threads:
        assert "done" == run(flow(), world)
    else:
        assert "done" == asyncio.run(run_async(flow(), async_world))


def _close(*worlds: Any) -> None:
    for world in worlds:
        world.is_closed = True
