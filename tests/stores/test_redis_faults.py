"""A Redis that is down, slow, broken or misused by others: an error in time, or no value.

The one thing that must never be is another key's value.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis

from tests.redis_server import RedisServer
from tests.stores.delaying_proxy import DelayingProxy
from tests.stores.store_under_test import StoreUnderTest

SLACK = 0.5
"""Seconds that a busy machine may take to notice that the time is over."""

Make = Callable[..., StoreUnderTest]


async def expect_failure(call: Any, within: float = 1.0) -> Exception:
    """Return the error that a call ends with, which must come within its time limit."""
    start = time.monotonic()
    with pytest.raises((redis.RedisError, TimeoutError)) as caught:
        await call
    took = time.monotonic() - start

    assert within + SLACK > took
    return caught.value


def list_operations(store: StoreUnderTest) -> dict[str, Callable[[], Any]]:
    """Return one call of each method, by name."""
    return {
        "get": lambda: store.get("a"),
        "set": lambda: store.set("a", b"1"),
        "replace": lambda: store.set("a", b"1", expected=b"0"),
        "delete": lambda: store.delete("a"),
        "delete what is expected": lambda: store.delete("a", expected=b"0"),
        "add": lambda: store.add("index", "a"),
        "read": lambda: store.read("index"),
        "remove": lambda: store.remove("index", "a"),
    }


EACH = pytest.mark.parametrize(
    "operation", list_operations(StoreUnderTest(None, False))
)


@contextlib.asynccontextmanager
async def freeze(server: RedisServer) -> AsyncIterator[None]:
    """Hold back all replies of a server."""
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("CLIENT", "PAUSE", 60_000, "ALL")
    yield


@EACH
async def test_down(
    redis_store: Make, redis_server: Callable[[], RedisServer], operation: str
) -> None:
    """A server that is down is an error, and works again once it is back."""
    server = redis_server()
    store = redis_store(server.url)
    call = list_operations(store)[operation]
    await call()
    server.kill()

    assert isinstance(
        await expect_failure(call()), redis.ConnectionError | TimeoutError
    )

    server.start()
    await call()


@EACH
async def test_slow(
    redis_store: Make, proxy: DelayingProxy, redis_prefix: str, operation: str
) -> None:
    """A Redis that takes two seconds to answer is given up after one."""
    store = redis_store(proxy.url, redis_prefix)
    call = list_operations(store)[operation]
    await call()
    proxy.delay = 2.0

    await expect_failure(call())


async def test_slow_to_greet(
    redis_store: Make, proxy: DelayingProxy, redis_prefix: str
) -> None:
    """A Redis that takes two seconds to answer a new connection is given up too."""
    proxy.delay = 2.0

    await expect_failure(redis_store(proxy.url, redis_prefix).get("a"))


async def test_each_step_is_slow(
    redis_store: Make, proxy: DelayingProxy, redis_prefix: str
) -> None:
    """Many short waits count as their sum."""
    store = redis_store(proxy.url.removesuffix("/0") + "/1", redis_prefix)
    proxy.delay = 0.6

    await expect_failure(store.get("a"))


async def test_each_byte_is_slow(
    redis_store: Make, proxy: DelayingProxy, redis_prefix: str
) -> None:
    """A reply that trickles in is given up like one that never comes."""
    store = redis_store(proxy.url, redis_prefix)
    await store.set("a", b"x" * 100)
    proxy.drip = 0.1

    await expect_failure(store.get("a"))


async def test_never_connects(redis_store: Make) -> None:
    """The same limit holds if no connection can be made."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = full.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        store = redis_store(f"redis://127.0.0.1:{port}/0")

        await expect_failure(store.get("a"))


async def test_never_answers(redis_store: Make) -> None:
    """A server that accepts and never answers is given up, whatever the client's timeouts."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = redis_store(
            f"redis://127.0.0.1:{silent.getsockname()[1]}/0",
            socket_timeout=None,
            socket_connect_timeout=None,
            retry_on_timeout=True,
        )

        await expect_failure(store.get("a"))


@EACH
async def test_killed_in_the_middle(
    redis_store: Make, redis_server: Callable[[], RedisServer], operation: str
) -> None:
    """A Redis that dies before it answers is an error at once, and its successor works."""
    server = redis_server()
    store = redis_store(server.url)
    await store.set("b", b"of b")
    async with freeze(server):
        call = asyncio.create_task(
            asyncio.to_thread(
                lambda: asyncio.run(expect_failure(list_operations(store)[operation]()))
            )
            if not store.is_async
            else expect_failure(list_operations(store)[operation]())
        )
        await asyncio.sleep(0.2)
        await asyncio.to_thread(server.kill)
        assert isinstance(await call, redis.ConnectionError | TimeoutError)
    server.start()

    assert await store.get("b") is None
    assert await store.set("b", b"new") is True


@pytest.mark.parametrize("operation", ["set", "replace", "delete", "add", "remove"])
async def test_read_only_replica(
    redis_store: Make, redis_server: Callable[[], RedisServer], operation: str
) -> None:
    """A demoted server refuses every write, and each refusal is an error."""
    server, primary = redis_server(), redis_server()
    store = redis_store(server.url)
    await store.set("a", b"0")
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("REPLICAOF", "127.0.0.1", primary.port)

        error = await expect_failure(list_operations(store)[operation]())

        admin.execute_command("REPLICAOF", "NO", "ONE")

    assert isinstance(error, redis.ResponseError | redis.ConnectionError)
    await list_operations(store)[operation]()


async def test_evicted(redis_store: Make, redis_url: str, redis_prefix: str) -> None:
    """An evicted value is missing, and no other is returned in its place."""
    store = redis_store(redis_url, redis_prefix)
    await store.set("a", b"of a")
    await store.set("b", b"of b")
    await store.add("index", "a")
    with redis.Redis.from_url(redis_url) as admin:
        admin.delete(f"{redis_prefix}a", f"{redis_prefix}index")

    assert await store.get("a") is None
    assert await store.set("a", b"late", expected=b"of a") is False
    assert [] == await store.read("index")
    assert b"of b" == await store.get("b")


async def test_wrong_type(redis_store: Make, redis_url: str, redis_prefix: str) -> None:
    """A value of another type is an error, and is left as it is."""
    store = redis_store(redis_url, redis_prefix)
    with redis.Redis.from_url(redis_url) as admin:
        admin.rpush(f"{redis_prefix}a", "another's")
        admin.set(f"{redis_prefix}index", "another's")
        for call in (
            lambda: store.get("a"),
            lambda: store.set("a", b"1", expected=b"0"),
            lambda: store.delete("a", expected=b"0"),
            lambda: store.add("index", "a"),
            lambda: store.read("index"),
            lambda: store.remove("index", "a"),
        ):
            assert isinstance(await expect_failure(call()), redis.ResponseError)

        assert await store.set("a", b"1") is False
        assert [b"another's"] == admin.lrange(f"{redis_prefix}a", 0, -1)
        assert b"another's" == admin.get(f"{redis_prefix}index")


async def test_out_of_memory(
    redis_store: Make, redis_server: Callable[[], RedisServer]
) -> None:
    """A Redis out of memory is an error for writes, and can still be read."""
    server = redis_server()
    store = redis_store(server.url)
    await store.set("a", b"of a")
    with redis.Redis.from_url(server.url) as admin:
        admin.config_set("maxmemory", "1")

    assert isinstance(
        await expect_failure(store.set("b", b"of b")), redis.ResponseError
    )
    assert b"of a" == await store.get("a")


async def test_no_late_answer_is_read(
    redis_store: Make, proxy: DelayingProxy, redis_prefix: str
) -> None:
    """A late reply is dropped: the next call gets its own."""
    store = redis_store(proxy.url, redis_prefix, timeout=0.2, max_connections=1)
    await store.set("a", b"of a")
    await store.set("b", b"of b")
    for _ in range(5):
        proxy.delay = 0.3
        await expect_failure(store.get("a"), within=0.2)
        # The late answer is under way for a tenth of a second yet.
        proxy.delay = 0.0

        assert b"of b" == await store.get("b")


async def test_commands_are_sent_once(
    redis_store: Make, redis_server: Callable[[], RedisServer]
) -> None:
    """A command that may have been executed isn't sent again, though the client would retry."""
    server = redis_server()
    proxy = DelayingProxy(server.url)
    store = redis_store(
        proxy.url, retry_on_timeout=True, retry_on_error=[redis.ConnectionError]
    )
    await store.set("a", b"0")
    proxy.delay = 2.0
    await expect_failure(store.set("b", b"1"))
    proxy.close()
    with redis.Redis.from_url(server.url) as admin:
        calls = admin.info("commandstats")["cmdstat_set"]["calls"]

    assert 2 == calls
