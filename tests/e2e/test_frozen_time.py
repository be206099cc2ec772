"""Tests of applications that freeze time, with freezegun or time-machine, around our clients."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import fakeredis
import freezegun
import pytest
import time_machine

from auth0_tx import CustomTokenExchangeOptions, InvalidInputError, SessionPolicy
from auth0_tx.caches import MemoryTokenCache, RedisTokenCache
from auth0_tx.integrations.celery import AsyncSubjectTokenVault, SubjectTokenVault
from auth0_tx.stores import MemoryStore, RedisStore
from auth0_tx.tenant import Certificates, KeySupply, Tenant, faults
from tests.e2e.sessions.logins import AUDIENCE, Browser, build_login_options
from tests.e2e.sessions.visits import LOGIN, close, make_client, serve
from tests.stores.both_worlds import resolve

WEEKS = timedelta(weeks=3)


class Frozen:
    """Frozen time, which a test moves.

    Args:
        move: moves it by a time.
    """

    def __init__(self, move: Callable[[timedelta], object]) -> None:
        self.move = move


@contextmanager
def freeze_with_freezegun(at: datetime) -> Iterator[Frozen]:
    """Freeze time with freezegun; event loops go on, as its documentation advises."""
    with freezegun.freeze_time(at, real_asyncio=True) as frozen:
        yield Frozen(frozen.tick)


@contextmanager
def freeze_all_with_freezegun(at: datetime) -> Iterator[Frozen]:
    """Freeze time with freezegun, that of event loops too."""
    with freezegun.freeze_time(at) as frozen:
        yield Frozen(frozen.tick)


@contextmanager
def freeze_with_time_machine(at: datetime) -> Iterator[Frozen]:
    """Freeze time with time-machine."""
    with time_machine.travel(at, tick=False) as traveller:
        yield Frozen(traveller.shift)


FREEZERS = pytest.mark.parametrize(
    "freeze",
    [freeze_with_freezegun, freeze_all_with_freezegun, freeze_with_time_machine],
)
WORLDS = pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "async"])


def read_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


async def exchange(client: Any, tenant: Tenant) -> str:
    """Exchange a token of Alice, and return the access token."""
    options = CustomTokenExchangeOptions(
        subject_token=tenant.subject_token("auth0|alice"),
        subject_token_type="urn:acme:legacy-token",
        audience=AUDIENCE,
    )
    response = await resolve(client.custom_token_exchange(options))
    return str(response.access_token)


@FREEZERS
@WORLDS
@pytest.mark.parametrize("offset", [-WEEKS, WEEKS], ids=["past", "future"])
async def test_client_works_before_within_and_after_a_freeze(
    auth0_tenant: Tenant, freeze: Any, is_async: bool, offset: timedelta
) -> None:
    """A client that was made before a freeze works in it and after it; one made in it, too."""
    before = make_client(auth0_tenant, MemoryStore(), is_async=is_async)
    assert await exchange(before, auth0_tenant)

    with freeze(read_now() + offset):
        assert await exchange(before, auth0_tenant)
        within = make_client(auth0_tenant, MemoryStore(), is_async=is_async)
        assert await exchange(within, auth0_tenant)

    for client in (before, within):
        assert await exchange(client, auth0_tenant)
        await close(client)


@FREEZERS
@WORLDS
async def test_session_ends_when_time_is_moved(
    auth0_tenant: Tenant, freeze: Any, is_async: bool
) -> None:
    """Tokens are renewed, and sessions end, as frozen time is moved on."""
    policy = SessionPolicy(idle_seconds=7_200, absolute_seconds=20_000)
    client = make_client(
        auth0_tenant, MemoryStore(), is_async=is_async, session_policy=policy
    )
    browser = Browser()
    auth0_tenant.apis.change(AUDIENCE, token_lifetime=3_600)
    with freeze(read_now() + WEEKS) as frozen:
        login = browser.request()
        options = build_login_options(auth0_tenant, "auth0|alice")
        assert (await serve(client, login, LOGIN, options)).is_good
        browser.take(login)

        tokens = set()
        for _ in range(3):
            request = browser.request()
            tokens.add((await serve(client, request, "get_access_token")).value)
            browser.take(request)
            frozen.move(timedelta(seconds=3_580))
        assert 3 == len(tokens)

        frozen.move(timedelta(seconds=3_621))
        found = await serve(client, browser.request(), "get_user")
    await close(client)

    assert (None, True) == (found.value, found.is_good)


@FREEZERS
@WORLDS
@pytest.mark.parametrize("is_shared", [False, True], ids=["memory", "fakeredis"])
async def test_cached_token_expires_when_time_is_moved(
    auth0_tenant: Tenant, freeze: Any, is_async: bool, is_shared: bool
) -> None:
    """A cached token is used while it is good by the frozen time, and then no longer."""
    kind = fakeredis.FakeAsyncRedis if is_async else fakeredis.FakeRedis
    cache = RedisTokenCache(kind()) if is_shared else MemoryTokenCache()
    client = make_client(
        auth0_tenant, MemoryStore(), is_async=is_async, token_cache=cache
    )
    options = CustomTokenExchangeOptions(
        subject_token=auth0_tenant.subject_token("auth0|alice", expires_in=864_000),
        subject_token_type="urn:acme:legacy-token",
        audience=AUDIENCE,
    )
    counts = []
    with freeze(read_now()) as frozen:
        for hours in (1, 1, 30):
            await resolve(client.custom_token_exchange(options))
            counts.append(auth0_tenant.count("/oauth/token"))
            frozen.move(timedelta(hours=hours))
        await resolve(client.custom_token_exchange(options))
        counts.append(auth0_tenant.count("/oauth/token"))
    await close(client)

    assert [1, 1, 1, 2] == counts


@FREEZERS
@WORLDS
async def test_stored_session_in_fakeredis(
    auth0_tenant: Tenant, freeze: Any, is_async: bool
) -> None:
    """A session in fakeredis is found while time is frozen, and ends with it."""
    kind = fakeredis.FakeAsyncRedis if is_async else fakeredis.FakeRedis
    client = make_client(auth0_tenant, RedisStore(kind()), is_async=is_async)
    browser, users = Browser(), []
    with freeze(read_now() + WEEKS) as frozen:
        login = browser.request()
        options = build_login_options(auth0_tenant, "auth0|alice")
        assert (await serve(client, login, LOGIN, options)).is_good
        browser.take(login)
        for _ in range(2):
            found = await serve(client, browser.request(), "get_user")
            users.append(found.value and found.value["sub"])
            frozen.move(WEEKS)
    await close(client)

    assert ["auth0|alice", None] == users


@FREEZERS
@WORLDS
async def test_vault_in_fakeredis(freeze: Any, is_async: bool) -> None:
    """A vault over fakeredis gives a token back while it lasts by the frozen time."""
    secret = "of a vault, and long enough: 0123456789"
    if is_async:
        vault: Any = AsyncSubjectTokenVault(fakeredis.FakeAsyncRedis(), secret=secret)
    else:
        vault = SubjectTokenVault(fakeredis.FakeRedis(), secret=secret)
    with freeze(read_now() + WEEKS) as frozen:
        first = await resolve(vault.put("first", ttl=60))
        second = await resolve(vault.put("second", ttl=60))
        frozen.move(timedelta(seconds=59))
        assert "first" == await resolve(vault.take(first))
        frozen.move(timedelta(seconds=2))
        with pytest.raises(InvalidInputError):
            await resolve(vault.take(second))


@pytest.mark.parametrize("freeze", [freeze_with_freezegun, freeze_with_time_machine])
@WORLDS
async def test_deadlines_are_kept_in_real_time(
    auth0_tenant: Tenant, freeze: Any, is_async: bool
) -> None:
    """A call ends in time although the clock stands still, within a freeze and after it."""
    client = make_client(auth0_tenant, MemoryStore(), is_async=is_async, timeout=0.5)
    assert await exchange(client, auth0_tenant)
    auth0_tenant.inject(faults.latency(5.0), times=None)
    started = time.clock_gettime(time.CLOCK_MONOTONIC)

    with freeze(read_now() + WEEKS), pytest.raises(Exception, match="timed out"):
        await exchange(client, auth0_tenant)
    with pytest.raises(Exception, match="timed out"):
        await exchange(client, auth0_tenant)
    await close(client)

    assert time.clock_gettime(time.CLOCK_MONOTONIC) - started < 4


async def test_deadline_after_a_freeze_of_the_loop(auth0_tenant: Tenant) -> None:
    """A timer that was set on a loop whose time stood still does not hold up the next."""
    client = make_client(auth0_tenant, MemoryStore(), is_async=True, timeout=0.5)
    with freeze_all_with_freezegun(read_now() + WEEKS):
        assert await exchange(client, auth0_tenant)
    await asyncio.sleep(0.6)
    auth0_tenant.inject(faults.latency(5.0), times=None)

    async with asyncio.timeout(4):
        with pytest.raises(Exception, match="timed out"):
            await exchange(client, auth0_tenant)
    await close(client)


@FREEZERS
def test_tenant_that_starts_within_a_freeze(
    auth0_tenant_keys: KeySupply, freeze: Any
) -> None:
    """Its certificate is valid by the system's time, which is the only one OpenSSL knows."""
    with (
        freeze(datetime(2025, 1, 14, tzinfo=UTC)),
        Tenant(keys=auth0_tenant_keys, certificates=Certificates()) as tenant,
    ):
        client = make_client(tenant, MemoryStore(), is_async=False)
        assert asyncio.run(exchange(client, tenant))
        client.close()


def test_import_within_a_freeze() -> None:
    """The package may be imported first while time is frozen: it works then, and afterwards."""
    program = """
import freezegun
with freezegun.freeze_time("2031-01-14"):
    from auth0_tx import CustomTokenExchangeOptions, ServerClient
    from auth0_tx.tenant import Tenant
    tenant = Tenant().start()
    client = ServerClient(domain=tenant.domain, client_id=tenant.client_id,
        client_secret=tenant.client_secret, verify=tenant.ca_file)
    def exchange():
        client.custom_token_exchange(CustomTokenExchangeOptions(
            subject_token=tenant.subject_token("auth0|alice"),
            subject_token_type="urn:acme:legacy-token"))
    exchange()
exchange()
client.close()
tenant.close()
"""

    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
