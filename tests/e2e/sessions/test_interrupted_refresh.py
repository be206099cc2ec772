"""A refresh whose callers are gone: the tokens that it brings reach the next caller."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, get_args

import pytest

from auth0_tx import AsyncServerClient, MfaRequiredError, ServerClient, StoreError
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant, faults
from auth0_tx.tenant.connection import Pause
from tests.e2e.concurrency.suspensions import CancelAt, Moment
from tests.e2e.sessions.logins import (
    AUDIENCE,
    Browser,
    count_refreshes,
    log_in,
    log_in_async,
    log_in_often,
    make_settings,
)
from tests.stores.own_stores import OwnAsyncStore

# With a session in a store, and with one in the browser's cookies.
keepers = pytest.mark.parametrize("make_store", [MemoryStore, lambda: None])
# Also in a store that is awaited, where a task may be cancelled at each command.
async_keepers = pytest.mark.parametrize(
    "make_store", [MemoryStore, lambda: None, OwnAsyncStore]
)
MFA = {
    "error": "mfa_required",
    "error_description": "Multifactor authentication required",
    "mfa_token": "Fe26.2*of-the-second-factor",
    "mfa_requirements": {"challenge": [{"type": "otp"}]},
}


def list_refused_refreshes(tenant: Tenant) -> list[Any]:
    """Return the tenant's notes of refreshes that it refused."""
    return [log for log in tenant.logs if log.type in ("fertft", "ferrt")]


async def abandon_refresh(
    client: AsyncServerClient, tenant: Tenant, browser: Browser
) -> None:
    """Cancel a refresh whose request has left."""
    call = asyncio.create_task(client.get_access_token(browser.request(), AUDIENCE))
    while count_refreshes(tenant) == 0:
        await asyncio.sleep(0.001)
    call.cancel()
    await asyncio.wait({call})
    assert call.cancelled()


@async_keepers
@pytest.mark.parametrize("pause", [0.0, 0.5])
async def test_next_caller(
    auth0_tenant: Tenant, make_store: Callable[[], Any], pause: float
) -> None:
    """It gets the result of the refresh, under way or over, and nothing is sent again."""
    auth0_tenant.inject(faults.latency(0.3), path="/oauth/token", times=2)
    settings = make_settings(auth0_tenant, state_store=make_store())
    async with AsyncServerClient(**settings) as client:
        browser = await log_in_async(client, auth0_tenant)
        await abandon_refresh(client, auth0_tenant, browser)
        await asyncio.sleep(pause)
        options = browser.request()
        token = await client.get_access_token(options, AUDIENCE)
        browser.take(options)
        session = await client.get_session(browser.request())

    assert 1 == count_refreshes(auth0_tenant)
    assert session is not None
    assert [token] == [held["access_token"] for held in session["token_sets"]]
    # What is kept is the newest refresh token: the tenant takes it.
    async with AsyncServerClient(
        **make_settings(auth0_tenant, state_store=settings["state_store"])
    ) as client:
        await client.get_access_token(browser.request(), AUDIENCE, "read:data")
    assert [] == list_refused_refreshes(auth0_tenant)


@async_keepers
@pytest.mark.parametrize("moment", get_args(Moment))
async def test_cancelled_anywhere(
    auth0_tenant: Tenant, make_store: Callable[[], Any], moment: Moment
) -> None:
    """Wherever its caller is cancelled, a refresh is sent once and reaches the next caller."""
    settings = make_settings(auth0_tenant, state_store=make_store())
    async with AsyncServerClient(**settings) as client:
        number, came, browsers = 0, True, list[Browser]()
        while came:
            number += 1
            browsers = browsers or await log_in_often(client, auth0_tenant, 10)
            browser = browsers.pop()
            before = count_refreshes(auth0_tenant)
            # Each time over connections of its own, so that connecting is cancelled, too.
            auth0_tenant.drop_connections()
            cancel = CancelAt(number, moment)
            await cancel.run(client.get_access_token(browser.request(), AUDIENCE))
            came = cancel.came
            options = browser.request()
            await client.get_access_token(options, AUDIENCE)
            browser.take(options)

            assert before + 1 == count_refreshes(auth0_tenant), number
            await client.get_access_token(browser.request(), AUDIENCE, "read:data")
            assert [] == list_refused_refreshes(auth0_tenant), number

    # The flight, a connection, the answer: fewer would mean that not all were tried.
    assert number > 2


class Signal(Exception):
    """What a signal handler raises."""


class Interrupter:
    """Raises an interrupt at the *number*-th effect that leaves the client, before or after it.

    Attributes:
        at: the name of that effect; empty if it has not come.
    """

    def __init__(self) -> None:
        self._left = 0
        self._interrupt: BaseException | None = None
        self._is_after = False
        self.at = ""

    def arm(self, number: int, interrupt: BaseException, is_after: bool) -> None:
        """Raise it from now on."""
        self._left, self._interrupt, self._is_after = number, interrupt, is_after
        self.at = ""

    def disarm(self) -> None:
        """Raise nothing any more."""
        self._interrupt = None

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Count the calls of *function*."""

        def call(*arguments: Any, **keywords: Any) -> Any:
            self._left -= 1
            if self._left or self._interrupt is None:
                return function(*arguments, **keywords)
            self.at = name
            if self._is_after:
                function(*arguments, **keywords)
            raise self._interrupt

        return call


@keepers
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, Signal])
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_interrupted_anywhere(
    auth0_tenant: Tenant,
    make_store: Callable[[], Any],
    interrupt: type[BaseException],
    is_after: bool,
) -> None:
    """Wherever a thread is interrupted, no lock is left and the next caller gets a token."""
    interrupter, store = Interrupter(), make_store()
    if store is not None:
        # The store is called through the client's settings, so it is itself replaced.
        for name in ("get", "set", "delete"):
            setattr(store, name, interrupter.wrap(name, getattr(store, name)))
    with ServerClient(**make_settings(auth0_tenant, state_store=store)) as client:
        client._world.send = interrupter.wrap("send", client._world.send)
        number, names = 0, set()
        while True:
            number += 1
            browser = log_in(client, auth0_tenant)
            options = browser.request()
            interrupter.arm(number, interrupt(), is_after)
            with suppress(interrupt, StoreError):
                client.get_access_token(options, AUDIENCE)
            interrupter.disarm()
            names.add(interrupter.at)
            # A thread cannot take an answer that came when it was gone: it is asked for again,
            # which Auth0 allows within its overlap period.
            was_sent = is_after and interrupter.at == "send"
            auth0_tenant.applications.change(
                auth0_tenant.client_id, refresh_token_leeway=60.0 if was_sent else 0.0
            )
            browser.take(options)
            options, started = browser.request(), time.monotonic()
            client.get_access_token(options, AUDIENCE)
            browser.take(options)
            assert time.monotonic() - started < 2, number
            client.get_access_token(browser.request(), AUDIENCE, "read:data")
            assert [] == list_refused_refreshes(auth0_tenant), number
            if not interrupter.at:
                break

    assert names == {"", "send"} | (set() if store is None else {"get", "set"})


async def test_closing_the_client(auth0_tenant: Tenant) -> None:
    """A client that is closed meanwhile still stores what the refresh brings."""
    auth0_tenant.inject(faults.latency(0.3), path="/oauth/token", times=2)
    store = MemoryStore()
    async with AsyncServerClient(
        **make_settings(auth0_tenant, state_store=store)
    ) as client:
        browser = await log_in_async(client, auth0_tenant)
        await abandon_refresh(client, auth0_tenant, browser)
    async with AsyncServerClient(
        **make_settings(auth0_tenant, state_store=store)
    ) as client:
        await client.get_access_token(browser.request(), AUDIENCE)

    assert 1 == count_refreshes(auth0_tenant)


def test_end_of_the_event_loop(auth0_tenant: Tenant) -> None:
    """A loop that ends during a refresh ends it at once, and nothing hangs."""
    store = MemoryStore()

    async def main() -> Browser:
        client = AsyncServerClient(**make_settings(auth0_tenant, state_store=store))
        browser = await log_in_async(client, auth0_tenant)
        auth0_tenant.inject(faults.latency(3), path="/oauth/token", times=1)
        await abandon_refresh(client, auth0_tenant, browser)
        return browser

    started = time.monotonic()
    browser = asyncio.run(main())

    assert time.monotonic() - started < 2.5
    with ServerClient(**make_settings(auth0_tenant, state_store=store)) as client:
        assert client.get_user(browser.request()) is not None


@pytest.mark.parametrize("callers", [1, 8])
async def test_second_factor_for_tasks(auth0_tenant: Tenant, callers: int) -> None:
    """Every caller of a refresh gets the token for the MFA API."""
    ahead = 0.0
    settings = make_settings(
        auth0_tenant, state_store=MemoryStore(), clock=lambda: time.time() + ahead
    )
    async with AsyncServerClient(**settings) as client:
        browser = await log_in_async(client, auth0_tenant)
        # The old token has expired, and cannot be returned in place of an error.
        ahead = 60.0
        auth0_tenant.inject(_refuse_slowly(), path="/oauth/token", times=callers)
        outcomes = await asyncio.gather(
            *(
                client.get_access_token(browser.request(), AUDIENCE)
                for _ in range(callers)
            ),
            return_exceptions=True,
        )

    assert [(MFA["mfa_token"], MFA["mfa_requirements"])] * callers == [
        _read_mfa(outcome) for outcome in outcomes
    ]


@pytest.mark.parametrize("callers", [1, 8])
def test_second_factor_for_threads(auth0_tenant: Tenant, callers: int) -> None:
    """So does every thread."""
    ahead = 0.0
    settings = make_settings(
        auth0_tenant, state_store=MemoryStore(), clock=lambda: time.time() + ahead
    )
    with ServerClient(**settings) as client:
        browser = log_in(client, auth0_tenant)
        # The old token has expired, and cannot be returned in place of an error.
        ahead = 60.0
        auth0_tenant.inject(_refuse_slowly(), path="/oauth/token", times=callers)

        def ask(_: int) -> object:
            try:
                return client.get_access_token(browser.request(), AUDIENCE)
            except MfaRequiredError as error:
                return error

        with ThreadPoolExecutor(callers) as threads:
            outcomes = list(threads.map(ask, range(callers)))

    assert [(MFA["mfa_token"], MFA["mfa_requirements"])] * callers == [
        _read_mfa(outcome) for outcome in outcomes
    ]


def _refuse_slowly() -> faults.Fault:
    """Return a fault that asks for a second factor, late enough for all to wait."""
    refuse = faults.status(403, MFA).deliver
    assert refuse is not None

    def deliver(exchange: Any) -> Any:
        yield Pause(0.2)
        yield from refuse(exchange)

    return faults.Fault("a second factor, slowly", deliver)


def _read_mfa(outcome: object) -> tuple[object, object]:
    assert isinstance(outcome, MfaRequiredError)
    return outcome.mfa_token, outcome.mfa_requirements
