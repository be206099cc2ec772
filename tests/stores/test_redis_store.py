"""The Redis store beyond the contract: the clients it accepts and the commands it sends."""

from __future__ import annotations

import copy
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio

from auth0_tx import AsyncServerClient, ConfigurationError, ServerClient
from auth0_tx.stores import MemoryStore, RedisStore
from auth0_tx.stores.blocking_redis import TimedSocket
from tests.redis_server import RedisServer
from tests.stores.both_worlds import close_client
from tests.stores.own_stores import OwnAsyncStore, OwnStore
from tests.stores.store_under_test import StoreUnderTest

Make = Callable[..., StoreUnderTest]

SETTINGS: dict[str, Any] = {
    "domain": "tenant.auth0.com",
    "client_id": "client",
    "client_secret": "of the client's, sixteen characters",
}


@pytest.mark.parametrize(
    "keywords",
    [
        {"decode_responses": True},
        {"protocol": 3},
        {"protocol": 3, "decode_responses": True},
        {"health_check_interval": 1},
        {"retry_on_timeout": True},
        {"client_name": "sessions"},
        {"max_connections": 1},
    ],
    ids=lambda keywords: " ".join(keywords),
)
async def test_clients(
    redis_store: Make, redis_server: Callable[[], RedisServer], keywords: dict[str, Any]
) -> None:
    """The store works the same with every setting of the client."""
    store = redis_store(redis_server().url, timeout=20, **keywords)
    value = bytes(range(256))

    assert await store.get("a") is None
    assert await store.set("a", value) is True
    assert await store.set("a", value) is False
    assert value == await store.get("a")
    assert await store.set("a", b"next", expected=value) is True
    await store.add("index", "a")
    assert ["a"] == await store.read("index")
    await store.delete("a", expected=b"next")
    assert await store.get("a") is None


async def test_settings_of_the_client(
    redis_store: Make, redis_server: Callable[[], RedisServer]
) -> None:
    """The store uses the client's database, user and password."""
    server = redis_server()
    with redis.Redis.from_url(server.url) as admin:
        admin.acl_setuser(
            "web",
            enabled=True,
            passwords="+of the user's",
            categories=["+@all"],
            keys="*",
        )
        admin.acl_setuser("default", enabled=False)
    settings = {"username": "web", "password": "of the user's"}
    url = f"{server.url.removesuffix('/0')}/3"
    store = redis_store(url, "mine:", timeout=20, **settings)
    await store.set("a", b"1")
    await store.add("index", "a")
    with redis.Redis.from_url(url, **settings) as admin:
        keys = sorted(admin.keys())

    assert [b"mine:a", b"mine:index"] == keys
    with pytest.raises(redis.AuthenticationError):
        await redis_store(server.url).get("a")


async def test_unix_sockets(
    redis_store: Make, redis_server: Callable[[], RedisServer], tmp_path: Any
) -> None:
    """A Redis behind a Unix socket works."""
    server = redis_server()
    server.kill()
    server.start("--unixsocket", str(tmp_path / "redis"))
    store = redis_store(f"unix://{tmp_path / 'redis'}")

    assert await store.set("a", b"1") is True
    assert b"1" == await store.get("a")


async def test_commands(
    redis_store: Make, redis_server: Callable[[], RedisServer]
) -> None:
    """Each method is one command, also right after Redis has forgotten all scripts."""
    server = redis_server()
    store = redis_store(server.url, timeout=20)
    await store.get("a")
    with redis.Redis.from_url(server.url) as admin:
        admin.script_flush()
        admin.config_resetstat()
        await store.get("a")
        await store.set("a", b"1")
        await store.set("a", b"2", expected=b"1")
        await store.delete("a", expected=b"2")
        await store.delete("a")
        await store.add("index", "a")
        await store.read("index")
        await store.remove("index", "b")
        await store.remove("index", "a")
        statistics = admin.info("commandstats")
        connections = admin.info("stats")["total_connections_received"]

    assert 5 == statistics["cmdstat_eval"]["calls"]
    assert 1 == statistics["cmdstat_zrange"]["calls"]
    # What a script does counts as well: it gets, sets and deletes.
    assert 1 + 2 == statistics["cmdstat_get"]["calls"]
    assert 1 + 1 == statistics["cmdstat_set"]["calls"]
    assert 1 + 2 == statistics["cmdstat_del"]["calls"]
    assert 0 == connections


async def test_labels_do_not_pile_up(
    redis_store: Make, redis_server: Callable[[], RedisServer]
) -> None:
    """Expired keys under a label are forgotten when the next one is added."""
    server = redis_server()
    store = redis_store(server.url, timeout=20)
    for n in range(20):
        await store.add("index", f"session:{n}", ttl=0.02)
    with redis.Redis.from_url(server.url) as admin:
        # One more than the keys: the time that they last.
        while admin.zcard("faults:index") != 2:
            await store.add("index", "session:last", ttl=0.02)
        await store.add("index", "session:last", ttl=60)
        lasts = admin.pttl("faults:index")

    assert 50_000 < lasts <= 60_000
    assert ["session:last"] == await store.read("index")


def test_threads_wait_for_a_connection(redis_url: str, redis_prefix: str) -> None:
    """More threads than the client may have connections take turns."""
    with redis.Redis.from_url(redis_url, max_connections=2) as client:
        store = RedisStore(client, prefix=redis_prefix, timeout=20)
        threads = [
            threading.Thread(
                target=store.set,
                args=(f"{n}", b"1"),
                kwargs={"ttl": 60, "expected": None},
            )
            for n in range(32)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [b"1"] * 32 == [store.get(f"{n}") for n in range(32)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork(redis_url: str, redis_prefix: str) -> None:
    """A forked child connects anew, so that neither process reads the other's replies."""
    with redis.Redis.from_url(redis_url) as client:
        store = RedisStore(client, prefix=redis_prefix, timeout=20)
        for name in ("parent", "child"):
            store.set(name, name.encode(), ttl=60, expected=None)
        child = os.fork()
        name = "parent" if child else "child"
        status = 1
        try:
            status = (
                0 if {store.get(name) for _ in range(200)} == {name.encode()} else 2
            )
        finally:
            if not child:
                os._exit(status)

    assert 0 == status
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("client", [None, "redis://127.0.0.1", object(), dict, redis])
def test_what_is_no_client(client: Any) -> None:
    """Anything but a client of redis-py is refused at once."""
    with pytest.raises(ConfigurationError) as caught:
        RedisStore(client)

    assert "redis" == caught.value.parameter


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", 0),
        ("timeout", -1),
        ("timeout", True),
        ("timeout", "1"),
        ("timeout", float("nan")),
        ("timeout", float("inf")),
        ("timeout", None),
        ("prefix", None),
        ("prefix", b"bytes"),
    ],
)
def test_arguments(name: str, value: Any) -> None:
    """The error for an invalid argument names it."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        RedisStore(redis.Redis(), **{name: value})

    assert name == caught.value.parameter


def test_shows_nothing() -> None:
    """Neither the address nor the password shows, and nothing is pickled or copied."""
    url = "redis://web:of-the-user-and-secret@redis.internal/0"
    store = RedisStore(redis.Redis.from_url(url))

    assert "RedisStore(prefix='auth0_tx:')" == repr(store)
    with pytest.raises(TypeError):
        pickle.dumps(store)
    with pytest.raises(TypeError):
        copy.deepcopy(store)


def test_blocking_client_refuses_async_stores() -> None:
    """An asyncio store is refused by the blocking client."""
    for store in (RedisStore(redis.asyncio.Redis()), OwnAsyncStore()):
        with pytest.raises(ConfigurationError, match="AsyncServerClient") as caught:
            ServerClient(**SETTINGS, state_store=store)

        assert "state_store" == caught.value.parameter
    for kept in (RedisStore(redis.Redis()), OwnStore(), MemoryStore()):
        ServerClient(**SETTINGS, state_store=kept).close()


async def test_async_client_refuses_blocking_redis() -> None:
    """A Redis that would block the loop is refused; memory is not."""
    with pytest.raises(ConfigurationError, match=r"redis\.asyncio\.Redis") as caught:
        AsyncServerClient(**SETTINGS, state_store=RedisStore(redis.Redis()))

    assert "state_store" == caught.value.parameter
    client = redis.asyncio.Redis()
    for kept in (RedisStore(client), OwnAsyncStore(), OwnStore(), MemoryStore()):
        await AsyncServerClient(**SETTINGS, state_store=kept).aclose()
    await close_client(client)


HEAVY = (
    "'redis', 'asyncio', 'requests', 'aiohttp', 'urllib3', 'joserfc', 'authlib',"
    " 'cryptography', 'ssl', 'pickle', 'multiprocessing'"
)


@pytest.mark.parametrize("then", ["", "auth0_tx.stores.MemoryStore()"])
def test_imports_little(then: str) -> None:
    """Importing the stores, or keeping sessions in memory, loads nothing heavy."""
    # What measures the coverage of subprocesses has loaded its own by then.
    code = (
        f"import sys\nbefore = set(sys.modules)\nimport auth0_tx.stores\n{then}\n"
        f"print([name for name in ({HEAVY}) if name in set(sys.modules) - before])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert "[]" == ran.stdout.strip()


def test_without_redis_installed() -> None:
    """Without redis-py, the error says what to install."""
    code = (
        "import sys\nsys.modules['redis'] = None\n"
        "from auth0_tx import ConfigurationError\n"
        "from auth0_tx.stores import RedisStore\n"
        "try:\n    RedisStore(object())\n"
        "except ConfigurationError as error:\n    print(error.message)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert "auth0-tx[redis]" in ran.stdout


@pytest.mark.parametrize("read", ["recv", "recv_into"])
def test_sockets_wait_no_longer_than_is_left(read: str) -> None:
    """Either parser of redis-py waits for the time that is left, and no longer."""
    left = [60.0, 0.01, 0.0]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        timed = TimedSocket(ours, lambda: left.pop(0))
        timed.settimeout(None)
        theirs.sendall(b"+OK")
        piece = bytearray(3) if read == "recv_into" else 3
        first = getattr(timed, read)(piece)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                getattr(timed, read)(piece)
        timed.settimeout(0)
        with pytest.raises(BlockingIOError):
            getattr(timed, read)(piece)

    assert b"+OK" == (piece if read == "recv_into" else first)
