"""Mappings with a bound: what they keep, what they forget, and that nothing trips them."""

from __future__ import annotations

import threading
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.bounded import BoundedDict, ExpiringDict


def test_the_oldest_is_forgotten() -> None:
    """To make room, the entry that was stored first goes."""
    entries: BoundedDict[str, int] = BoundedDict(2)
    for number, name in enumerate(("a", "b", "a", "c")):
        entries.add(name, number)

    assert {"a": 2, "c": 3} == entries


def test_replacing_forgets_nothing() -> None:
    """A value that replaces another pushes nothing out."""
    entries: BoundedDict[str, str] = BoundedDict(2)
    for name, value in (("a", "old"), ("b", "b"), ("a", "new")):
        entries.add(name, value)

    assert {"a": "new", "b": "b"} == entries


def test_renewing() -> None:
    """An entry that was renewed is forgotten later; renewing a missing one does nothing."""
    entries: BoundedDict[str, int] = BoundedDict(2)
    entries.add("a", 1)
    entries.add("b", 2)
    entries.renew("a")
    entries.renew("missing")
    entries.add("c", 3)

    assert {"a": 1, "c": 3} == entries


def test_add_if_absent() -> None:
    """The first value stays, and the bound holds."""
    entries: BoundedDict[str, int] = BoundedDict(2)

    assert [1, 1] == [entries.add_if_absent("a", number) for number in (1, 2)]
    for name in "bcd":
        entries.add_if_absent(name, 3)
    assert ["c", "d"] == list(entries)


def test_values() -> None:
    """The values can be listed; if another thread gets in between, there are none to see."""
    entries: BoundedDict[str, int] = BoundedDict(3)
    entries.add("a", 1)
    entries.add("b", 2)

    class Changing(BoundedDict[str, int]):
        def values(self) -> Any:
            raise RuntimeError("OrderedDict mutated during iteration")

    assert [1, 2] == entries.list_values()
    assert [] == Changing(3).list_values()


def test_oldest() -> None:
    """The oldest entry can be looked at and removed; an empty mapping has none."""
    entries: BoundedDict[str, int] = BoundedDict(3)
    entries.remove_oldest()

    assert entries.find_oldest() is None
    entries.add("a", 1)
    entries.add("b", 2)
    assert 1 == entries.find_oldest()
    entries.remove_oldest()
    assert {"b": 2} == entries


@given(st.lists(st.tuples(st.sampled_from("ars"), st.integers(0, 9))))
def test_any_use(steps: list[tuple[str, int]]) -> None:
    """Whatever is done, the bound holds and the newest entries are there."""
    entries: BoundedDict[int, int] = BoundedDict(3)
    order: list[int] = []
    for step, key in steps:
        if step == "a":
            entries.add(key, key)
            order = [*(known for known in order if known != key), key][-3:]
        elif step == "r":
            entries.renew(key)
            if key in order:
                order = [*(known for known in order if known != key), key]
        else:
            entries.remove_oldest()
            order = order[1:]

        assert order == list(entries)


def test_threads() -> None:
    """Threads that add, renew and remove at once break neither the bound nor each other."""
    entries: BoundedDict[int, int] = BoundedDict(8)
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for number in range(2_000):
                key = number * seed % 17
                entries.add(key, number)
                entries.renew(key + 1)
                entries.find_oldest()
                if number % 5 == 0:
                    entries.remove_oldest()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (3, 5, 7, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries.trim()

    assert [] == failures
    assert 8 >= len(entries)


def test_expiry() -> None:
    """An entry lasts for its seconds, and stays forgotten."""
    entries: ExpiringDict[str, int] = ExpiringDict(2, seconds=60.0)
    entries.add("a", 1, 100.0)

    assert 1 == entries.get("a", 159.9)
    assert entries.get("b", 100.0) is None
    assert entries.get("a", 160.0) is None
    assert entries.get("a", 100.0) is None


def test_forget() -> None:
    """An entry can be forgotten before it expires; one that is not there, too."""
    entries: ExpiringDict[str, int] = ExpiringDict(2, seconds=60.0)
    entries.add("a", 1, 0.0)
    entries.forget("a")
    entries.forget("a")

    assert entries.get("a", 0.0) is None


def test_expiring_entries_are_bounded() -> None:
    """The oldest entry goes first, also before it expires."""
    entries: ExpiringDict[int, int] = ExpiringDict(2, seconds=60.0)
    for number in range(3):
        entries.add(number, number, 0.0)

    assert [None, 1, 2] == [entries.get(number, 0.0) for number in range(3)]
    assert 2 == len(entries)
