"""Commands go through the Redis client that was given: fakes, instruments, pools, retries."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from unittest import mock

import fakeredis
import pytest
import redis
import redis.asyncio

from auth0_tx.caches import RedisTokenCache
from auth0_tx.integrations.celery import AsyncSubjectTokenVault, SubjectTokenVault
from auth0_tx.stores import RedisStore
from tests.redis_server import RedisServer
from tests.stores.both_worlds import close_client, resolve
from tests.stores.delaying_proxy import DelayingProxy
from tests.stores.store_under_test import StoreUnderTest

Connect = Callable[..., Any]


@pytest.fixture(params=[False, True], ids=["blocking", "asyncio"])
def is_async(request: pytest.FixtureRequest) -> bool:
    """Return whether the test is about the asyncio world."""
    return bool(request.param)


@pytest.fixture
async def connect(is_async: bool) -> AsyncIterator[Connect]:
    """Return a function that makes clients of one world, with mixins or as redis-py's are."""
    clients: list[Any] = []

    def make(url: str, *mixins: type, **keywords: Any) -> Any:
        kind = (redis.asyncio if is_async else redis).Redis
        if mixins:
            kind = type("Client", (*mixins, kind), {})
        clients.append(kind.from_url(url, **keywords))
        return clients[-1]

    yield make
    for client in clients:
        await close_client(client)


@pytest.fixture(params=[False, True], ids=["bytes", "decoded"])
def fake(request: pytest.FixtureRequest, is_async: bool) -> Any:
    """Return a client of fakeredis, in both worlds, with replies decoded or not."""
    kind = fakeredis.FakeAsyncRedis if is_async else fakeredis.FakeRedis
    return kind(decode_responses=request.param)


async def test_fakeredis_caches_tokens(fake: Any, is_async: bool) -> None:
    """A token cache works over fakeredis, locks included."""
    cache = RedisTokenCache(fake)
    assert cache._is_async is is_async
    await resolve(cache.set("a", b"\xff sealed", ttl=60))

    assert b"\xff sealed" == await resolve(cache.get("a"))
    assert await resolve(cache.get("b")) is None
    assert await resolve(cache.lock("l", b"one", ttl=60)) is True
    assert await resolve(cache.lock("l", b"two", ttl=60)) is False
    await resolve(cache.unlock("l", b"two"))
    assert await resolve(cache.lock("l", b"two", ttl=60)) is False
    await resolve(cache.unlock("l", b"one"))
    assert await resolve(cache.lock("l", b"two", ttl=60)) is True


async def test_fakeredis_keeps_sessions(fake: Any, is_async: bool) -> None:
    """A store works over fakeredis, scripts included."""
    store = StoreUnderTest(RedisStore(fake), is_async)

    assert await store.set("a", b"\xff") is True
    assert await store.set("a", b"\xff") is False
    assert await store.set("a", b"\xfe", expected=b"\xff") is True
    assert b"\xfe" == await store.get("a")
    await store.add("index", "a")
    assert ["a"] == await store.read("index")
    await store.delete("a", expected=b"\xfe")
    assert await store.get("a") is None


async def test_fakeredis_keeps_subject_tokens(fake: Any, is_async: bool) -> None:
    """A vault works over fakeredis."""
    kind = AsyncSubjectTokenVault if is_async else SubjectTokenVault
    vault: Any = kind(fake, secret="of the vault, and 32 characters long")
    handle = await resolve(vault.put("a subject token"))

    assert "a subject token" == await resolve(vault.take(handle))


class Counting:
    """Counts the commands of all clients of the class, as an instrument would."""

    commands: list[str]

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        self.commands.append(arguments[0])
        return super().execute_command(*arguments, **options)  # type: ignore[misc]


async def use(redis_client: Any, prefix: str) -> None:
    """Send one command of each kind."""
    store: Any = RedisStore(redis_client, prefix=prefix)
    await resolve(store.set("a", b"1", ttl=60, expected=None))
    await resolve(store.get("a"))
    await resolve(store.set("a", b"2", ttl=60, expected=b"1"))
    await resolve(store.delete("a"))


ALL_KINDS = ["SET", "GET", "EVAL", "DEL"]


async def test_a_subclass_sees_commands(
    connect: Connect, redis_url: str, redis_prefix: str
) -> None:
    """A subclass of redis-py's client sees every command."""
    client = connect(redis_url, Counting)
    client.commands = []
    await use(client, redis_prefix)

    assert ALL_KINDS == client.commands


async def test_a_patched_class_sees_commands(
    connect: Connect,
    redis_url: str,
    redis_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An instrument that patches redis-py's class sees commands of stores made before."""
    client = connect(redis_url)
    store: Any = RedisStore(client, prefix=redis_prefix)
    commands: list[str] = []
    original = type(client).execute_command

    def count(self: Any, *arguments: Any, **options: Any) -> Any:
        commands.append(arguments[0])
        return original(self, *arguments, **options)

    monkeypatch.setattr(type(client), "execute_command", count)
    await resolve(store.get("a"))
    await use(client, redis_prefix)

    assert ["GET", *ALL_KINDS] == commands


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
async def test_a_patched_client_sees_commands(
    connect: Connect, redis_url: str, redis_prefix: str, is_before: bool
) -> None:
    """An instrument that patches one client sees them too, before or after the store is made."""
    client = connect(redis_url)
    commands: list[str] = []
    original = client.execute_command

    def count(*arguments: Any, **options: Any) -> Any:
        commands.append(arguments[0])
        return original(*arguments, **options)

    if is_before:
        client.execute_command = count
    store: Any = RedisStore(client, prefix=redis_prefix)
    client.execute_command = count
    await resolve(store.get("a"))

    assert ["GET"] == commands


async def test_quotas(
    redis_server: Callable[[], RedisServer], connect: Connect, is_async: bool
) -> None:
    """A crowd opens no more connections than the client's pool may have."""
    server = redis_server()
    store = StoreUnderTest(
        RedisStore(connect(server.url, max_connections=3), timeout=20), is_async
    )
    with redis.Redis.from_url(server.url) as admin:
        before = admin.info("stats")["total_connections_received"]
        await store.run_together(*[lambda: store.inner.get("a")] * 40)
        made = admin.info("stats")["total_connections_received"] - before

    assert 1 <= made <= 3


async def test_a_pool_of_ones_own_is_used(redis_url: str, is_async: bool) -> None:
    """Connections come from the application's own pool class."""
    kind = (redis.asyncio if is_async else redis).ConnectionPool
    taken: list[Any] = []

    class Pool(kind):  # type: ignore[misc, valid-type]
        def make_connection(self) -> Any:
            taken.append(self)
            return super().make_connection()

    pool = Pool.from_url(redis_url)
    client = (redis.asyncio if is_async else redis).Redis(connection_pool=pool)
    await resolve(RedisStore(client).get("auth0_tx-test"))
    await close_client(client)

    assert [pool] == taken


async def test_a_single_connection_is_used(redis_url: str, is_async: bool) -> None:
    """A client with ``single_connection_client`` uses its one connection."""
    kind = (redis.asyncio if is_async else redis).Redis
    client: Any = kind.from_url(redis_url, single_connection_client=True)
    await resolve(RedisStore(client).get("auth0_tx-test"))

    assert 0 == len(client.connection_pool._available_connections)
    assert client.connection is not None
    await close_client(client)


async def test_a_lost_reply_is_an_error(
    redis_server: Callable[[], RedisServer], connect: Connect, is_async: bool
) -> None:
    """A lock is not requested again after the connection broke: we may have it already."""
    server = redis_server()
    proxy = DelayingProxy(server.url)
    store = StoreUnderTest(RedisStore(connect(proxy.url), timeout=20), is_async)
    await store.get("lock")
    proxy.delay = 30
    with redis.Redis.from_url(server.url) as admin:

        def break_once_it_is_done() -> None:
            while not admin.exists("auth0_tx:lock"):
                time.sleep(0.01)
            proxy.break_off()

        breaking = threading.Thread(target=break_once_it_is_done)
        breaking.start()
        with pytest.raises(redis.ConnectionError):
            await store.set("lock", b"owner")
        breaking.join()

        assert 1 == admin.info("commandstats")["cmdstat_set"]["calls"]
    proxy.close()


async def test_the_client_retries_as_before(redis_url: str) -> None:
    """The application's own commands are retried as the client was set up."""
    client = redis.asyncio.Redis.from_url(redis_url, retry_on_timeout=True)
    await client.ping()
    (connection,) = client.connection_pool._available_connections
    before = connection.retry
    await resolve(RedisStore(client).get("auth0_tx-test"))

    assert [connection] == client.connection_pool._available_connections
    assert before is connection.retry
    await close_client(client)


class _Interrupted(BaseException):
    """An exception as a signal handler raises."""


class Interrupting:
    """Is interrupted once, between sending a command and reading its reply."""

    is_interrupted = False

    def parse_response(self, *arguments: Any, **options: Any) -> Any:
        if type(self).is_interrupted:
            type(self).is_interrupted = False
            raise _Interrupted
        return super().parse_response(*arguments, **options)  # type: ignore[misc]


def test_a_reply_that_is_due_is_not_read(
    proxy: DelayingProxy, redis_prefix: str
) -> None:
    """The reply of an interrupted command is not read as the next command's."""
    kind: Any = type("Client", (Interrupting, redis.Redis), {})
    with kind.from_url(proxy.url, max_connections=1) as client:
        store: Any = RedisStore(client, prefix=redis_prefix)
        for name in ("a", "b"):
            store.set(name, f"of {name}".encode(), ttl=60, expected=None)
        proxy.delay = 0.2
        kind.is_interrupted = True
        with pytest.raises(_Interrupted):
            store.get("a")

        assert b"of b" == store.get("b")


def test_loops_one_after_another(redis_url: str) -> None:
    """A store whose client's connections are closed after each loop works in the next."""
    client = redis.asyncio.Redis.from_url(redis_url)
    store: Any = RedisStore(client)

    async def use_once() -> None:
        await store.get("auth0_tx-test")
        await client.connection_pool.disconnect()

    started = time.monotonic()
    for _ in range(3):
        asyncio.run(use_once())

    assert 10 > time.monotonic() - started


def test_no_free_connection(redis_url: str, redis_prefix: str) -> None:
    """A call that gets no connection in time fails, and the next one works."""
    with redis.Redis.from_url(redis_url, max_connections=1) as client:
        store: Any = RedisStore(client, prefix=redis_prefix, timeout=0.3)
        store.get("a")
        pool = store._send.__self__._client.connection_pool
        connection = pool.get_connection()
        with pytest.raises(redis.ConnectionError, match="free in time"):
            store.get("a")
        pool.release(connection)

        assert store.get("a") is None


async def test_no_free_connection_of_the_application(
    redis_url: str, redis_prefix: str
) -> None:
    """In asyncio the application may have them all, also for longer than a call waits."""
    client = redis.asyncio.Redis.from_url(redis_url, max_connections=1)
    store: Any = RedisStore(client, prefix=redis_prefix, timeout=0.3)
    async with client.pipeline() as pipeline:
        await pipeline.watch("a")
        with pytest.raises(TimeoutError):
            await store.get("a")

    assert await store.get("a") is None
    await close_client(client)


async def test_mocks(is_async: bool) -> None:
    """A mock of a client is used as it is."""
    kind = (redis.asyncio if is_async else redis).Redis
    client = mock.create_autospec(kind, instance=True)
    client.execute_command.return_value = b"1"

    assert b"1" == await resolve(RedisStore(client).get("a"))
    client.execute_command.assert_called_once_with(
        "GET", "auth0_tx:a", NEVER_DECODE=True
    )


def test_without_poll(
    redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system has no ``poll``, as Windows and eventlet, the store works too."""
    monkeypatch.delattr("select.poll")
    with redis.Redis.from_url(redis_url) as client:
        store: Any = RedisStore(client, prefix=redis_prefix)

        assert store.set("a", b"1", ttl=60, expected=None)
        assert b"1" == store.get("a")
