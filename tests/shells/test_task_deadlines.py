"""Deadlines of tasks: each ends its own block, and nobody else's."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from auth0_tx.shells.loop_limits import Deadlines


@pytest.fixture
async def deadlines() -> Deadlines:
    """The deadlines of the running loop."""
    return Deadlines(asyncio.get_running_loop())


def within(seconds: float) -> float:
    """Return the time in so many seconds."""
    return time.monotonic() + seconds


async def test_in_time(deadlines: Deadlines) -> None:
    """A block that ends in time is let be, also afterwards."""
    with deadlines.until(within(0.05)):
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)

    assert set() == deadlines._running


async def test_out_of_time(deadlines: Deadlines) -> None:
    """A block that does not ends with TimeoutError; the task goes on."""
    with pytest.raises(TimeoutError), deadlines.until(within(0.02)):
        await asyncio.sleep(60)
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None

    assert 0 == task.cancelling()
    assert set() == deadlines._running


async def test_each_its_own(deadlines: Deadlines) -> None:
    """Many deadlines, later and earlier ones, end in their order; none ends another."""
    ended: list[float] = []

    async def wait(seconds: float) -> None:
        with pytest.raises(TimeoutError), deadlines.until(within(seconds)):
            await asyncio.sleep(60)
        ended.append(seconds)

    # Far enough apart for a machine that is busy with other tests.
    waits = [0.6, 0.02, 0.9, 0.3]
    await asyncio.gather(*map(wait, waits))

    assert sorted(waits) == ended


async def test_one_of_many(deadlines: Deadlines) -> None:
    """What has more time goes on when another's has ended."""

    async def patient() -> str:
        with deadlines.until(within(60)):
            await asyncio.sleep(0.1)
        return "done"

    task = asyncio.create_task(patient())
    with pytest.raises(TimeoutError), deadlines.until(within(0.02)):
        await asyncio.sleep(60)

    assert "done" == await task


async def test_another_failure(deadlines: Deadlines) -> None:
    """A failure within the block is raised as it is."""
    with pytest.raises(ZeroDivisionError), deadlines.until(within(60)):
        raise ZeroDivisionError


async def test_cancelled_by_the_application(deadlines: Deadlines) -> None:
    """A task that is cancelled is cancelled, whatever time it had left."""

    async def wait() -> None:
        with deadlines.until(within(60)):
            await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()
    assert set() == deadlines._running


@pytest.mark.parametrize("first", ["application", "deadline"])
async def test_cancelled_as_its_time_ends(deadlines: Deadlines, first: str) -> None:
    """A task that is cancelled in the instant in which its time ends stays cancelled."""

    async def wait() -> None:
        deadline = deadlines.until(within(60))
        with deadline:
            ends = (deadline.pass_by, task.cancel)
            for end in reversed(ends) if first == "application" else ends:
                end()
            await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await asyncio.wait({task})

    assert task.cancelled()
    assert set() == deadlines._running


async def test_failure_as_its_time_ends(deadlines: Deadlines) -> None:
    """What fails in the instant in which the time ends is out of time, and no more."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    deadline, awaited = deadlines.until(within(60)), loop.create_future()
    loop.call_soon(awaited.set_exception, ZeroDivisionError())
    loop.call_soon(deadline.pass_by)
    with pytest.raises(TimeoutError), deadline:
        await awaited
    await asyncio.sleep(0)

    assert 0 == task.cancelling()


async def test_one_inside_another(deadlines: Deadlines) -> None:
    """The outer deadline ends the outer block, though the wait is in the inner one."""
    steps: list[str] = []

    async def wait_inside() -> None:
        try:
            with deadlines.until(within(60)):
                await asyncio.sleep(60)
        except TimeoutError:
            steps.append("inner")

    with pytest.raises(TimeoutError), deadlines.until(within(0.02)):
        await wait_inside()

    assert [] == steps


async def read_late() -> bytes:
    """Wait for bytes that arrive in time, while the loop stands still past the deadline."""
    loop = asyncio.get_running_loop()
    (mine, other), (ready, trigger) = socket.socketpair(), socket.socketpair()
    with other, ready, trigger:
        reader, writer = await asyncio.open_connection(sock=mine)

        def stand_still() -> None:
            loop.remove_reader(ready)
            other.sendall(b"in time")
            time.sleep(0.1)

        # Where it reads its sockets, so that uvloop looks at its timers next.
        loop.add_reader(ready, stand_still)
        trigger.sendall(b"now")
        try:
            with Deadlines(loop).until(within(0.05)):
                return await reader.readexactly(7)
        finally:
            writer.close()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_bytes_that_arrived_in_time(loop: str) -> None:
    """A loop that stood still past a deadline first reads what has arrived by then."""
    new_loop = pytest.importorskip(loop).new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert b"in time" == runner.run(read_late())


async def test_a_block_that_ends_at_its_deadline(deadlines: Deadlines) -> None:
    """A block that ends in the turns after its deadline is let be, also afterwards."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.call_later(0.01, time.sleep, 0.1)
    loop.call_later(0.07, ready.set_result, None)
    with deadlines.until(within(0.05)):
        await ready
    for _ in range(10):
        await asyncio.sleep(0)

    assert set() == deadlines._running
