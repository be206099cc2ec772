"""The gate of the asyncio transport: at most so many, first come, first served."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from auth0_tx import ClientClosedError, NotSentError
from auth0_tx.core.effects import Flow, Sleep
from auth0_tx.errors import CustomTokenExchangeErrorCode as Code
from auth0_tx.shells.drivers import AsyncWorld, run_in_turn
from auth0_tx.shells.loop_limits import Gate


@pytest.fixture
async def gate() -> Gate:
    """A gate with one place, which is taken."""
    gate = Gate(1, asyncio.get_running_loop())
    assert enter(gate)
    return gate


def enter(gate: Gate) -> bool:
    """Take a place if one is free."""
    if not gate.free:
        return False
    gate.free -= 1
    return True


def soon() -> float:
    """Return a deadline that no test gets to."""
    return time.monotonic() + 60


async def waiting(
    gate: Gate, deadline: float, first: bool = False
) -> asyncio.Task[bool]:
    """Have a task stand at the gate."""
    task = asyncio.create_task(gate.wait(gate.join(deadline, first)))
    await asyncio.sleep(0)
    return task


async def test_first_come_first_served(gate: Gate) -> None:
    """A place that is left goes to who waits longest, not to who comes next."""
    first, second = await waiting(gate, soon()), await waiting(gate, soon())
    gate.leave()
    newcomer = enter(gate)
    entered = await first
    done = second.done()
    gate.leave()

    assert (True, False, False) == (entered, done, newcomer)
    assert await second
    gate.leave()
    assert enter(gate)


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
    assert enter(gate)


async def test_cancelled_while_waiting(gate: Gate) -> None:
    """Who is cancelled in the queue is passed over."""
    cancelled = await waiting(gate, soon())
    cancelled.cancel()
    await asyncio.wait({cancelled})
    gate.leave()

    assert enter(gate)


async def test_a_crowd(gate: Gate) -> None:
    """A crowd gets its places one by one, in the order in which it came."""
    came: list[int] = []

    async def call(number: int) -> None:
        assert await gate.wait(gate.join(soon()))
        came.append(number)
        gate.leave()

    async with asyncio.TaskGroup() as calls:
        for number in range(1_000):
            calls.create_task(call(number))
        await asyncio.sleep(0)
        gate.leave()

    assert [*range(1_000)] == came
    assert enter(gate)


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


# A call passes a gate of its own before its flow begins.


def build_world(gate: Gate, timeout: float = 60.0) -> AsyncWorld:
    """Return a world whose calls pass *gate*, and whose flows ask for nothing but time."""

    async def refuse(*_: Any) -> Any:
        raise AssertionError("nothing is sent or shared here")

    def refuse_task(_: object) -> None:
        raise AssertionError("nothing is left to a task here")

    return AsyncWorld(
        refuse,
        refuse,
        on_event=None,
        begin=refuse_task,
        timeout=timeout,
        find_call_gate=lambda: gate,
    )


def wait_in_flow(begun: list[int], number: int) -> Flow[int]:
    """Begin, and end without a request after a moment."""
    begun.append(number)
    yield from Sleep(0.0)
    return number


async def test_a_crowd_begins_in_turn() -> None:
    """As many flows begin as the gate lets in, in order; each that ends lets in the next."""
    gate, begun = Gate(2, asyncio.get_running_loop()), []
    calls = [
        asyncio.create_task(run_in_turn(wait_in_flow(begun, n), build_world(gate)))
        for n in range(5)
    ]
    await asyncio.sleep(0)
    first = list(begun)

    assert [0, 1] == first
    assert [*range(5)] == await asyncio.gather(*calls)
    assert [*range(5)] == begun
    assert 2 == gate.free


async def test_a_call_whose_turn_does_not_come(gate: Gate) -> None:
    """A call whose turn does not come in time has not begun, and is told so."""
    begun: list[int] = []
    with pytest.raises(NotSentError) as caught:
        await run_in_turn(wait_in_flow(begun, 1), build_world(gate, 0.02))

    assert (Code.TIMEOUT, True) == (caught.value.code, caught.value.retry_safe)
    assert [] == begun
    gate.leave()
    assert 1 == gate.free


@pytest.mark.parametrize("is_handed_over", [False, True])
async def test_a_cancelled_call_leaves_its_turn(
    gate: Gate, is_handed_over: bool
) -> None:
    """A call that is cancelled while it waits, or as its turn comes, takes no place along."""
    begun: list[int] = []
    world = build_world(gate)
    cancelled, other = (
        asyncio.create_task(run_in_turn(wait_in_flow(begun, n), world)) for n in (1, 2)
    )
    await asyncio.sleep(0)
    if is_handed_over:
        gate.leave()
    cancelled.cancel()
    if not is_handed_over:
        await asyncio.wait({cancelled})
        gate.leave()

    assert 2 == await other
    assert cancelled.cancelled()
    assert ([2], 1) == (begun, gate.free)


async def test_a_closed_client_lets_nobody_begin(gate: Gate) -> None:
    """A call of a closed client is refused without waiting for a turn."""
    world = build_world(gate)
    world.is_closed = True
    with pytest.raises(ClientClosedError):
        await run_in_turn(wait_in_flow([], 1), world)

    assert 0 == gate.free
