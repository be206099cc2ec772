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
    """Return a deadline that no test gets to."""
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


async def at_the_gate(gate: Gate, count: int = 1) -> list[asyncio.Task[bool]]:
    """Have so many tasks stand at the gate, for as long as a test may take."""
    return [await waiting(gate, soon()) for _ in range(count)]


async def settle() -> None:
    """Let the loop do what it has been told to."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_crowd(gate: Gate) -> None:
    """A call goes on at once while fewer stand at the gate than it has places."""
    before = gate.join_crowd(soon())
    stands = await at_the_gate(gate)
    after = gate.join_crowd(soon())

    assert before is None
    assert after is not None
    gate.leave()
    assert [True] == await asyncio.gather(*stands)


async def test_a_crowd_waits_outside(gate: Gate) -> None:
    """As many are let in as may stand at the gate, in the order in which they came."""
    await at_the_gate(gate)
    came: list[str] = []

    async def call(name: str) -> None:
        turn = gate.join_crowd(soon())
        assert turn is not None
        await turn
        came.append(name)
        assert await gate.enter_in_turn(soon())

    seen = []
    async with asyncio.TaskGroup() as calls:
        calls.create_task(call("first"))
        calls.create_task(call("second"))
        for _ in range(4):
            await settle()
            seen.append(list(came))
            gate.leave()

    assert [[], ["first"], ["first", "second"], ["first", "second"]] == seen


async def test_a_newcomer_to_a_crowd(gate: Gate) -> None:
    """Who comes while others are outside is behind them, also when the gate has room."""
    await at_the_gate(gate)
    outside = gate.join_crowd(soon())
    gate.leave()
    newcomer = gate.join_crowd(soon())

    assert outside is not None
    assert newcomer is not None
    await settle()
    assert outside.done()
    assert newcomer.done()


async def test_calls_that_never_come_to_the_gate(gate: Gate) -> None:
    """Those who are let in and end without a request keep nobody outside."""
    await at_the_gate(gate)
    crowd = [gate.join_crowd(soon()) for _ in range(20)]
    gate.leave()
    async with asyncio.timeout(10):
        await asyncio.gather(*(turn for turn in crowd if turn is not None))

    assert 20 == len([turn for turn in crowd if turn is not None])


async def test_out_of_time_outside(gate: Gate) -> None:
    """Whose time is up outside is told so, and nobody else is."""
    await at_the_gate(gate)
    now = time.monotonic()
    cancelled, late = gate.join_crowd(now + 0.01), gate.join_crowd(now + 0.02)
    other = gate.join_crowd(soon())
    assert cancelled is not None
    assert late is not None
    assert other is not None
    cancelled.cancel()

    assert not await late
    assert not other.done()
    gate.leave()
    await other


async def test_cancelled_outside(gate: Gate) -> None:
    """Who is cancelled outside is passed over."""
    await at_the_gate(gate)
    cancelled, other = gate.join_crowd(soon()), gate.join_crowd(soon())
    assert cancelled is not None
    assert other is not None
    cancelled.cancel()
    gate.leave()
    await settle()

    assert other.done()
    assert not other.cancelled()


async def test_the_last_outside(gate: Gate) -> None:
    """The timer of a crowd that is gone finds nobody, and does nothing."""
    await at_the_gate(gate)
    outside = gate.join_crowd(time.monotonic() + 0.01)
    assert outside is not None
    gate.leave()
    await outside
    await asyncio.sleep(0.02)

    assert outside.done()
    assert gate.join_crowd(soon()) is None
