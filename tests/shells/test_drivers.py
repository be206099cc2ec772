"""The drivers: they perform what a flow asks for, and see to it that it ends."""

from __future__ import annotations

import asyncio
import linecache
import logging
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

import attrs
import pytest

from auth0_tx import ClientClosedError, ConfigurationError, NotSentError
from auth0_tx.core.effects import (
    Begin,
    Emit,
    Flow,
    Invoke,
    Postpone,
    Request,
    Response,
    Send,
    Share,
    Sleep,
)
from auth0_tx.events import KeysFetched
from auth0_tx.shells.drivers import run, run_async

SEND = Send(lambda: Request("GET", "https://a.example", {}), 1.0, 10)
REPLY = Response(200, (), b"body")
EVENT = KeysFetched(domain="a.example", seconds=0.1)


@attrs.define
class World:
    """A world in which everything is on hand."""

    send_with: Callable[[], Response] = lambda: REPLY
    on_event: Callable[[Any], object] | None = None
    is_closed: bool = False

    def send(self, send: Send) -> Response:
        """Answer."""
        assert send is SEND
        return self.send_with()

    def share(self, share: Share[Any], run_flow: Callable[[Flow[Any]], Any]) -> Any:
        """Run for this one alone."""
        return run_flow(share.flow())


@attrs.define
class AsyncWorld:
    """The same for tasks."""

    send_with: Callable[[], Response] = lambda: REPLY
    on_event: Callable[[Any], object] | None = None
    is_closed: bool = False
    tasks: list[asyncio.Future[None]] = attrs.field(factory=list)

    async def send(self, send: Send) -> Response:
        """Answer."""
        assert send is SEND
        return self.send_with()

    async def share(
        self, share: Share[Any], run_flow: Callable[[Flow[Any]], Any]
    ) -> Any:
        """Run for this one alone."""
        return await run_flow(share.flow())

    def begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Begin a task, which `in_tasks` waits for."""
        self.tasks.append(asyncio.ensure_future(coroutine))


def in_threads(flow: Flow[Any], **world: Any) -> Any:
    """Drive a flow in the blocking world."""
    return run(flow, World(**world))


def in_tasks(flow: Flow[Any], **world: Any) -> Any:
    """Drive a flow in the asyncio world."""
    made = AsyncWorld(**world)

    async def run_to_end() -> Any:
        try:
            return await run_async(flow, made)
        finally:
            for task in made.tasks:
                await task

    return asyncio.run(run_to_end())


def run_in_loop(flow: Flow[Any], world: Any) -> Any:
    """Drive a flow in the asyncio world, with a world of the test's own."""
    return asyncio.run(run_async(flow, world))


drivers = pytest.mark.parametrize("drive", [in_threads, in_tasks])
Drive = Callable[..., Any]


@drivers
def test_every_effect(drive: Drive) -> None:
    """Each effect is performed, and its reply sent in."""
    told: list[Any] = []

    def inner() -> Flow[str]:
        yield from Sleep(0.0)
        return "shared"

    def flow() -> Flow[Any]:
        response = yield from SEND
        called = yield from Invoke(lambda *arguments: arguments, (1, 2))
        shared = yield from Share("key", inner, 1.0)
        yield from Emit(EVENT)
        return response, called, shared

    assert (REPLY, (1, 2), "shared") == drive(flow(), on_event=told.append)
    assert [EVENT] == told


@drivers
def test_a_flow_that_asks_for_nothing(drive: Drive) -> None:
    """A flow that ends at once gives what it returns."""

    def flow() -> Flow[str]:
        yield from ()
        return "at once"

    assert "at once" == drive(flow())


def failing(failure: BaseException) -> Callable[[], Response]:
    """Have every request fail."""

    def fail() -> Response:
        raise failure

    return fail


@drivers
def test_a_failure_is_thrown_in(drive: Drive) -> None:
    """What fails, fails where the flow asked for it, and the flow may go on."""
    failure = NotSentError("no")

    def flow() -> Flow[Any]:
        caught: NotSentError | None = None
        try:
            yield from SEND
        except NotSentError as error:
            caught = error
        yield from Sleep(0.0)
        return caught

    assert failure is drive(flow(), send_with=failing(failure))


@drivers
def test_a_failure_that_the_flow_lets_pass(drive: Drive) -> None:
    """What the flow does not catch is raised, without a context."""
    failure = NotSentError("no")

    def flow() -> Flow[Any]:
        return (yield from SEND)

    with pytest.raises(NotSentError) as caught:
        drive(flow(), send_with=failing(failure))

    assert failure is caught.value
    assert (None, None) == (failure.__cause__, failure.__context__)


@drivers
def test_a_failure_that_the_flow_makes_another_of(drive: Drive) -> None:
    """What the flow raises outside of its own handler has no context either."""

    def flow() -> Flow[Any]:
        with suppress(OSError):
            yield from SEND
        raise NotSentError("ours")

    with pytest.raises(NotSentError) as caught:
        drive(flow(), send_with=failing(OSError("theirs")))

    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


class Signal(Exception):
    """What a signal handler raises."""


interrupts = pytest.mark.parametrize(
    "interrupt", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, Signal]
)


@drivers
@interrupts
def test_an_interrupt_is_thrown_in(
    drive: Drive, interrupt: type[BaseException]
) -> None:
    """A flow that is interrupted gives back what it holds, and the interrupt goes on."""
    steps: list[object] = []

    def flow() -> Generator[Any, Any, None]:
        try:
            yield from SEND
        except BaseException as error:
            steps.append(error)
            steps.append((yield from Invoke(lambda: "given back")))
            raise

    failure = interrupt()
    with pytest.raises(interrupt) as caught:
        drive(flow(), send_with=failing(failure))

    assert failure is caught.value
    assert [failure, "given back"] == steps
    assert (None, None) == (failure.__cause__, failure.__context__)


@drivers
def test_a_second_interrupt_ends_the_clean_up(drive: Drive) -> None:
    """A flow that is interrupted again while it gives back what it holds ends."""
    steps: list[str] = []

    def flow() -> Generator[Any, Any, None]:
        try:
            yield from SEND
        except KeyboardInterrupt:
            yield from Invoke(failing(SystemExit()))
            steps.append("given back")
            raise

    with pytest.raises(SystemExit):
        drive(flow(), send_with=failing(KeyboardInterrupt()))

    assert [] == steps


@drivers
def test_a_flow_that_is_closed(drive: Drive) -> None:
    """``GeneratorExit`` closes the flow, which performs nothing any more."""
    steps: list[str] = []

    def flow() -> Generator[Any, Any, None]:
        try:
            yield from SEND
        except GeneratorExit:
            steps.append("closed")
            raise
        finally:
            steps.append("cleaned up")

    with pytest.raises(GeneratorExit):
        drive(flow(), send_with=failing(GeneratorExit()))

    assert ["closed", "cleaned up"] == steps


class Interrupter:
    """Raises an interrupt at the *number*-th line that the driver runs of itself."""

    def __init__(self, number: int, interrupt: BaseException) -> None:
        self._left = number
        self._interrupt = interrupt
        self.came = False

    def __call__(self, frame: Any, event: str, _: Any) -> Any:
        if frame.f_code not in (run.__code__, run_async.__code__):
            return None
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        # The interpreter handles no signal at a bare ``try``, which is no instruction.
        if event == "line" and line != "try:":
            self._left -= 1
            if self._left == 0:
                self.came = True
                raise self._interrupt
        return self


@drivers
@interrupts
def test_an_interrupt_at_any_line(drive: Drive, interrupt: type[BaseException]) -> None:
    """Wherever the driver is interrupted, the flow gives back what it holds."""
    held: list[str] = []

    def flow() -> Generator[Any, Any, str]:
        yield from Sleep(0.0)
        try:
            yield from Invoke(lambda: held.append("lock"))
            yield from Invoke(lambda: None)
            yield from Invoke(held.clear)
        except GeneratorExit:
            raise
        except BaseException:
            yield from Invoke(held.clear)
            raise
        return "done"

    number, came, outcomes = 0, True, set()
    while came:
        number += 1
        interrupter = Interrupter(number, interrupt())
        before = sys.gettrace()
        sys.settrace(interrupter)
        try:
            outcomes.add(drive(flow()))
        except interrupt:
            outcomes.add("interrupted")
        finally:
            sys.settrace(before)
        came = interrupter.came

        assert [] == held, number

    assert {"done", "interrupted"} == outcomes
    # Fewer lines would mean that not all were tried.
    assert number > 30


@drivers
def test_a_bug_in_a_flow(drive: Drive) -> None:
    """What a flow raises of itself is raised as it is."""

    def flow() -> Flow[Any]:
        yield from Sleep(0.0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        drive(flow())


class Postponing:
    """A flow that postpones something, and what happened when.

    Args:
        end: ends the flow.
    """

    def __init__(self, end: Callable[[], object] = lambda: None) -> None:
        self.end = end
        self.steps: list[str] = []

    def flow(self) -> Flow[str]:
        """Postpone, once alone and once inside a shared flow."""
        yield from Postpone(lambda: self._postponed("first"))
        yield from Share("key", self._shared, 1.0)
        self.steps.append("end")
        self.end()
        return "answer"

    def _shared(self) -> Flow[None]:
        yield from Postpone(lambda: self._postponed("second"))
        yield from SEND
        self.steps.append("sent")

    def _postponed(self, name: str) -> Flow[None]:
        yield from SEND
        self.steps.append(name)


def test_postponed_in_threads() -> None:
    """A thread does what was postponed when the outermost flow has ended, in its order."""
    postponing = Postponing()

    assert "answer" == in_threads(postponing.flow())
    assert ["sent", "end", "first", "second"] == postponing.steps


def test_postponed_in_tasks() -> None:
    """In asyncio it is a task, and the flow that postponed it does not wait for it."""
    postponing = Postponing()

    assert "answer" == in_tasks(postponing.flow())
    assert {"first", "second", "sent", "end"} == set(postponing.steps)
    assert postponing.steps.index("end") < postponing.steps.index("first")


@drivers
def test_postponed_past_an_error(drive: Drive) -> None:
    """An error of the library is an answer; what was postponed has no part in it."""
    postponing = Postponing(failing(NotSentError("no")))

    with pytest.raises(NotSentError) as caught:
        drive(postponing.flow())

    assert {"first", "second", "sent", "end"} == set(postponing.steps)
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


@drivers
@interrupts
def test_postponed_and_interrupted(
    drive: Drive, interrupt: type[BaseException]
) -> None:
    """Nothing is begun after an interrupt, in whichever part of the flow it came."""
    postponing = Postponing(failing(interrupt()))

    with pytest.raises(interrupt):
        drive(postponing.flow())

    assert "first" not in postponing.steps


def test_postponed_and_failing(caplog: pytest.LogCaptureFixture) -> None:
    """In asyncio, a bug in what was postponed is logged, and the answer stands."""

    def fail() -> Flow[None]:
        yield from Sleep(0.0)
        raise ZeroDivisionError

    def flow() -> Flow[str]:
        yield from Postpone(fail)
        return "answer"

    assert "answer" == in_tasks(flow())
    assert ["a flow beside a call failed"] == [
        record.getMessage() for record in caplog.records
    ]


@interrupts
def test_postponed_and_struck(interrupt: type[BaseException]) -> None:
    """An interrupt that strikes what a thread does after the answer goes on to the caller."""

    def flow() -> Flow[str]:
        yield from Postpone(lambda: Invoke(failing(interrupt())).__iter__())
        return "answer"

    with pytest.raises(interrupt) as caught:
        in_threads(flow())

    assert caught.value.__context__ is None


@drivers
def test_beside(drive: Drive) -> None:
    """What is begun runs beside the flow, in a thread or a task of its own."""
    threads: list[threading.Thread] = []
    is_there = threading.Event()

    def beside() -> Flow[None]:
        yield from Sleep(0.01)
        threads.append(threading.current_thread())
        is_there.set()

    def flow() -> Flow[str]:
        yield from Begin(beside)
        if drive is in_threads:
            yield from Invoke(lambda: is_there.wait(5))
        return "answer"

    assert "answer" == drive(flow())
    (thread,) = threads
    assert (drive is in_tasks) is (thread is threading.current_thread())


def test_threads_beside_do_not_outlive_the_call() -> None:
    """A call waits for the threads it began, when it has its answer; not for ever."""
    before = threading.active_count()

    def flow(seconds: float) -> Flow[str]:
        yield from Begin(lambda: Sleep(seconds).__iter__())
        return "answer"

    assert "answer" == in_threads(flow(0.1))
    assert before == threading.active_count()
    assert "answer" == in_threads(flow(1.5))
    assert before + 1 == threading.active_count()


def test_threads_beside_that_hang() -> None:
    """A call waits for all of its threads together for a second, and not for each."""
    hanging = threading.Event()

    def flow() -> Flow[str]:
        for _ in range(2):
            yield from Begin(lambda: Invoke(hanging.wait, (5.0,)).__iter__())
        return "answer"

    started = time.monotonic()
    assert "answer" == in_threads(flow())
    seconds = time.monotonic() - started
    hanging.set()

    assert 0.9 < seconds < 1.5


@drivers
def test_beside_and_failing(drive: Drive, caplog: pytest.LogCaptureFixture) -> None:
    """A bug in it is logged."""

    def fail() -> Flow[None]:
        yield from Sleep(0.0)
        raise ZeroDivisionError

    def flow() -> Flow[str]:
        yield from Begin(fail)
        return "answer"

    assert "answer" == drive(flow())
    assert ["a flow beside a call failed"] == [
        record.getMessage() for record in caplog.records
    ]


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a thread nothing is begun, and the call goes on."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def flow() -> Flow[str]:
        yield from Begin(lambda: Sleep(0.0).__iter__())
        return "answer"

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert "answer" == in_threads(flow())


def test_a_coroutine_function_for_threads(recwarn: pytest.WarningsRecorder) -> None:
    """An async callback is refused by the blocking client, and never left un-awaited."""

    async def resolver() -> str:
        return "tenant.example"

    def flow() -> Flow[str]:
        return (yield from Invoke[str](resolver))

    with pytest.raises(ConfigurationError, match="use AsyncServerClient"):
        in_threads(flow())

    assert [] == recwarn.list


class Promise:
    """Something to await that is no coroutine."""

    def __await__(self) -> Generator[Any, Any, str]:
        yield from asyncio.sleep(0).__await__()
        return "kept"


def test_an_awaitable_for_threads() -> None:
    """Any awaitable is refused by the blocking client."""

    def flow() -> Flow[str]:
        return (yield from Invoke[str](Promise))

    with pytest.raises(ConfigurationError, match="use AsyncServerClient"):
        in_threads(flow())


@pytest.mark.parametrize("promise", [Promise, lambda: asyncio.sleep(0, "kept")])
def test_an_awaitable_for_tasks(promise: Callable[[], Awaitable[str]]) -> None:
    """Whatever a callback gives to await is awaited in the asyncio world."""

    def flow() -> Flow[str]:
        return (yield from Invoke[str](promise))

    assert "kept" == in_tasks(flow())


@drivers
def test_nobody_to_tell(drive: Drive) -> None:
    """An event without a subscriber is nothing to do."""

    def flow() -> Flow[str]:
        yield from Emit(EVENT)
        return "done"

    assert "done" == drive(flow())


@drivers
def test_a_subscriber_that_fails(
    drive: Drive, caplog: pytest.LogCaptureFixture
) -> None:
    """A subscriber's failure is logged, and is never the exchange's."""

    def fail(event: object) -> None:
        raise RuntimeError("the subscriber's own")

    def flow() -> Flow[str]:
        yield from Emit(EVENT)
        return "done"

    assert "done" == drive(flow(), on_event=fail)
    (record,) = caplog.records
    assert ("auth0_tx", logging.ERROR) == (record.name, record.levelno)
    assert "on_event raised for KeysFetched" == record.getMessage()


@pytest.mark.parametrize(
    ("drive", "world"),
    [(run, World()), (run_in_loop, AsyncWorld())],
    ids=["threads", "tasks"],
)
def test_closing_while_a_call_is_under_way(drive: Drive, world: Any) -> None:
    """What is to be done with an answer is done, although the client was closed meanwhile."""
    stored: list[Response] = []

    def close() -> Response:
        world.is_closed = True
        return REPLY

    def flow() -> Flow[str]:
        response = yield from SEND
        yield from Invoke(stored.append, (response,))
        yield from Emit(EVENT)
        for effect in SEND, Share("key", flow, 1.0):
            with pytest.raises(ClientClosedError):
                yield from effect
        return "done"

    world.send_with = close

    assert "done" == drive(flow(), world)
    assert [REPLY] == stored
    with pytest.raises(ClientClosedError):
        drive(flow(), world)


async def test_a_task_that_is_cancelled() -> None:
    """A flow whose task is cancelled is closed, and its clean-up runs."""
    steps: list[str] = []

    def flow() -> Flow[None]:
        try:
            yield from Sleep(60)
        finally:
            steps.append("cleaned up")

    task = asyncio.create_task(run_async(flow(), AsyncWorld()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()
    assert ["cleaned up"] == steps
