"""The memory store beyond the contract: its bound, its clock, forks, and what it prints."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from auth0_tx import ConfigurationError
from auth0_tx.stores import MemoryStore


class Clock:
    """A clock that moves only when a test moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def put(store: MemoryStore, key: str, value: bytes = b"v", ttl: float = 60) -> bool:
    return store.set(key, value, ttl=ttl, expected=store.get(key))


def test_expires_by_its_clock(clock: Clock) -> None:
    """A value is there until its time has passed on the given clock."""
    store = MemoryStore(clock=clock)
    put(store, "a", ttl=10)
    store.add_to_index("label", "a", ttl=10)
    clock.now += 9.9

    assert b"v" == store.get("a")

    clock.now += 0.1

    assert store.get("a") is None
    assert [] == store.read_index("label")


def test_what_was_least_recently_written_goes(clock: Clock) -> None:
    """Above its bound, the store forgets what was not written for the longest time."""
    store = MemoryStore(3, clock=clock)
    for key in "abc":
        put(store, key)
    put(store, "a", b"again")
    put(store, "d")

    assert [b"again", None, b"v", b"v"] == [store.get(key) for key in "abcd"]


def test_what_has_expired_goes_first(clock: Clock) -> None:
    """Expired values make room before any live value is forgotten."""
    store = MemoryStore(3, clock=clock)
    put(store, "a")
    put(store, "lock", ttl=6)
    put(store, "b")
    clock.now += 7
    put(store, "c")

    assert [b"v", b"v", b"v"] == [store.get(key) for key in "abc"]


def test_memory_is_bounded(clock: Clock) -> None:
    """However many values and labels are written, the bound holds."""
    store = MemoryStore(100, clock=clock)
    for n in range(5_000):
        put(store, f"session:{n}")
        put(store, "session:the same")
        store.add_to_index(f"index:{n}", f"session:{n}", ttl=60)
        store.add_to_index("index:of all", f"session:{n}", ttl=60)
        store.delete(f"lock:{n}")

    labelled = sum(len(keys) for keys in store._labels.values())
    assert 100 == len(store._values)
    assert 200 == labelled == len(store._labelled)
    assert 264 >= len(store._expiries)


def test_labels_of_what_lives_are_kept(clock: Clock) -> None:
    """Labels of ended sessions go first, even before older ones of live sessions."""
    store = MemoryStore(10, clock=clock)
    put(store, "session:old")
    store.add_to_index("index:old", "session:old", ttl=60)
    for n in range(100):
        put(store, f"session:{n}")
        store.add_to_index(f"index:{n}", f"session:{n}", ttl=60)
        store.delete(f"session:{n}")

    assert ["session:old"] == store.read_index("index:old")


def test_labels_alone_are_bounded(clock: Clock) -> None:
    """If all labelled sessions are live, the oldest labels go."""
    store = MemoryStore(1, clock=clock)
    put(store, "a")
    for label in ("first", "second", "third"):
        store.add_to_index(label, "a", ttl=60)

    assert [] == store.read_index("first")
    assert ["a"] == store.read_index("second")
    assert ["a"] == store.read_index("third")


@pytest.mark.parametrize("most", [0, -1, True, 1.5, "10", None])
def test_bound_is_checked(most: Any) -> None:
    """A bound that isn't a whole number above 0 is refused."""
    with pytest.raises(ConfigurationError) as caught:
        MemoryStore(most)

    assert "max_entries" == caught.value.parameter


def test_shows_no_values() -> None:
    """Neither the store nor its content shows a value when printed."""
    store = MemoryStore()
    put(store, "a", b"a value of somebody's")

    shown = f"{store!r} {store!s} {vars(store)!r}"

    assert "somebody" not in shown


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_is_not_pickled(protocol: int) -> None:
    """The store refuses to be pickled, and to be copied."""
    store = MemoryStore()

    with pytest.raises(TypeError):
        pickle.dumps(store, protocol)
    with pytest.raises(TypeError):
        copy.copy(store)


def run_in_child(act: Any) -> int:
    """Run *act* in a forked child, and return its exit status: 0 if *act* returned true."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if act() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork() -> None:
    """A forked child has a copy of its own, even if other threads of the parent write."""
    store = MemoryStore()
    put(store, "session:a", b"of before")
    ended = threading.Event()

    def write() -> None:
        n = 0
        while not ended.is_set():
            n += 1
            put(store, f"session:{n % 50}")
            store.add_to_index(f"index:{n % 50}", f"session:{n}", ttl=60)
            store.remove_from_index(f"index:{n % 7}", [f"session:{n}"])

    def act() -> bool:
        held = sum(len(keys) for keys in store._labels.values())
        return (
            store.get("session:a") == b"of before"
            and held == len(store._labelled)
            and put(store, "session:a", b"of the child")
            and store.get("session:a") == b"of the child"
        )

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        statuses = [run_in_child(act) for _ in range(20)]
    finally:
        ended.set()
        for thread in threads:
            thread.join()

    assert [0] * 20 == statuses
    assert b"of before" == store.get("session:a")
    with ThreadPoolExecutor(1) as pool:
        # Another thread can take the lock.
        assert pool.submit(store.get, "session:a").result(10)
