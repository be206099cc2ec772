"""The gate of the asyncio transport: at most so many, first come, first served."""

from __future__ import annotations

import asyncio
import time

import pytest

from auth0_tx.shells.loop_limits import Gate


@pytest.fixture
async def gate() -> Gate:
    """A gate with one place, which is taken."""
    gate = Gate(1, asyncio.get_running_loop())
    assert gate.enter_at_once()
    return gate


def soon() -> float:
    """Give a deadline that no test gets to."""
    return time.monotonic() + 60


async def waiting(
    gate: Gate, deadline: float, first: bool = False
) -> asyncio.Task[bool]:
    """Have a task stand at the gate."""
    task = asyncio.create_task(gate.enter_in_turn(deadline, first))
    await asyncio.sleep(0)
    return task


async def test_first_come_first_served(gate: Gate) -> None:
    """A place that is left goes to who waits longest, not to who comes next."""
    first, second = await waiting(gate, soon()), await waiting(gate, soon())
    gate.leave()
    newcomer = gate.enter_at_once()
    entered = await first
    done = second.done()
    gate.leave()

    assert (True, False, False) == (entered, done, newcomer)
    assert await second
    gate.leave()
    assert gate.enter_at_once()


async def test_documents_go_first(gate: Gate) -> None:
    """What goes first stands before all who wait."""
    other, first = await waiting(gate, soon()), await waiting(gate, soon(), first=True)
    gate.leave()

    assert await first
    assert not other.done()
    gate.leave()
    assert await other


async def test_out_of_time(gate: Gate) -> None:
    """Who is out of time gets no place, and takes none from those behind."""
    late = await waiting(gate, time.monotonic() + 0.02)
    other = await waiting(gate, soon())

    assert not await late
    gate.leave()
    assert await other


async def test_place_of_one_who_is_out_of_time(gate: Gate) -> None:
    """A place that is handed over in the instant in which the time ends is handed on."""
    late = await waiting(gate, time.monotonic() + 0.01)
    other = await waiting(gate, soon())
    # The loop stands still until the time has ended; then both happen at once.
    time.sleep(0.02)
    asyncio.get_running_loop().call_later(0, gate.leave)

    assert await other
    assert not await late


async def test_place_of_a_cancelled_task(gate: Gate) -> None:
    """A place that is handed over in the instant of a cancellation is handed on."""
    cancelled, other = await waiting(gate, soon()), await waiting(gate, soon())
    gate.leave()
    cancelled.cancel()

    assert await other
    assert cancelled.cancelled()
    gate.leave()
    assert gate.enter_at_once()


async def test_cancelled_while_waiting(gate: Gate) -> None:
    """Who is cancelled in the queue is passed over."""
    cancelled = await waiting(gate, soon())
    cancelled.cancel()
    await asyncio.wait({cancelled})
    gate.leave()

    assert gate.enter_at_once()


async def test_a_crowd(gate: Gate) -> None:
    """A crowd gets its places one by one, in the order in which it came."""
    came: list[int] = []

    async def call(number: int) -> None:
        assert await gate.enter_in_turn(soon())
        came.append(number)
        gate.leave()

    async with asyncio.TaskGroup() as calls:
        for number in range(1_000):
            calls.create_task(call(number))
        await asyncio.sleep(0)
        gate.leave()

    assert [*range(1_000)] == came
    assert gate.enter_at_once()


async def test_deadlines_of_a_crowd(gate: Gate) -> None:
    """Each of a crowd waits as long as its own deadline, in whatever order they came."""
    now = time.monotonic()
    patient = await waiting(gate, soon())
    late = [await waiting(gate, now + wait) for wait in (0.06, 0.02, 0.04)]

    assert [False] * 3 == await asyncio.gather(*late)
    assert not patient.done()
    gate.leave()
    assert await patient


async def test_a_timer_that_finds_nobody(gate: Gate) -> None:
    """The timer of a crowd that is gone does nothing, and a later crowd has its own."""
    first = await waiting(gate, time.monotonic() + 0.01)
    gate.leave()
    assert await first
    await asyncio.sleep(0.03)
    late = await waiting(gate, time.monotonic() + 0.01)

    assert not await late
