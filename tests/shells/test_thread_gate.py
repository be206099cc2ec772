"""The gate of the blocking transport: at most so many, first come, first served."""

from __future__ import annotations

import ctypes
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from auth0_tx.shells.requests_transport import Gate


def soon() -> float:
    """Return a deadline that no test gets to."""
    return time.monotonic() + 60


@pytest.fixture
def pool() -> ThreadPoolExecutor:
    """Threads to wait in."""
    return ThreadPoolExecutor(8)


def waiting(
    pool: ThreadPoolExecutor, gate: Gate, deadline: float, first: bool = False
) -> Future[bool]:
    """Have a thread stand at the gate."""
    before = len(gate._waiting)
    future = pool.submit(gate.enter, deadline, first)
    while len(gate._waiting) == before and not future.done():
        time.sleep(0.001)
    return future


def test_first_come_first_served(pool: ThreadPoolExecutor) -> None:
    """A place that is left goes to who waits longest, not to who comes next."""
    with pool:
        gate = Gate(1)
        gate.enter(soon())
        first, second = waiting(pool, gate, soon()), waiting(pool, gate, soon())
        gate.leave()
        entered = first.result(), second.done()
        # The place was handed over: none is free for a newcomer.
        newcomer = gate.enter(time.monotonic())
        gate.leave()

        assert (True, False) == entered
        assert not newcomer
        assert second.result()


def test_documents_go_first(pool: ThreadPoolExecutor) -> None:
    """What goes first stands before all who wait."""
    with pool:
        gate = Gate(1)
        gate.enter(soon())
        other = waiting(pool, gate, soon())
        first = waiting(pool, gate, soon(), first=True)
        gate.leave()

        assert first.result()
        assert not other.done()
        gate.leave()
        assert other.result()


def test_out_of_time(pool: ThreadPoolExecutor) -> None:
    """Who is out of time gets no place, and takes none from those behind."""
    with pool:
        gate = Gate(1)
        gate.enter(soon())
        late = waiting(pool, gate, time.monotonic() + 0.05)
        other = waiting(pool, gate, soon())

        assert not late.result()
        gate.leave()
        assert other.result()
        gate.leave()
        assert gate.enter(time.monotonic())


class HandedOver:
    """A lock whose wait ends in vain, in the instant in which the place is handed over."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def acquire(self, timeout: float = -1) -> bool:
        """Have the place handed over, and give up."""
        if timeout >= 0:
            self._gate.leave()
        return False

    def release(self) -> None:
        """Take no notice: the wait is over."""


def test_place_handed_over_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that comes in the instant in which the time ends is handed on."""
    gate = Gate(1)
    gate.enter(soon())
    with monkeypatch.context() as patch:
        patch.setattr(
            "auth0_tx.shells.requests_transport.threading.Lock",
            lambda: HandedOver(gate),
        )
        entered = gate.enter(soon())

    assert not entered
    assert gate.enter(soon())


def test_interrupt() -> None:
    """A thread that is interrupted in the queue leaves it."""
    gate, ended = Gate(1), threading.Event()
    gate.enter(soon())

    def wait() -> None:
        try:
            # Short waits: an exception set from outside is raised between two of them.
            while not gate.enter(time.monotonic() + 0.01):
                pass
        except KeyboardInterrupt:
            ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(KeyboardInterrupt)
    )
    thread.join(10)

    assert ended.is_set()
    assert 0 == len(gate._waiting)
    gate.leave()
    assert gate.enter(time.monotonic())
