"""Interrupts at every instruction of the machinery that the blocking client's threads share."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from auth0_tx import places as places_module
from auth0_tx.places import Places
from auth0_tx.shells import flights as flights_module
from auth0_tx.shells import idle_connections as idle_connections_module
from auth0_tx.shells import thread_gate as thread_gate_module
from auth0_tx.shells.flights import ThreadFlights
from auth0_tx.shells.idle_connections import HostPools, IdleConnections
from auth0_tx.shells.thread_gate import Gate, Visit
from tests.striking import in_own_thread, strike_everywhere

# An interrupt in a finalizer is nobody's to see.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)

# After how many calls and returns an interrupt that is on its way out is followed by another.
AGAIN = [None, 1, 2, 3, 5, 8]


def soon() -> float:
    """Return a deadline that no test gets to."""
    return time.monotonic() + 60


def go_through(gate: Gate, visit: Visit) -> None:
    """Pass the gate, as the transport does."""
    try:
        try:
            gate.enter(visit)
        finally:
            gate.leave(visit)
    finally:
        gate.leave(visit)


@pytest.mark.parametrize("again", AGAIN)
@in_own_thread
def test_gate(again: int | None) -> None:
    """Wherever a thread is interrupted that passes the gate, its place is free again."""
    gate, count = Gate(2), 0
    for strike in strike_everywhere(thread_gate_module, places_module, again=again):
        count = strike.number
        with strike:
            go_through(gate, Visit(soon()))

        assert 2 == gate._free, count
        assert 0 == len(gate._line)

    assert count > 40


@pytest.mark.parametrize("again", AGAIN)
@in_own_thread
def test_line(again: int | None) -> None:
    """The same where all places are taken, for who is out of time."""
    gate, count = Gate(1), 0
    inside = Visit(soon())
    assert gate.enter(inside)
    for strike in strike_everywhere(thread_gate_module, places_module, again=again):
        count = strike.number
        with strike:
            go_through(gate, Visit(time.monotonic() + 0.0001))

        # Who was cut off twice may still stand there, and is passed over.
        assert not gate.enter(Visit(0.0)), count
        assert 0 == len(gate._line), count
    gate.leave(inside)

    assert 1 == gate._free
    assert count > 80


@pytest.mark.parametrize("again", [None, 1, 3])
@in_own_thread
def test_leaving_wakes_the_next(
    again: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a thread is interrupted that leaves, the next one enters."""
    if again is not None:
        # Cut off twice, it wakes nobody.
        monkeypatch.setattr(thread_gate_module, "_LOOK_AGAIN", 0.01)
    with ThreadPoolExecutor(1) as pool:
        for strike in strike_everywhere(thread_gate_module, places_module, again=again):
            gate = Gate(1)
            inside, other = Visit(soon()), Visit(soon())
            assert gate.enter(inside)
            entered = pool.submit(gate.enter, other)
            while not gate._line:
                time.sleep(0.0001)
            with strike:
                try:
                    gate.leave(inside)
                finally:
                    gate.leave(inside)
            del inside

            assert entered.result(30)
            gate.leave(other)
            assert 1 == gate._free


@in_own_thread
def test_places() -> None:
    """Wherever a holder is interrupted, it has its place, or the place is free."""
    for strike in strike_everywhere(places_module):
        places, held = Places(1), deque[object]()
        with strike:
            places.take(held)
            places.give_back(held)

        assert 1 == len(places) + len(held), strike.number
        places.give_back(held)
        assert 1 == len(places), strike.number


@in_own_thread
def test_holders_that_vanish() -> None:
    """The place of a holder that vanishes wherever it was interrupted is free again."""
    for strike in strike_everywhere(places_module):
        places, held = Places(1), deque[object]()
        # From now on it is watched.
        places.take(held)
        places.give_back(held)
        with strike:
            places.take(held)
            places.give_back(held)
        del held

        assert 1 == len(places), strike.number
        assert 2 >= len(places._watched)


@in_own_thread
def test_places_that_are_freed_again_and_again() -> None:
    """A place that was lost is watched as it was before."""
    places = Places(2)
    for _ in range(10):
        held = deque[object](), deque[object]()
        assert [True, True] == [places.take(hand) for hand in held]
        assert not places.take(deque())
        del held
    assert 2 == len(places)
    assert 2 >= len(places._watched)


class _Connection:
    """Stands for a connection."""


@in_own_thread
def test_idle_connections() -> None:
    """Wherever a thread is interrupted that takes and adds, none is there twice."""
    for strike in strike_everywhere(idle_connections_module):
        idle, connections = IdleConnections(2), [_Connection(), _Connection()]
        for connection in connections:
            idle.put(connection, block=False)
        with strike:
            idle.put(idle.get(block=False), block=False)
        left = [idle.get(block=False) for _ in range(idle.qsize())]

        assert len(set(left)) == len(left) >= 1
        assert set(left) <= set(connections)


@in_own_thread
def test_host_pools() -> None:
    """Wherever a thread is interrupted that looks for a pool, the next one finds it."""
    pool: Any = object()
    for strike in strike_everywhere(idle_connections_module):
        pools = HostPools(2)
        pools["a"] = pool
        with strike, pools.lock:
            if pools.get("b") is None:
                pools["b"] = pools["c"] = pool

        assert len(pools) <= 2 or strike.has_struck
        assert pools.get("a") in (pool, None)
        pools["d"] = pool
        assert 2 == len(pools)


@pytest.mark.parametrize("again", AGAIN)
@in_own_thread
def test_flight(again: int | None) -> None:
    """Wherever a thread is interrupted that leads, the next one has its result."""
    flights, count = ThreadFlights(), 0
    for strike in strike_everywhere(flights_module, again=again):
        count = strike.number
        with strike:
            flights.run_once("key", lambda: "result", soon(), AssertionError)

        assert "next" == flights.run_once("key", lambda: "next", soon(), AssertionError)
        assert {} == flights._flights, count

    assert count > 80


@pytest.mark.parametrize("again", [None, 1, 4])
@in_own_thread
def test_followers(again: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever their leader is interrupted, those who wait go on, and run once more at most."""
    if again is not None:
        monkeypatch.setattr(flights_module, "_LOOK_AGAIN", 0.01)
    with ThreadPoolExecutor(3) as pool:
        for strike in strike_everywhere(flights_module, again=again):
            flights, runs = ThreadFlights(), list[str]()
            leads, go = threading.Event(), threading.Event()

            def run_slowly(
                runs: list[str] = runs,
                leads: threading.Event = leads,
                go: threading.Event = go,
            ) -> str:
                runs.append("leader")
                leads.set()
                go.wait()
                return "result"

            def follow(flights: ThreadFlights = flights, runs: list[str] = runs) -> str:
                return flights.run_once(
                    "key", lambda: runs.append("follower") or "result", soon(), OSError
                )

            def lead(
                flights: ThreadFlights = flights,
                strike: Any = strike,
                run: Any = run_slowly,
                leads: threading.Event = leads,
            ) -> None:
                with strike:
                    flights.run_once("key", run, soon(), AssertionError)
                leads.set()

            leader = pool.submit(lead)
            leads.wait()
            followers = [pool.submit(follow) for _ in range(2)]
            flight = flights._flights.get("key")
            while flight and len(flight._waiters) < 2 and not flight.has_ended:
                time.sleep(0.0001)
            go.set()
            leader.result()

            assert ["result"] * 2 == [follower.result() for follower in followers]
            assert {} == flights._flights
            assert 3 >= len(runs)
