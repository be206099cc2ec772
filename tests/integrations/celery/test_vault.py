"""A vault returns a token once, to the holder of its handle, and shows it to nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio

from auth0_tx import (
    ConfigurationError,
    InvalidInputError,
    NotSentError,
    RefusedError,
    StoreError,
)
from auth0_tx.core.session.seal import sealer
from auth0_tx.integrations.celery import AsyncSubjectTokenVault, SubjectTokenVault
from auth0_tx.integrations.celery.vault import new_handle
from tests.redis_server import RedisServer

TOKEN = "a legacy token, and not a short one"
SECRET = "of the vault, and 32 characters long"


@pytest.fixture
def connection(redis_url: str) -> Iterator[redis.Redis]:
    """Return a connection to Redis."""
    with redis.Redis.from_url(redis_url) as connection:
        yield connection


@pytest.fixture
def vault(connection: redis.Redis, redis_prefix: str) -> SubjectTokenVault:
    """Return a vault with nothing in it."""
    return SubjectTokenVault(connection, secret=SECRET, prefix=redis_prefix)


def test_once(vault: SubjectTokenVault) -> None:
    """A token is given once, and does not print."""
    handle = vault.put(TOKEN)
    token = vault.take(handle)

    assert (TOKEN, "<redacted>") == (token, repr(token))
    with pytest.raises(InvalidInputError, match="was taken before"):
        vault.take(handle)


def test_one_of_many(vault: SubjectTokenVault) -> None:
    """Of many who take at once, one has it."""
    handle = vault.put(TOKEN)

    def take(_: int) -> bool:
        try:
            return vault.take(handle) == TOKEN
        except InvalidInputError:
            return False

    with ThreadPoolExecutor(16) as threads:
        assert 1 == sum(threads.map(take, range(16)))


def test_nothing_readable(
    vault: SubjectTokenVault, connection: redis.Redis, redis_prefix: str
) -> None:
    """Redis has neither the token nor the handle."""
    handle = vault.put(TOKEN)
    (key,) = connection.scan_iter(match=f"{redis_prefix}*")
    held = key + (connection.get(key) or b"")

    assert TOKEN.encode() not in held
    assert handle.encode() not in held
    assert 0 < connection.ttl(key) <= 3_600


def test_mixed_up(
    vault: SubjectTokenVault, connection: redis.Redis, redis_prefix: str
) -> None:
    """A value under another handle's key opens for neither."""
    handles = [vault.put(f"token {number}") for number in range(2)]
    one, other = connection.scan_iter(match=f"{redis_prefix}*")
    values = connection.mget(one, other)
    connection.mset({one: values[1], other: values[0]})
    for handle in handles:
        with pytest.raises(InvalidInputError):
            vault.take(handle)


def set_clock_forward(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set this process's clock forward; Redis has its own."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + seconds)


def test_expiry_is_inside(
    vault: SubjectTokenVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An expired token is gone, even if Redis still has it."""
    handle = vault.put(TOKEN, ttl=60)
    set_clock_forward(monkeypatch, 61)

    with pytest.raises(InvalidInputError, match="has expired"):
        vault.take(handle)


def test_secrets(connection: redis.Redis, redis_prefix: str) -> None:
    """Whoever has the handle and Redis alone opens nothing; secrets rotate."""
    given = {"prefix": redis_prefix}
    old = SubjectTokenVault(connection, secret="an old secret" * 3, **given)
    new = SubjectTokenVault(
        connection, secret=["a new one" * 4, "an old secret" * 3], **given
    )
    other = SubjectTokenVault(connection, secret=SECRET, **given)

    assert TOKEN == new.take(old.put(TOKEN))
    with pytest.raises(InvalidInputError):
        other.take(old.put(TOKEN))


@pytest.mark.parametrize("secret", [None, "", "a short one", ["a short one", "x" * 32]])
@pytest.mark.parametrize(
    ("make_vault", "connect"),
    [
        (SubjectTokenVault, redis.Redis),
        (AsyncSubjectTokenVault, redis.asyncio.Redis),
    ],
    ids=["blocking", "async"],
)
def test_short_secret(
    make_vault: Any, connect: Callable[[], Any], secret: str | list[str] | None
) -> None:
    """A secret is required, and the newest has 32 characters or more, as that of a client."""
    with pytest.raises(ConfigurationError) as refused:
        make_vault(connect(), secret=secret)

    assert "secret" == refused.value.parameter
    assert not secret or "secrets.token_urlsafe(32)" in str(refused.value)
    assert "a short one" not in str(refused.value)


def test_short_older_secret(connection: redis.Redis, redis_prefix: str) -> None:
    """What a short secret sealed opens where that comes after a longer one."""
    old = SubjectTokenVault(connection, secret=SECRET, prefix=redis_prefix)
    old._entries._sealer = sealer(["a short one"], "vault")
    new = SubjectTokenVault(
        connection, secret=["x" * 32, "a short one"], prefix=redis_prefix
    )

    assert TOKEN == new.take(old.put(TOKEN))


def test_two_applications(connection: redis.Redis, redis_prefix: str) -> None:
    """Two applications with one Redis, each with its secret, open nothing of each other's."""
    ours, theirs = (
        SubjectTokenVault(connection, secret=secret, prefix=redis_prefix)
        for secret in ("of the first application" * 2, "of the second application" * 2)
    )
    kept = ours.put(TOKEN)
    with pytest.raises(InvalidInputError, match="handle"):
        theirs.take(ours.put(TOKEN))

    assert TOKEN == ours.take(kept)


def test_lent(vault: SubjectTokenVault) -> None:
    """A token whose use did no harm is there again under its handle; else it is not."""
    handle = vault.put(TOKEN)
    with pytest.raises(NotSentError), vault.lend(handle):
        raise NotSentError("no connection", retry_safe=True)
    with vault.lend(handle) as token:
        assert TOKEN == token
    for error in (RefusedError("no"), KeyError("bug")):
        spent = vault.put(TOKEN)
        with pytest.raises(type(error)), vault.lend(spent):
            raise error
        with pytest.raises(InvalidInputError):
            vault.take(spent)
    with pytest.raises(InvalidInputError):
        vault.take(handle)


def test_lease_is_no_longer(
    vault: SubjectTokenVault,
    connection: redis.Redis,
    redis_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token that is given back is kept for the time that it had left."""
    handle = vault.put(TOKEN, ttl=600)
    set_clock_forward(monkeypatch, 400)
    with pytest.raises(NotSentError), vault.lend(handle):
        raise NotSentError("no connection", retry_safe=True)
    (key,) = connection.scan_iter(match=f"{redis_prefix}*")
    assert 0 < connection.ttl(key) <= 200
    set_clock_forward(monkeypatch, 201)
    with pytest.raises(InvalidInputError, match="has expired"):
        vault.take(handle)


async def test_async(
    redis_url: str, redis_prefix: str, vault: SubjectTokenVault
) -> None:
    """A worker takes what an event loop put, and the other way round."""
    async with redis.asyncio.Redis.from_url(redis_url) as connection:
        ours = AsyncSubjectTokenVault(connection, secret=SECRET, prefix=redis_prefix)
        handle = await ours.put(TOKEN)
        theirs = await asyncio.to_thread(vault.put, TOKEN)

        assert TOKEN == await asyncio.to_thread(vault.take, handle)
        with pytest.raises(NotSentError):
            async with ours.lend(theirs):
                raise NotSentError("no connection", retry_safe=True)
        with pytest.raises(RefusedError):
            async with ours.lend(theirs):
                raise RefusedError("no")
        with pytest.raises(InvalidInputError):
            await ours.take(theirs)
        again = await ours.put(TOKEN, ttl=9)
        assert TOKEN == await ours.take(again)


def test_redis_is_down(redis_server: Callable[[], RedisServer]) -> None:
    """A Redis that fails is an error that may be tried again, and says nothing of the token."""
    server = redis_server()
    with redis.Redis.from_url(server.url) as connection:
        vault = SubjectTokenVault(connection, secret=SECRET)
        server.kill()
        for use in (lambda: vault.put(TOKEN), lambda: vault.take(new_handle())):
            with pytest.raises(StoreError) as failed:
                use()

            assert failed.value.retry_safe
            assert TOKEN not in repr(failed.value.__context__)


async def test_async_redis_is_down(redis_server: Callable[[], RedisServer]) -> None:
    """So it is from an event loop."""
    server = redis_server()
    async with redis.asyncio.Redis.from_url(server.url) as connection:
        vault = AsyncSubjectTokenVault(connection, secret=SECRET)
        server.kill()
        with pytest.raises(StoreError):
            await vault.put(TOKEN)


def test_input(vault: SubjectTokenVault, connection: redis.Redis) -> None:
    """An argument that breaks a rule is refused, and the error names it."""
    refused: list[tuple[Any, str]] = [
        (lambda: vault.put(""), "token"),
        (lambda: vault.put(None), "token"),  # type: ignore[arg-type]
        (lambda: vault.put(TOKEN, ttl=0), "ttl"),
        (lambda: vault.take(TOKEN), "handle"),
        (lambda: SubjectTokenVault(connection, secret=SECRET, ttl=-1), "ttl"),
        (lambda: SubjectTokenVault(connection, secret=SECRET, prefix=b"a"), "prefix"),  # type: ignore[arg-type]
        (lambda: SubjectTokenVault(redis.asyncio.Redis(), secret=SECRET), "redis"),  # type: ignore[arg-type]
        (lambda: AsyncSubjectTokenVault(connection, secret=SECRET), "redis"),  # type: ignore[arg-type]
        (lambda: SubjectTokenVault(object(), secret=SECRET), "redis"),  # type: ignore[arg-type]
    ]
    for use, parameter in refused:
        with pytest.raises((InvalidInputError, ConfigurationError)) as error:
            use()

        assert parameter == error.value.parameter
        assert TOKEN not in str(error.value)
    assert "SubjectTokenVault(prefix=" in repr(vault)
