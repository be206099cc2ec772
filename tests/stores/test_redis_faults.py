"""A Redis that is down, slow, broken or somebody else's: an error in time, or nothing.

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
from delaying_proxy import DelayingProxy
from tried_store import Tried

from tests.redis_server import RedisServer

SLACK = 0.5
"""Seconds that a busy machine may take to notice that the time is over."""

Make = Callable[..., Tried]


async def failure(call: Any, within: float = 1.0) -> Exception:
    """Give the error that a call ends with, no later than its time limit."""
    start = time.monotonic()
    with pytest.raises((redis.RedisError, TimeoutError)) as caught:
        await call
    took = time.monotonic() - start

    assert within + SLACK > took
    return caught.value


def operations(tried: Tried) -> dict[str, Callable[[], Any]]:
    """Give one call of each method."""
    return {
        "get": lambda: tried.get("a"),
        "set": lambda: tried.set("a", b"1"),
        "replace": lambda: tried.set("a", b"1", expected=b"0"),
        "delete": lambda: tried.delete("a"),
        "delete what is expected": lambda: tried.delete("a", expected=b"0"),
        "add": lambda: tried.add("index", "a"),
        "take": lambda: tried.take("index"),
    }


EACH = pytest.mark.parametrize("operation", operations(Tried(None, False)))


@contextlib.asynccontextmanager
async def frozen(server: RedisServer) -> AsyncIterator[None]:
    """Hold all answers of a server back."""
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("CLIENT", "PAUSE", 60_000, "ALL")
    yield


@EACH
async def test_down(
    redis_store: Make, redis_server: Callable[[], RedisServer], operation: str
) -> None:
    """Where nobody listens, there is an error; when somebody does again, there is none."""
    server = redis_server()
    tried = redis_store(server.url)
    call = operations(tried)[operation]
    await call()
    server.kill()

    assert isinstance(await failure(call()), redis.ConnectionError | TimeoutError)

    server.start()
    await call()


@EACH
async def test_slow(
    redis_store: Make, proxy: DelayingProxy, redis_prefix: str, operation: str
) -> None:
    """A Redis that takes two seconds to answer is given up after one."""
    tried = redis_store(proxy.url, redis_prefix)
    call = operations(tried)[operation]
    await call()
    proxy.delay = 2.0

    await failure(call())


async def test_slow_to_greet(
    redis_store: Make, proxy: DelayingProxy, redis_prefix: str
) -> None:
    """So is one that takes two seconds to answer a new connection."""
    proxy.delay = 2.0

    await failure(redis_store(proxy.url, redis_prefix).get("a"))


async def test_each_step_is_slow(
    redis_store: Make, proxy: DelayingProxy, redis_prefix: str
) -> None:
    """What takes long is many short waits, and their sum counts."""
    tried = redis_store(proxy.url.removesuffix("/0") + "/1", redis_prefix)
    proxy.delay = 0.6

    await failure(tried.get("a"))


async def test_each_byte_is_slow(
    redis_store: Make, proxy: DelayingProxy, redis_prefix: str
) -> None:
    """An answer that trickles in is given up like one that does not come."""
    tried = redis_store(proxy.url, redis_prefix)
    await tried.set("a", b"x" * 100)
    proxy.drip = 0.1

    await failure(tried.get("a"))


async def test_never_connects(redis_store: Make) -> None:
    """Where not even a connection comes about, the limit is the same."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = full.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        tried = redis_store(f"redis://127.0.0.1:{port}/0")

        await failure(tried.get("a"))


async def test_never_answers(redis_store: Make) -> None:
    """A server that accepts and says nothing is given up, whatever the client may wait."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tried = redis_store(
            f"redis://127.0.0.1:{silent.getsockname()[1]}/0",
            socket_timeout=None,
            socket_connect_timeout=None,
            retry_on_timeout=True,
        )

        await failure(tried.get("a"))


@EACH
async def test_killed_in_the_middle(
    redis_store: Make, redis_server: Callable[[], RedisServer], operation: str
) -> None:
    """A Redis that dies before it answers is an error at once, and the next one serves."""
    server = redis_server()
    tried = redis_store(server.url)
    await tried.set("b", b"of b")
    async with frozen(server):
        call = asyncio.create_task(
            asyncio.to_thread(
                lambda: asyncio.run(failure(operations(tried)[operation]()))
            )
            if not tried.is_async
            else failure(operations(tried)[operation]())
        )
        await asyncio.sleep(0.2)
        await asyncio.to_thread(server.kill)
        assert isinstance(await call, redis.ConnectionError | TimeoutError)
    server.start()

    assert await tried.get("b") is None
    assert await tried.set("b", b"new") is True


@pytest.mark.parametrize("operation", ["set", "replace", "delete", "add", "take"])
async def test_read_only_replica(
    redis_store: Make, redis_server: Callable[[], RedisServer], operation: str
) -> None:
    """A server that was demoted refuses every write, and each refusal is an error."""
    server, primary = redis_server(), redis_server()
    tried = redis_store(server.url)
    await tried.set("a", b"0")
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("REPLICAOF", "127.0.0.1", primary.port)

        error = await failure(operations(tried)[operation]())

        admin.execute_command("REPLICAOF", "NO", "ONE")

    assert isinstance(error, redis.ResponseError | redis.ConnectionError)
    await operations(tried)[operation]()


async def test_evicted(redis_store: Make, redis_url: str, redis_prefix: str) -> None:
    """What Redis has evicted is not there; nothing else is given in its place."""
    tried = redis_store(redis_url, redis_prefix)
    await tried.set("a", b"of a")
    await tried.set("b", b"of b")
    await tried.add("index", "a")
    with redis.Redis.from_url(redis_url) as admin:
        admin.delete(f"{redis_prefix}a", f"{redis_prefix}index")

    assert await tried.get("a") is None
    assert await tried.set("a", b"late", expected=b"of a") is False
    assert [] == await tried.take("index")
    assert b"of b" == await tried.get("b")


async def test_wrong_type(redis_store: Make, redis_url: str, redis_prefix: str) -> None:
    """What is no value of ours is an error, and stays as it is."""
    tried = redis_store(redis_url, redis_prefix)
    with redis.Redis.from_url(redis_url) as admin:
        admin.rpush(f"{redis_prefix}a", "another's")
        admin.set(f"{redis_prefix}index", "another's")
        for call in (
            lambda: tried.get("a"),
            lambda: tried.set("a", b"1", expected=b"0"),
            lambda: tried.delete("a", expected=b"0"),
            lambda: tried.add("index", "a"),
            lambda: tried.take("index"),
        ):
            assert isinstance(await failure(call()), redis.ResponseError)

        assert await tried.set("a", b"1") is False
        assert [b"another's"] == admin.lrange(f"{redis_prefix}a", 0, -1)
        assert b"another's" == admin.get(f"{redis_prefix}index")


async def test_out_of_memory(
    redis_store: Make, redis_server: Callable[[], RedisServer]
) -> None:
    """A Redis that may store no more says so, and what it has can be read."""
    server = redis_server()
    tried = redis_store(server.url)
    await tried.set("a", b"of a")
    with redis.Redis.from_url(server.url) as admin:
        admin.config_set("maxmemory", "1")

    assert isinstance(await failure(tried.set("b", b"of b")), redis.ResponseError)
    assert b"of a" == await tried.get("a")


async def test_no_late_answer_is_read(
    redis_store: Make, proxy: DelayingProxy, redis_prefix: str
) -> None:
    """An answer that comes after its time is nobody's: the next call gets its own."""
    tried = redis_store(proxy.url, redis_prefix, timeout=0.2, max_connections=1)
    await tried.set("a", b"of a")
    await tried.set("b", b"of b")
    for _ in range(5):
        proxy.delay = 0.3
        await failure(tried.get("a"), within=0.2)
        # The late answer is under way for a tenth of a second yet.
        proxy.delay = 0.0

        assert b"of b" == await tried.get("b")


async def test_commands_are_sent_once(
    redis_store: Make, redis_server: Callable[[], RedisServer]
) -> None:
    """What may have been done is not sent again, though the client would."""
    server = redis_server()
    proxy = DelayingProxy(server.url)
    tried = redis_store(
        proxy.url, retry_on_timeout=True, retry_on_error=[redis.ConnectionError]
    )
    await tried.set("a", b"0")
    proxy.delay = 2.0
    await failure(tried.set("b", b"1"))
    proxy.close()
    with redis.Redis.from_url(server.url) as admin:
        calls = admin.info("commandstats")["cmdstat_set"]["calls"]

    assert 2 == calls
