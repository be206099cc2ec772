"""Stores, caches and vaults over a Redis Cluster, and over valkey-py, in both worlds."""

from __future__ import annotations

import importlib
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing
from secrets import token_hex
from typing import Any

import pytest
import redis

from auth0_tx import ConfigurationError
from auth0_tx.caches import RedisTokenCache
from auth0_tx.integrations.celery import AsyncSubjectTokenVault, SubjectTokenVault
from auth0_tx.stores import RedisStore
from tests.redis_server import RedisServer, has_program, skip_without_redis
from tests.stores.both_worlds import resolve

NODES, SLOTS = 3, 16_384
KEYS = 12
SECRET = "a secret of the vault, of 32 characters"

CLUSTERS = {
    "redis-py": "redis.cluster.RedisCluster",
    "redis-py, asyncio": "redis.asyncio.cluster.RedisCluster",
    "valkey-py": "valkey.cluster.ValkeyCluster",
    "valkey-py, asyncio": "valkey.asyncio.cluster.ValkeyCluster",
}
SINGLES = {
    "valkey-py": "valkey.Valkey",
    "valkey-py, asyncio": "valkey.asyncio.Valkey",
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[list[RedisServer]]:
    """The servers of a cluster, which share its keys."""
    if not has_program():
        skip_without_redis()
    with ExitStack() as stack:
        servers = [
            stack.enter_context(closing(RedisServer("--cluster-enabled", "yes")))
            for _ in range(NODES)
        ]
        nodes = [redis.Redis(port=server.port) for server in servers]
        for number, node in enumerate(nodes):
            stack.callback(node.close)
            first, beyond = (SLOTS * at // NODES for at in (number, number + 1))
            node.execute_command("CLUSTER", "ADDSLOTS", *range(first, beyond))
            node.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
        until = time.monotonic() + 20
        while not all(knows_all(node) for node in nodes):
            assert time.monotonic() < until, "the cluster does not come up"
            time.sleep(0.05)
        yield servers


def knows_all(node: redis.Redis) -> bool:
    """Return whether a node of the cluster knows where each key is."""
    info: Any = node.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in info and b"cluster_known_nodes:%d" % NODES in info


async def make(path: str, port: int) -> Any:
    """Return a client of a class, or skip the test where it is not installed."""
    module, _, name = path.rpartition(".")
    package = pytest.importorskip(path.partition(".")[0])
    assert package
    return getattr(importlib.import_module(module), name)(host="127.0.0.1", port=port)


async def close(client: Any) -> None:
    """Close a client, by the method that its release has."""
    await resolve((getattr(client, "aclose", None) or client.close)())


@pytest.fixture(params=CLUSTERS.values(), ids=CLUSTERS)
async def client(
    request: pytest.FixtureRequest, cluster: list[RedisServer]
) -> AsyncIterator[Any]:
    """A client of the cluster."""
    made = await make(request.param, cluster[0].port)
    yield made
    await close(made)


@pytest.fixture(params=SINGLES.values(), ids=SINGLES)
async def single(
    request: pytest.FixtureRequest, redis_server: Callable[[], RedisServer]
) -> AsyncIterator[Any]:
    """A client of valkey-py, of a server that is not in a cluster."""
    made = await make(request.param, redis_server().port)
    yield made
    await close(made)


async def check_all(client: Any) -> None:
    """Use each command, on keys of all servers."""
    prefix = token_hex(8)
    store = RedisStore(client, prefix=f"{prefix}:", timeout=10)
    cache = RedisTokenCache(client, prefix=f"{prefix}:cache:", timeout=10)
    for number in range(KEYS):
        key = f"key-{number}"
        assert await resolve(store.set(key, b"\xff1", ttl=60, expected=None))
        assert not await resolve(store.set(key, b"\xff2", ttl=60, expected=None))
        assert await resolve(store.set(key, b"\xff2", ttl=60, expected=b"\xff1"))
        await resolve(store.delete(key, expected=b"\xff1"))
        assert b"\xff2" == await resolve(store.get(key))
        await resolve(store.delete(key))
        assert await resolve(store.get(key)) is None
        label = f"index of {key}"
        await resolve(store.add_to_index(label, "one", ttl=60))
        await resolve(store.add_to_index(label, "two", ttl=60))
        await resolve(store.remove_from_index(label, ["one"]))
        assert ["two"] == await resolve(store.read_index(label))
        await resolve(cache.set(key, b"\xfftoken", ttl=60))
        assert b"\xfftoken" == await resolve(cache.get(key))
        assert await resolve(cache.lock(f"lock of {key}", b"me", ttl=60))
        assert not await resolve(cache.lock(f"lock of {key}", b"you", ttl=60))
        await resolve(cache.unlock(f"lock of {key}", b"me"))
        assert await resolve(cache.lock(f"lock of {key}", b"you", ttl=60))
    is_async = inspect.iscoroutinefunction(type(client).execute_command)
    vault = (AsyncSubjectTokenVault if is_async else SubjectTokenVault)(
        client, secret=SECRET
    )
    handle = await resolve(vault.put("subject-token"))
    assert "subject-token" == await resolve(vault.take(handle))


async def test_cluster(client: Any) -> None:
    """Every command works through a client of a cluster, wherever its key is."""
    await check_all(client)


async def test_valkey(single: Any) -> None:
    """Every command works through a client of valkey-py."""
    await check_all(single)


async def test_a_command_is_sent_to_a_cluster_once(
    client: Any, cluster: list[RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that fails, and may have been executed, is not sent again by the client."""
    store = RedisStore(client, timeout=10)
    await resolve(store.get("warm"))
    sent: list[Any] = []
    lost = importlib.import_module(type(client).__module__.partition(".")[0])

    def lose(*arguments: Any, **_: Any) -> Any:
        sent.append(arguments[-1] if arguments else None)
        raise lost.exceptions.ConnectionError("the connection was lost")

    async def lose_later(*arguments: Any, **keywords: Any) -> Any:
        return lose(*arguments, **keywords)

    is_async = inspect.iscoroutinefunction(type(client).execute_command)
    monkeypatch.setattr(
        type(client), "_execute_command", lose_later if is_async else lose
    )
    with pytest.raises(lost.exceptions.ConnectionError):
        await resolve(store.set("key", b"1", ttl=60, expected=None))

    assert 1 == len(sent)


@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "asyncio"])
async def test_a_client_of_one_node(cluster: list[RedisServer], is_async: bool) -> None:
    """A plain client of a cluster's node is told, for a key of another node, what to use."""
    of_world: Any = redis.asyncio if is_async else redis
    plain = of_world.Redis(port=cluster[0].port)
    store = RedisStore(plain, prefix=token_hex(8), timeout=10)

    errors = []
    for number in range(KEYS):
        try:
            await resolve(store.get(f"key-{number}"))
        except ConfigurationError as error:
            errors.append(error)
    await close(plain)

    assert 0 < len(errors) < KEYS
    assert {"redis"} == {error.parameter for error in errors}
    assert all("RedisCluster" in error.message for error in errors)
