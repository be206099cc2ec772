"""Vaults in Django's caches and databases: a token is given once, to one of all who ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from auth0_tx import (
    ConfigurationError,
    InvalidInputError,
    NotSentError,
    RefusedError,
    StoreError,
)
from tests.frameworks import django_settings  # noqa: F401
from tests.stores.django_databases import IN_FILE, open_database

TOKEN = "a legacy token, and not a short one"
SECRET = "of the vault, and 32 characters long"
PLACES = ("redis", "locmem", "database cache", "sqlite", "postgres")


@pytest.fixture(params=PLACES)
def vault(
    request: pytest.FixtureRequest,
    redis_url: str,
    redis_prefix: str,
    tmp_path: Path,
) -> Iterator[Any]:
    """Return an empty vault in each kind of place."""
    from django.core.management import call_command
    from django.db import connections
    from django.test import override_settings

    from auth0_tx.integrations.django import DjangoCacheVault, DjangoDatabaseVault

    backends = "django.core.cache.backends"
    caches: dict[str, Any] = {
        "redis": {
            "BACKEND": f"{backends}.redis.RedisCache",
            "LOCATION": redis_url,
            "KEY_PREFIX": redis_prefix,
        },
        "locmem": {
            "BACKEND": f"{backends}.locmem.LocMemCache",
            "LOCATION": redis_prefix,
        },
        "database cache": {
            "BACKEND": f"{backends}.db.DatabaseCache",
            "LOCATION": "tokens_of_tasks",
        },
    }
    if request.param in caches:
        with override_settings(CACHES={"default": caches[request.param]}):
            if request.param == "database cache":
                call_command("createcachetable", verbosity=0)
            yield DjangoCacheVault("default", secret=SECRET)
        if request.param == "database cache":
            with connections["default"].cursor() as cursor:
                cursor.execute("DROP TABLE tokens_of_tasks")
        return
    settings = {**IN_FILE, "NAME": str(tmp_path / "file")}
    if request.param == "postgres":
        settings = request.getfixturevalue("postgres")
    with ThreadPoolExecutor(1) as thread, open_database(settings, thread) as alias:
        yield DjangoDatabaseVault(alias, secret=SECRET)


def run_at_once(act: Callable[[], object], number: int = 16) -> list[Any]:
    """Return what *act* returns in each of many threads."""
    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(lambda _: act(), range(number)))


def test_once(vault: Any) -> None:
    """A token is given once, and does not print."""
    handle = vault.put(TOKEN)
    token = vault.take(handle)

    assert (TOKEN, "<redacted>") == (token, repr(token))
    with pytest.raises(InvalidInputError, match="was taken before"):
        vault.take(handle)


def test_one_of_many(vault: Any, request: pytest.FixtureRequest) -> None:
    """Of many who take at once, one has it."""
    if "database cache" in request.node.name:
        pytest.skip("the database of this cache is in memory, for one connection")
    for _ in range(5):
        handle = vault.put(TOKEN)

        def take(handle: str = handle) -> bool:
            try:
                return bool(vault.take(handle) == TOKEN)
            except InvalidInputError:
                return False

        assert 1 == sum(run_at_once(take))


def test_lent(vault: Any) -> None:
    """A token whose use did no harm is there again under its handle, to be taken once."""
    handle = vault.put(TOKEN)
    for _ in range(3):
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


def test_time(vault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token has expired by the vault's own clock, whatever its place believes."""
    import time

    handles = [vault.put(TOKEN, ttl=60), vault.put(TOKEN)]
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 61)
    with pytest.raises(InvalidInputError, match="has expired"):
        vault.take(handles[0])

    assert TOKEN == vault.take(handles[1])


class Worker:
    """A cache of a worker that stands still between two of its commands."""

    def __init__(self, cache: Any, act: Callable[[], object]) -> None:
        self._cache, self._act = cache, act

    def get(self, name: str) -> Any:
        found = self._cache.get(name)
        self._act()
        return found

    def add(self, *arguments: Any) -> Any:
        return self._cache.add(*arguments)


def test_worker_stands_still(
    redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that has read the token, and then slept, does not get it after another one."""
    from django.core.cache import caches
    from django.test import override_settings

    from auth0_tx.integrations.django import DjangoCacheVault
    from auth0_tx.integrations.django.vaults import _CachePlace

    cache = {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": redis_prefix,
    }
    with override_settings(CACHES={"default": cache}):
        vault, slow = (DjangoCacheVault(secret=SECRET) for _ in range(2))
        handle = vault.put(TOKEN)
        taken: list[str] = []
        worker = Worker(caches["default"], lambda: taken.append(vault.take(handle)))
        place = type("SlowPlace", (_CachePlace,), {"_cache": worker})
        monkeypatch.setattr(slow, "_place", place("default"))
        with pytest.raises(InvalidInputError):
            slow.take(handle)

    assert [TOKEN] == taken


def test_rollback(postgres: dict[str, Any]) -> None:
    """A handle is good at once, within the view's transaction; none is taken back by it."""
    from django.db import transaction

    from auth0_tx.integrations.django import DjangoDatabaseVault

    with ThreadPoolExecutor(1) as thread, open_database(postgres, thread) as alias:
        vault = DjangoDatabaseVault(alias, secret=SECRET)
        kept = vault.put(TOKEN)
        with pytest.raises(KeyError), transaction.atomic(using=alias):  # noqa: PT012
            handle = vault.put(TOKEN)
            assert TOKEN == thread.submit(vault.take, handle).result()
            vault.take(kept)
            raise KeyError
        with pytest.raises(InvalidInputError):
            vault.take(kept)


def test_place_fails(vault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that fails is an error that may be tried again, and says nothing of the token."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(TOKEN)

    handle = vault.put(TOKEN)
    monkeypatch.setattr(type(vault._place), "put", fail)
    monkeypatch.setattr(type(vault._place), "take", fail)
    for use in (lambda: vault.put(TOKEN), lambda: vault.take(handle)):
        with pytest.raises(StoreError, match="OSError") as failed:
            use()

        assert failed.value.retry_safe
        assert TOKEN not in repr(failed.value.__context__)


async def test_event_loop() -> None:
    """From an event loop, Django's way to call what blocks is the way here."""
    from asgiref.sync import sync_to_async

    from auth0_tx.integrations.django import DjangoDatabaseVault

    vault = DjangoDatabaseVault(secret=SECRET)
    with pytest.raises(StoreError, match="event loop") as refused:
        vault.put(TOKEN)

    assert "sync_to_async" in (refused.value.hint or "")
    assert callable(sync_to_async(vault.put))


@pytest.mark.parametrize("kind", ["DjangoCacheVault", "DjangoDatabaseVault"])
def test_secret(kind: str) -> None:
    """Without a secret of its own a vault has that of AUTH0_TX, or else Django's keys."""
    from django.test import override_settings

    from auth0_tx.integrations import django

    make = getattr(django, kind)
    given = {"SECRET_KEY": "x" * 40, "SECRET_KEY_FALLBACKS": ["y" * 40]}
    with override_settings(AUTH0_TX={}, **given):
        assert make()._entries.open("a", make()._entries.seal("a", new_entry())).token
        old = make(secret="y" * 40)._entries.seal("a", new_entry())
        assert TOKEN == make()._entries.open("a", old).token
    with override_settings(AUTH0_TX={"SECRET": SECRET}, **given):
        sealed = make()._entries.seal("a", new_entry())
        assert TOKEN == make(secret=SECRET)._entries.open("a", sealed).token
    short = override_settings(
        AUTH0_TX={}, SECRET_KEY="a short one", SECRET_KEY_FALLBACKS=[]
    )
    with short, pytest.raises(ConfigurationError) as refused:
        make()

    assert "secret" == refused.value.parameter
    with override_settings(AUTH0_TX={"SECRET": SECRET}):
        assert repr(make()).startswith(f"{kind}(")


def new_entry() -> Any:
    """Return an entry of any vault."""
    from auth0_tx.integrations.token_vault import Entries

    return Entries(SECRET, 60).make(TOKEN, None)


def test_unknown_cache() -> None:
    """A cache that is not there is refused at once."""
    from auth0_tx.integrations.django import DjangoCacheVault

    with pytest.raises(ConfigurationError, match="'none'"):
        DjangoCacheVault("none", secret=SECRET)
