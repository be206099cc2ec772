"""The gate of the asyncio transport: at most so many, first come, first served."""

from __future__ import annotations

import asyncio
import time

import pytest

from auth0_tx.shells.deadlines import Deadlines
from auth0_tx.shells.gate import Gate


@pytest.fixture
async def gate() -> Gate:
    """A gate with one place, which is taken."""
    gate = Gate(1, Deadlines(asyncio.get_running_loop()))
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
