"""Interrupts at every instruction of a store's methods, as a signal handler raises them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from auth0_tx import locks as locks_module
from auth0_tx import places as places_module
from auth0_tx.caches import MemoryTokenCache
from auth0_tx.core.cache import token_cache as token_cache_module
from auth0_tx.locks import OwnedLock
from auth0_tx.stores import MemoryStore, blocking_redis, memory_store
from auth0_tx.stores.blocking_redis import TimedPool
from tests.striking import in_own_thread, strike_everywhere

# An interrupt in a finalizer is nobody's to see.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)

TTL = 3600.0


@in_own_thread
def test_lock() -> None:
    """Wherever a thread is interrupted, another one can take the lock afterwards."""
    lock = OwnedLock()
    with ThreadPoolExecutor(1) as pool:
        for strike in strike_everywhere(locks_module):
            with strike:
                lock.run(lambda: None)

            assert pool.submit(lock.run, lambda: "free").result(30) == "free"


@in_own_thread
def test_lock_within_itself() -> None:
    """A signal handler may use what it interrupted, and takes nothing away from it."""
    lock = OwnedLock()
    with ThreadPoolExecutor(1) as pool:

        def interrupt() -> bool:
            lock.run(lambda: None)
            return pool.submit(lock.run, lambda: None).done()

        assert not lock.run(interrupt)
    assert lock.run(lambda: "free") == "free"


STEPS: dict[str, Callable[[MemoryStore], object]] = {
    "a new session": lambda store: store.set("b", b"2", ttl=TTL, expected=None),
    "a change": lambda store: store.set("a", b"2", ttl=TTL, expected=b"1"),
    "an end": lambda store: store.delete("a"),
    "a label": lambda store: store.add_to_index("user", "b", ttl=TTL),
    "a label again": lambda store: store.add_to_index("user", "a", ttl=TTL),
    "one label too many": lambda store: [
        store.add_to_index("others", str(number), ttl=TTL) for number in range(5)
    ],
    "a logout": lambda store: store.remove_from_index("user", store.read_index("user")),
}


@pytest.mark.parametrize("name", STEPS)
@in_own_thread
def test_memory_store(name: str) -> None:
    """Wherever it is interrupted, all sessions are found, and it works as before."""
    for strike in strike_everywhere(memory_store, locks_module):
        store = MemoryStore(max_entries=2)
        store.set("a", b"1", ttl=TTL, expected=None)
        store.add_to_index("user", "a", ttl=TTL)
        with strike:
            STEPS[name](store)

        # A session that is there is found by its user, unless that was to be forgotten.
        found = store.get("a")
        assert found in ((b"1", None) if name == "an end" else (b"1", b"2"))
        assert store.read_index("user")[:1] == ["a"] or name == "a logout", (
            strike.number
        )
        store.delete("a")
        assert store.set("a", b"3", ttl=TTL, expected=None)
        store.remove_from_index("user", ["a", "b"])
        assert [] == store.read_index("user")
        store.add_to_index("user", "a", ttl=TTL)
        assert ["a"] == store.read_index("user")
        for number in range(9):
            store.add_to_index(str(number), str(number), ttl=TTL)
            store.set(str(number), b"4", ttl=TTL, expected=None)
        assert 2 == len(store._values)
        assert 4 == len(store._labelled)


@in_own_thread
def test_token_cache() -> None:
    """Wherever it is interrupted, the cache can be locked, read and written afterwards."""
    for strike in strike_everywhere(token_cache_module):
        cache, tokens = MemoryTokenCache(2), _Tokens()
        with strike:
            cache.lock("name", b"one", until=1.0, now=0.0)
            cache.keep(b"key", tokens, 0.0)  # type: ignore[arg-type]
            cache.find(b"key", 0.0)
            cache.unlock("name", b"one")

        assert cache.lock("name", b"two", until=3.0, now=2.0)
        cache.keep(b"key", tokens, 0.0)  # type: ignore[arg-type]
        assert tokens is cache.find(b"key", 0.0)


class _Tokens:
    """Stands for cached tokens."""

    def is_good(self, now: float) -> bool:
        """Return that they are."""
        return True


class _Connection:
    """Stands for a connection to Redis."""

    def make_ready(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("again", [None, 1, 2, 3, 5])
@in_own_thread
def test_redis_pool(again: int | None) -> None:
    """Wherever a command is interrupted, its connection is free again."""
    pool = TimedPool(_Connection, 1)
    commands: Any = object.__new__(blocking_redis.BlockingCommands)
    commands._given, commands._timeout = _Client(pool), 5.0
    commands._client = _Client(pool)
    for strike in strike_everywhere(blocking_redis, places_module, again=again):
        with strike:
            commands.send(str, "GET", "key")

        if again is None:
            assert 1 == len(pool._places), strike.number
            assert "reply" == commands.send(str, "GET", "key")
        else:
            # Cut off twice, it may have to be given back by hand.
            pool.take_back(blocking_redis._command.taken)
            assert 1 == len(pool._places)


class _Client:
    """Stands for ``redis.Redis``."""

    def __init__(self, pool: TimedPool) -> None:
        self.connection_pool = pool

    def execute_command(self, *_: object, **__: object) -> str:
        """Use a connection as redis-py does."""
        connection = self.connection_pool.get_connection()
        try:
            return "reply"
        finally:
            self.connection_pool.release(connection)
