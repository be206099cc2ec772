"""What a store must do, whatever it is made of and whichever world it is in."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from tried_store import Tried


async def test_what_is_set(tried: Tried) -> None:
    """What was stored is given back, under its own key and no other."""
    assert await tried.get("session:a") is None
    assert await tried.set("session:a", b"of a") is True
    assert await tried.set("session:b", b"of b") is True

    assert b"of a" == await tried.get("session:a")
    assert b"of b" == await tried.get("session:b")
    assert await tried.get("session:") is None


@pytest.mark.parametrize(
    "value",
    [b"", b"0", bytes(range(256)), b"\r\n$5\r\n+OK\r\n", b"\xff\xfe", b"a" * 200_000],
    ids=["empty", "zero", "all bytes", "of the protocol's", "no text", "long"],
)
async def test_values_are_exact(tried: Tried, value: bytes) -> None:
    """A value comes back as it was, byte for byte, and can be compared with."""
    assert await tried.set("session:a", value)

    assert value == await tried.get("session:a")
    assert await tried.set("session:a", b"next", expected=value) is True


async def test_set_where_nothing_is(tried: Tried) -> None:
    """With nothing expected, only the first is stored."""
    assert await tried.set("session:a", b"first") is True
    assert await tried.set("session:a", b"second") is False

    assert b"first" == await tried.get("session:a")


async def test_set_where_something_is(tried: Tried) -> None:
    """With something expected, only that is replaced."""
    assert await tried.set("session:a", b"new", expected=b"old") is False
    assert await tried.get("session:a") is None

    await tried.set("session:a", b"old")

    assert await tried.set("session:a", b"new", expected=b"older") is False
    assert await tried.set("session:a", b"new", expected=b"old") is True
    assert await tried.set("session:a", b"newer", expected=b"old") is False
    assert b"new" == await tried.get("session:a")


async def test_delete(tried: Tried) -> None:
    """What was deleted is gone, and room for another; what was not there is no matter."""
    await tried.set("session:a", b"of a")
    await tried.set("session:b", b"of b")
    await tried.delete("session:a")
    await tried.delete("session:c")

    assert await tried.get("session:a") is None
    assert b"of b" == await tried.get("session:b")
    assert await tried.set("session:a", b"another") is True


async def test_delete_what_is_expected(tried: Tried) -> None:
    """A lock that has passed to another is not deleted by its former owner."""
    await tried.set("lock:a", b"another's")
    await tried.delete("lock:a", expected=b"mine")

    assert b"another's" == await tried.get("lock:a")

    await tried.delete("lock:a", expected=b"another's")

    assert await tried.get("lock:a") is None


async def test_expiry(tried: Tried) -> None:
    """A value is gone after its time, and then nothing is what must be expected."""
    await tried.set("session:a", b"short", ttl=0.05)
    await tried.set("session:b", b"long", ttl=60)
    while await tried.get("session:a") is not None:
        await asyncio.sleep(0.01)

    assert await tried.set("session:a", b"late", expected=b"short") is False
    assert await tried.set("session:a", b"new") is True
    assert b"long" == await tried.get("session:b")


async def test_a_write_renews_the_time(tried: Tried) -> None:
    """A value that is written again lasts as the last write says."""
    await tried.set("session:a", b"1", ttl=0.2)
    await tried.set("session:a", b"2", ttl=60, expected=b"1")
    await tried.set("session:b", b"1", ttl=60)
    await tried.set("session:b", b"2", ttl=0.2, expected=b"1")
    while await tried.get("session:b") is not None:
        await asyncio.sleep(0.02)

    assert b"2" == await tried.get("session:a")


async def test_racing_to_be_first(tried: Tried) -> None:
    """Of 64 who store something where nothing is, one does."""
    setters = [
        partial(tried.store.set, "lock:a", str(n).encode(), ttl=60, expected=None)
        for n in range(64)
    ]
    won = await tried.at_once(*setters)

    assert [True] == [each for each in won if each]
    assert str(won.index(True)).encode() == await tried.get("lock:a")


async def test_racing_to_replace(tried: Tried) -> None:
    """Of 64 who replace the same value, one does."""
    await tried.set("session:a", b"old")
    setters = [
        partial(tried.store.set, "session:a", str(n).encode(), ttl=60, expected=b"old")
        for n in range(64)
    ]
    won = await tried.at_once(*setters)

    assert [True] == [each for each in won if each]
    assert str(won.index(True)).encode() == await tried.get("session:a")


async def test_no_update_is_lost(tried: Tried) -> None:
    """Who tries again until nobody was faster adds to what all others added."""
    await tried.set("session:a", b"")

    def add_blocking() -> None:
        while True:
            old = tried.store.get("session:a")
            if tried.store.set("session:a", old + b"+", ttl=60, expected=old):
                return

    async def add_async() -> None:
        while True:
            old = await tried.get("session:a")
            if await tried.set("session:a", old + b"+", expected=old):
                return

    await tried.at_once(*[add_async if tried.is_async else add_blocking] * 16)

    assert b"+" * 16 == await tried.get("session:a")


async def test_index(tried: Tried) -> None:
    """What was added under a label is given once, each key once, and then forgotten."""
    await tried.add("index:sub:a", "session:1")
    await tried.add("index:sub:a", "session:2")
    await tried.add("index:sub:a", "session:1")
    await tried.add("index:sub:b", "session:3")

    assert ["session:1", "session:2"] == sorted(await tried.take("index:sub:a"))
    assert [] == list(await tried.take("index:sub:a"))
    assert ["session:3"] == list(await tried.take("index:sub:b"))
    assert [] == list(await tried.take("index:sub:c"))


async def test_index_lasts_as_its_longest(tried: Tried) -> None:
    """An entry that lasts shorter does not end those that last longer, nor itself sooner."""
    await tried.add("index:sub:a", "session:1", ttl=60)
    await tried.add("index:sub:a", "session:2", ttl=0.01)
    await tried.add("index:sub:a", "session:1", ttl=0.01)
    await asyncio.sleep(0.05)

    assert "session:1" in await tried.take("index:sub:a")


async def test_racing_to_add(tried: Tried) -> None:
    """Of 64 keys that are added at once, none is lost."""
    keys = [f"session:{n}" for n in range(64)]
    await tried.at_once(
        *(partial(tried.store.add_to_index, "index:a", key, ttl=60) for key in keys)
    )

    assert sorted(keys) == sorted(await tried.take("index:a"))


async def test_racing_to_take(tried: Tried) -> None:
    """Of 16 who take a label while keys are added, each key goes to one."""
    keys = [f"session:{n}" for n in range(32)]
    adds = [
        partial(tried.store.add_to_index, "index:a", key, ttl=60) for key in keys[16:]
    ]
    for key in keys[:16]:
        await tried.add("index:a", key)
    takes = [partial(tried.store.take_index, "index:a")] * 16
    answers = await tried.at_once(*adds, *takes)
    taken = [key for answer in answers[16:] for key in answer]

    assert sorted(keys) == sorted([*taken, *await tried.take("index:a")])
