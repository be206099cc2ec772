"""Sessions in Django's cache: one writer at a time, and none brings back what was deleted."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from auth0_tx import StoreError
from tests.frameworks import django_settings  # noqa: F401


class Time:
    """The time, on both clocks, which passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def time(self) -> float:
        return self.now

    monotonic = time


class Interrupt(BaseException):
    """The worker is killed."""


class InterruptedCache:
    """A cache that runs somebody else's step before a command, or after the last one.

    Attributes:
        interruptions: what to do before each command, by its number.
        count: the commands so far.
        values: what is cached, and when it expires.
    """

    def __init__(self, clock: Time) -> None:
        self.interruptions: dict[int, Callable[[], object]] = {}
        self.count = 0
        self.values: dict[str, tuple[Any, float]] = {}
        self._clock = clock

    def _begin(self) -> None:
        number, self.count = self.count, self.count + 1
        self.interruptions.pop(number, lambda: None)()

    def get_many(self, names: list[str]) -> dict[str, Any]:
        # One by one, as the base class of Django's caches does.
        found = {}
        for name in names:
            self._begin()
            value, ends = self.values.get(name, (None, 0.0))
            if self._clock.now < ends:
                found[name] = value
        return found

    def set(self, name: str, value: Any, timeout: float) -> None:
        self._begin()
        self.values[name] = value, self._clock.now + timeout

    def add(self, name: str, value: Any, timeout: float) -> bool:
        self._begin()
        if self._clock.now < self.values.get(name, (None, 0.0))[1]:
            return False
        self.values[name] = value, self._clock.now + timeout
        return True


@attrs.frozen
class Workers:
    """A store whose workers interrupt each other."""

    store: Any
    cache: InterruptedCache
    clock: Time


@pytest.fixture
def new_workers(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Workers]:
    """Return a function that makes a store over a new cache."""
    from auth0_tx.integrations.django import cache_store

    clock = Time()
    monkeypatch.setattr(cache_store, "time", clock)
    # Real caches take whole seconds.
    monkeypatch.setattr(cache_store, "to_timeout", float)

    def make() -> Workers:
        cache = InterruptedCache(clock)
        monkeypatch.setattr(cache_store, "caches", {"default": cache})
        return Workers(cache_store.DjangoCacheStore(), cache, clock)

    return make


KEY, LABEL, LONG = "session:1", "index:1", 100_000.0

Act = Callable[[Any], Any]


def write_twice(store: Any) -> bool:
    """Write two values, one after the other."""
    return bool(
        store.set(KEY, b"c", ttl=LONG, expected=b"0")
        and store.set(KEY, b"d", ttl=LONG, expected=b"c")
    )


def write_there_and_back(store: Any) -> bool:
    """Write another value, and then the first one again."""
    return bool(
        store.set(KEY, b"c", ttl=LONG, expected=b"0")
        and store.set(KEY, b"0", ttl=LONG, expected=b"c")
    )


def add_many(store: Any) -> None:
    """Add several keys, one after the other."""
    for key in "456789":
        store.add_to_index(LABEL, key, ttl=LONG)


VALUES: dict[str, Act] = {
    "write a": lambda store: store.set(KEY, b"a", ttl=LONG, expected=b"0"),
    "write b": lambda store: store.set(KEY, b"b", ttl=LONG, expected=b"0"),
    "delete": lambda store: store.delete(KEY),
    "delete if": lambda store: store.delete(KEY, expected=b"0"),
    "read": lambda store: store.get(KEY),
    "write twice": write_twice,
    "write there and back": write_there_and_back,
}
INDEX: dict[str, Act] = {
    "add 2": lambda store: store.add_to_index(LABEL, "2", ttl=LONG),
    "add 3": lambda store: store.add_to_index(LABEL, "3", ttl=LONG),
    "remove 1": lambda store: store.remove_from_index(LABEL, ["1"]),
    "remove all": lambda store: store.remove_from_index(LABEL, ["1", "2", "3"]),
    "list": lambda store: store.read_index(LABEL),
    "add many": add_many,
}
OPERATIONS = {**VALUES, **INDEX}
PAIRS = [
    # An operation of two steps is not one step, whoever interrupts it.
    *itertools.product(list(VALUES)[:5], VALUES),
    *itertools.product(list(INDEX)[:5], INDEX),
]
PAUSES = list(itertools.product((0.0, 299.0, 301.0, 5_000.0), repeat=2))


def prepare(workers: Workers) -> Workers:
    """Begin with a value of several versions, and an index of one key."""
    store = workers.store
    assert store.set(KEY, b"first", ttl=LONG, expected=None)
    assert store.set(KEY, b"0", ttl=LONG, expected=b"first")
    store.add_to_index(LABEL, "1", ttl=LONG)
    workers.cache.count = 0
    return workers


def look(workers: Workers) -> tuple[bytes | None, list[str]]:
    """Return the value and the index."""
    workers.cache.interruptions.clear()
    value: bytes | None = workers.store.get(KEY)
    return value, sorted(workers.store.read_index(LABEL))


@pytest.mark.parametrize("pauses", PAUSES, ids=str)
@pytest.mark.parametrize(("slow", "fast"), PAIRS)
def test_any_interruption(
    new_workers: Callable[[], Workers],
    slow: str,
    fast: str,
    pauses: tuple[float, float],
) -> None:
    """Wherever a worker stands still, for however long, it is as if they took turns."""

    def run_in_turn(*names: str) -> tuple[list[Any], Any]:
        workers = prepare(new_workers())
        results = [OPERATIONS[name](workers.store) for name in names]
        return results, look(workers)

    def expect(results: list[Any], state: Any) -> tuple[Any, Any, Any]:
        return (*results, state)

    in_turn, state = run_in_turn(fast, slow)
    turns = [expect(*run_in_turn(slow, fast)), expect(in_turn[::-1], state)]
    if slow.startswith("write"):
        # It may give up, and change nothing: of those who write, one must succeed.
        results, state = run_in_turn(fast)
        turns.append((False, *results, state))
    for number in itertools.count():
        workers = prepare(new_workers())
        results = []

        def interrupt(workers: Workers = workers, results: Any = results) -> None:
            workers.clock.now += pauses[0]
            results.append(OPERATIONS[fast](workers.store))
            workers.clock.now += pauses[1]

        workers.cache.interruptions[number] = interrupt
        result = OPERATIONS[slow](workers.store)
        if not results:
            # It has no such command.
            break
        assert (result, *results, look(workers)) in turns, number


def kill() -> None:
    """Kill the worker."""
    raise Interrupt


@pytest.mark.parametrize("victim", ["write a", "delete", "delete if"])
def test_killed_workers(new_workers: Callable[[], Workers], victim: str) -> None:
    """A worker that is killed has done its work or not, and that stays so."""
    after = None if victim.startswith("delete") else b"a"
    for number in itertools.count():
        workers = prepare(new_workers())
        workers.cache.interruptions[number] = kill
        try:
            OPERATIONS[victim](workers.store)
        except Interrupt:
            pass
        else:
            break
        seen = []
        for _ in range(1_000):
            seen.append(workers.store.get(KEY))
            workers.clock.now += 99.0

        assert seen in ([b"0"] * 1_000, [after] * 1_000), number

        workers.store.delete(KEY)
        for _ in range(1_100):
            assert workers.store.get(KEY) is None
            workers.clock.now += 99.0


@pytest.mark.parametrize("victim", ["add 2", "remove 1"])
def test_killed_workers_at_an_index(
    new_workers: Callable[[], Workers], victim: str
) -> None:
    """An index is the old one or the new one, if its writer is killed."""
    after = ["1", "2"] if victim == "add 2" else []
    for number in itertools.count():
        workers = prepare(new_workers())
        workers.cache.interruptions[number] = kill
        try:
            OPERATIONS[victim](workers.store)
        except Interrupt:
            pass
        else:
            break
        assert look(workers)[1] in (["1"], after)
        workers.store.add_to_index(LABEL, "9", ttl=LONG)
        assert look(workers)[1] in (["1", "9"], [*after, "9"])


def test_others_are_always_faster(new_workers: Callable[[], Workers]) -> None:
    """Who never gets a turn says so, after a while."""
    workers = prepare(new_workers())
    add = workers.cache.add

    def lose(name: str, value: Any, timeout: float) -> bool:
        number = int(name.rpartition(":")[2])
        workers.cache.values[name] = value, workers.clock.now + timeout
        assert not add(name, value, timeout)
        return number < 0

    workers.cache.add = lose  # type: ignore[method-assign]
    with pytest.raises(StoreError) as caught:
        workers.store.add_to_index(LABEL, "2", ttl=LONG)

    assert caught.value.retry_safe


def test_lost_hint(new_workers: Callable[[], Workers]) -> None:
    """An entry whose cache dropped the hint is found from its first versions on."""
    workers = prepare(new_workers())
    workers.cache.values.pop("auth0_tx:session:1")

    assert b"0" == workers.store.get(KEY)
    assert workers.store.set(KEY, b"a", ttl=LONG, expected=b"0")
    assert b"a" == workers.store.get(KEY)


@pytest.mark.parametrize("content", [None, 7, "text", b"", b"=x", b"soon=x", [b"x"]])
def test_values_of_others(new_workers: Callable[[], Workers], content: Any) -> None:
    """A value that somebody else put there is none, and can be replaced."""
    workers = new_workers()
    for name in ("auth0_tx:session:1:1", "auth0_tx:index:1:1"):
        workers.cache.values[name] = content, workers.clock.now + LONG

    assert (None, []) == look(workers)
    assert workers.store.set(KEY, b"a", ttl=LONG, expected=None)
    workers.store.add_to_index(LABEL, "1", ttl=LONG)
    assert (b"a", ["1"]) == look(workers)


def test_memory(new_workers: Callable[[], Workers]) -> None:
    """What was replaced leaves no more than its empty number behind, for ten minutes."""
    workers = new_workers()
    assert workers.store.set(KEY, b"0", ttl=LONG, expected=None)
    for number in range(100):
        value, after = b"%d" % number, b"%d" % (number + 1)
        assert workers.store.set(KEY, after, ttl=LONG, expected=value)
    live = [
        value
        for value, ends in workers.cache.values.values()
        if isinstance(value, bytes) and b"=" in value
    ]
    workers.clock.now += 601
    left = [
        ends for _, ends in workers.cache.values.values() if ends > workers.clock.now
    ]

    assert 1 == len(live)
    assert 2 == len(left)
