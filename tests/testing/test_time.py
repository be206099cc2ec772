"""Logged-in test clients while a test moves time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import freezegun
import pytest
import time_machine

from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant
from auth0_tx.testing import MovableClock
from tests.testing.sites import API, NOWHERE, SITES

Mover = Callable[[float], object]


@contextmanager
def use_freezegun(_: MovableClock) -> Iterator[Mover]:
    """Freeze time with freezegun."""
    now = datetime.now(UTC)
    with freezegun.freeze_time(now, real_asyncio=True) as frozen:
        yield lambda seconds: frozen.tick(timedelta(seconds=seconds))


@contextmanager
def use_time_machine(_: MovableClock) -> Iterator[Mover]:
    """Freeze time with time-machine."""
    with time_machine.travel(datetime.now(UTC), tick=False) as traveller:
        yield traveller.shift


@contextmanager
def use_clock(clock: MovableClock) -> Iterator[Mover]:
    """Move the clock of the fixture."""
    yield clock.move


@pytest.mark.parametrize("host", SITES)
@pytest.mark.parametrize("use", [use_freezegun, use_time_machine, use_clock])
@pytest.mark.parametrize("store", [None, MemoryStore()], ids=["cookies", "memory"])
def test_session_ends(
    open_site: Any,
    host: str,
    use: Any,
    store: Any,
    auth0_clock: MovableClock,
) -> None:
    """A login lasts as long as the client's policy says, by the time that a test moves."""
    settings = {**NOWHERE, "clock": auth0_clock} if use is use_clock else NOWHERE
    site = open_site(host, settings, store)
    with use(auth0_clock) as move:
        site.log_in("auth0|alice")
        users = []
        for _ in range(2):
            user = site.get("/user")["user"]
            users.append(user and user["sub"])
            move(90_000)

    assert ["auth0|alice", None] == users


@pytest.mark.parametrize("host", SITES)
def test_token_is_renewed(
    open_site: Any,
    host: str,
    auth0_tenant: Tenant,
    auth0_client_settings: dict[str, Any],
    auth0_clock: MovableClock,
) -> None:
    """After a real login, a token that expires as time is moved is renewed at the tenant."""
    auth0_tenant.apis.change(API, token_lifetime=3_600)
    site = open_site(host, auth0_client_settings, MemoryStore())
    site.log_in("auth0|alice", access_tokens={API: "read:data"}, tenant=auth0_tenant)
    tokens = set()
    for _ in range(2):
        tokens.add(site.get(f"/user?audience={API}")["token"])
        auth0_clock.move(3_600)

    assert 2 == len(tokens)
    assert 2 == auth0_tenant.count("/oauth/token")
