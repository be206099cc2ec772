"""The contract of a store, for every kind of store in both worlds."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from tests.stores.store_under_test import StoreUnderTest


async def test_what_is_set(store: StoreUnderTest) -> None:
    """A stored value is returned under its own key and no other."""
    assert await store.get("session:a") is None
    assert await store.set("session:a", b"of a") is True
    assert await store.set("session:b", b"of b") is True

    assert b"of a" == await store.get("session:a")
    assert b"of b" == await store.get("session:b")
    assert await store.get("session:") is None


@pytest.mark.parametrize(
    "value",
    [b"", b"0", bytes(range(256)), b"\r\n$5\r\n+OK\r\n", b"\xff\xfe", b"a" * 200_000],
    ids=["empty", "zero", "all bytes", "of the protocol's", "no text", "long"],
)
async def test_values_are_exact(store: StoreUnderTest, value: bytes) -> None:
    """A value comes back as it was, byte for byte, and can be compared with."""
    assert await store.set("session:a", value)

    assert value == await store.get("session:a")
    assert await store.set("session:a", b"next", expected=value) is True


async def test_set_where_nothing_is(store: StoreUnderTest) -> None:
    """If nothing is expected, only the first value is stored."""
    assert await store.set("session:a", b"first") is True
    assert await store.set("session:a", b"second") is False

    assert b"first" == await store.get("session:a")


async def test_set_where_something_is(store: StoreUnderTest) -> None:
    """If a value is expected, only that value is replaced."""
    assert await store.set("session:a", b"new", expected=b"old") is False
    assert await store.get("session:a") is None

    await store.set("session:a", b"old")

    assert await store.set("session:a", b"new", expected=b"older") is False
    assert await store.set("session:a", b"new", expected=b"old") is True
    assert await store.set("session:a", b"newer", expected=b"old") is False
    assert b"new" == await store.get("session:a")


async def test_delete(store: StoreUnderTest) -> None:
    """A deleted value is gone and can be stored again; a missing one can be deleted."""
    await store.set("session:a", b"of a")
    await store.set("session:b", b"of b")
    await store.delete("session:a")
    await store.delete("session:c")

    assert await store.get("session:a") is None
    assert b"of b" == await store.get("session:b")
    assert await store.set("session:a", b"another") is True


async def test_delete_what_is_expected(store: StoreUnderTest) -> None:
    """A former owner does not delete a lock that has passed to another."""
    await store.set("lock:a", b"another's")
    await store.delete("lock:a", expected=b"mine")

    assert b"another's" == await store.get("lock:a")

    await store.delete("lock:a", expected=b"another's")

    assert await store.get("lock:a") is None


async def test_expiry(store: StoreUnderTest) -> None:
    """A value is gone after its time, and a store must then expect none."""
    await store.set("session:a", b"short", ttl=0.05)
    await store.set("session:b", b"long", ttl=60)
    while await store.get("session:a") is not None:
        await asyncio.sleep(0.01)

    assert await store.set("session:a", b"late", expected=b"short") is False
    assert await store.set("session:a", b"new") is True
    assert b"long" == await store.get("session:b")


async def test_a_write_renews_the_time(store: StoreUnderTest) -> None:
    """A value lasts as long as its last write says."""
    # The first script of a process takes fakeredis longer than the time below.
    await store.delete("session:a", expected=b"")
    await store.set("session:a", b"1", ttl=0.4)
    assert await store.set("session:a", b"2", ttl=60, expected=b"1")
    await store.set("session:b", b"1", ttl=60)
    assert await store.set("session:b", b"2", ttl=0.4, expected=b"1")
    while await store.get("session:b") is not None:
        await asyncio.sleep(0.02)

    assert b"2" == await store.get("session:a")


async def test_racing_to_be_first(store: StoreUnderTest) -> None:
    """Of 64 callers who store a value under a free key, one succeeds."""
    setters = [
        partial(store.inner.set, "lock:a", str(n).encode(), ttl=60, expected=None)
        for n in range(64)
    ]
    won = await store.run_together(*setters)

    assert [True] == [has_won for has_won in won if has_won]
    assert str(won.index(True)).encode() == await store.get("lock:a")


async def test_racing_to_replace(store: StoreUnderTest) -> None:
    """Of 64 callers who replace the same value, one succeeds."""
    await store.set("session:a", b"old")
    setters = [
        partial(store.inner.set, "session:a", str(n).encode(), ttl=60, expected=b"old")
        for n in range(64)
    ]
    won = await store.run_together(*setters)

    assert [True] == [has_won for has_won in won if has_won]
    assert str(won.index(True)).encode() == await store.get("session:a")


async def test_no_update_is_lost(store: StoreUnderTest) -> None:
    """Callers who retry until they succeed lose no update."""
    await store.set("session:a", b"")

    def add_blocking() -> None:
        while True:
            old = store.inner.get("session:a")
            if store.inner.set("session:a", old + b"+", ttl=60, expected=old):
                return

    async def add_async() -> None:
        while True:
            old = await store.get("session:a")
            if await store.set("session:a", old + b"+", expected=old):
                return

    await store.run_together(*[add_async if store.is_async else add_blocking] * 16)

    assert b"+" * 16 == await store.get("session:a")


async def test_index(store: StoreUnderTest) -> None:
    """Keys under a label are returned each time, each once, from the oldest on."""
    keys = [f"session:{n}" for n in (3, 1, 2, 9, 5)]
    for key in keys:
        await store.add("index:sub:a", key)
    await store.add("index:sub:b", "session:3")

    assert keys == await store.read("index:sub:a")
    assert keys == await store.read("index:sub:a")
    assert ["session:3"] == await store.read("index:sub:b")
    assert [] == await store.read("index:sub:c")


async def test_add_to_index_again(store: StoreUnderTest) -> None:
    """A key that is added again is there once."""
    for key in ("session:1", "session:2", "session:1"):
        await store.add("index:sub:a", key)

    assert ["session:1", "session:2"] == sorted(await store.read("index:sub:a"))


async def test_remove_from_index(store: StoreUnderTest) -> None:
    """Removed keys are gone from their label alone; others stay, in their order."""
    for n in range(5):
        await store.add("index:sub:a", f"session:{n}")
    await store.add("index:sub:b", "session:1")
    await store.remove("index:sub:a", "session:1", "session:3", "session:unknown")

    assert ["session:0", "session:2", "session:4"] == await store.read("index:sub:a")
    assert ["session:1"] == await store.read("index:sub:b")


async def test_remove_everything_from_index(store: StoreUnderTest) -> None:
    """A label with nothing under it is as one that never was."""
    await store.add("index:sub:a", "session:1")
    await store.remove("index:sub:a")
    assert ["session:1"] == await store.read("index:sub:a")

    await store.remove("index:sub:a", "session:1")
    await store.remove("index:sub:a", "session:1")
    await store.remove("index:sub:b", "session:1")

    assert [] == await store.read("index:sub:a")

    await store.add("index:sub:a", "session:2")

    assert ["session:2"] == await store.read("index:sub:a")


async def test_index_lasts_as_its_longest(store: StoreUnderTest) -> None:
    """A shorter time ends neither other entries nor the entry itself sooner."""
    await store.add("index:sub:a", "session:1", ttl=60)
    await store.add("index:sub:a", "session:2", ttl=0.01)
    await store.add("index:sub:a", "session:1", ttl=0.01)
    await asyncio.sleep(0.05)

    assert "session:1" in await store.read("index:sub:a")


async def test_racing_to_add(store: StoreUnderTest) -> None:
    """If 64 keys are added at once, none is lost."""
    keys = [f"session:{n}" for n in range(64)]
    await store.run_together(
        *(partial(store.inner.add_to_index, "index:a", key, ttl=60) for key in keys)
    )

    assert sorted(keys) == sorted(await store.read("index:a"))


async def test_racing_to_remove(store: StoreUnderTest) -> None:
    """If 16 keys are removed while others are added, those that were added stay."""
    keys = [f"session:{n}" for n in range(32)]
    add, remove = store.inner.add_to_index, store.inner.remove_from_index
    for key in keys[:16]:
        await store.add("index:a", key)
    await store.run_together(
        *(partial(add, "index:a", key, ttl=60) for key in keys[16:]),
        *(partial(remove, "index:a", [key]) for key in keys[:16]),
    )

    assert sorted(keys[16:]) == sorted(await store.read("index:a"))
