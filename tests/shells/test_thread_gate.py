"""The gate of the blocking transport: at most so many, first come, first served."""

from __future__ import annotations

import ctypes
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from auth0_tx.shells.thread_gate import Gate, Visit


def soon() -> float:
    """Return a deadline that no test gets to."""
    return time.monotonic() + 60


def enter(gate: Gate, deadline: float | None = None) -> Visit:
    """Enter at once, and return the visit."""
    visit = Visit(deadline or soon())
    assert gate.enter(visit)
    return visit


def is_open(gate: Gate) -> bool:
    """Return whether a newcomer gets a place at once."""
    visit = Visit(time.monotonic())
    entered = gate.enter(visit)
    gate.leave(visit)
    return entered


@pytest.fixture
def pool() -> ThreadPoolExecutor:
    """Threads to wait in."""
    return ThreadPoolExecutor(8)


def wait_in_line(
    pool: ThreadPoolExecutor, gate: Gate, visit: Visit, first: bool = False
) -> Future[bool]:
    """Have a thread stand at the gate."""
    before = len(gate._line)
    future = pool.submit(gate.enter, visit, first)
    while len(gate._line) == before and not future.done():
        time.sleep(0.001)
    return future


def test_first_come_first_served(pool: ThreadPoolExecutor) -> None:
    """A place that is left goes to who waits longest, not to who comes next."""
    with pool:
        gate = Gate(1)
        inside, one = enter(gate), Visit(soon())
        first = wait_in_line(pool, gate, one)
        second = wait_in_line(pool, gate, Visit(soon()))
        gate.leave(inside)
        entered = first.result(), second.done()

        assert (True, False) == entered
        assert not is_open(gate)
        gate.leave(one)
        assert second.result()


def test_documents_go_first(pool: ThreadPoolExecutor) -> None:
    """What goes first stands before all who wait."""
    with pool:
        gate = Gate(1)
        inside, document = enter(gate), Visit(soon())
        other = wait_in_line(pool, gate, Visit(soon()))
        first = wait_in_line(pool, gate, document, first=True)
        gate.leave(inside)

        assert first.result()
        assert not other.done()
        gate.leave(document)
        assert other.result()


def test_out_of_time(pool: ThreadPoolExecutor) -> None:
    """Who is out of time gets no place, and takes none from those behind."""
    with pool:
        gate = Gate(1)
        inside, late, patient = (
            enter(gate),
            Visit(time.monotonic() + 0.05),
            Visit(soon()),
        )
        too_late = wait_in_line(pool, gate, late)
        other = wait_in_line(pool, gate, patient)

        assert not too_late.result()
        gate.leave(late)
        gate.leave(inside)
        assert other.result()
        gate.leave(patient)
        assert is_open(gate)


def test_woken_although_out_of_time(pool: ThreadPoolExecutor) -> None:
    """Who was woken in the instant in which its time ends wakes the next one."""
    with pool:
        gate = Gate(1)
        inside, late = enter(gate), Visit(time.monotonic() + 0.05)
        wait_in_line(pool, gate, late).result()
        other = wait_in_line(pool, gate, Visit(soon()))
        # As if nobody had been woken yet.
        gate._places.give_back(inside.held)
        gate.leave(late)

        assert other.result()


def test_several_places_at_once(pool: ThreadPoolExecutor) -> None:
    """As many enter as there are places, although only the first in the line is woken."""
    with pool:
        gate = Gate(3)
        inside = [enter(gate) for _ in range(3)]
        visits = [Visit(soon()) for _ in range(3)]
        others = [wait_in_line(pool, gate, visit) for visit in visits]
        for visit in inside:
            gate._places.give_back(visit.held)
        gate.leave(inside[0])

        assert [True] * 3 == [other.result() for other in others]
        assert not is_open(gate)


def test_leaving_twice() -> None:
    """To leave again gives no second place back."""
    gate = Gate(2)
    visit = enter(gate)
    gate.leave(visit)
    gate.leave(visit)

    assert 2 == gate._free


@pytest.mark.parametrize("is_first", [False, True])
def test_who_is_gone_without_leaving(pool: ThreadPoolExecutor, is_first: bool) -> None:
    """A thread that vanished keeps neither its place nor others out of theirs."""
    with pool:
        gate = Gate(1)
        inside, gone = enter(gate), Visit(time.monotonic() + 0.05)
        gate._line.append(gone)
        other = wait_in_line(pool, gate, Visit(soon()), is_first)
        del inside

        assert other.result()


def test_interrupt() -> None:
    """A thread that is interrupted in the line leaves it."""
    gate, ended = Gate(1), threading.Event()
    inside = enter(gate)

    def wait() -> None:
        try:
            while True:
                # Short waits: an exception set from outside is raised between two of them.
                visit = Visit(time.monotonic() + 0.01)
                try:
                    gate.enter(visit)
                finally:
                    gate.leave(visit)
        except KeyboardInterrupt:
            ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(KeyboardInterrupt)
    )
    thread.join(10)

    assert ended.is_set()
    gate.leave(inside)
    assert is_open(gate)
    assert 0 == len(gate._line)
