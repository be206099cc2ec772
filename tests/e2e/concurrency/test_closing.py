"""Closing a client: at once, twice, while it is in use, and what comes after."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time

import aiohttp
import pytest
import requests

from auth0_tx import (
    AsyncServerClient,
    ClientClosedError,
    CustomTokenExchangeError,
    ServerClient,
)
from auth0_tx.events import MetadataFetched
from tests.e2e.concurrency.volume import (
    DISCOVERY,
    TOKEN,
    VolumeIssuer,
    in_tasks,
    in_threads,
    options,
)


def outcome_of_use(client: ServerClient, subject: str) -> str:
    """Exchange until it fails; give the kind of failure."""
    for number in range(10_000):
        try:
            client.custom_token_exchange(options(f"{subject}-{number}"))
        except CustomTokenExchangeError as error:
            return type(error).__name__
    return "never closed"


async def async_outcome_of_use(client: AsyncServerClient, subject: str) -> str:
    """Do the same in a task."""
    for number in range(10_000):
        try:
            await client.custom_token_exchange(options(f"{subject}-{number}"))
        except CustomTokenExchangeError as error:
            return type(error).__name__
    return "never closed"


def wait_until_all_closed(issuer: VolumeIssuer) -> bool:
    """Return whether every connection to the issuer ends within some seconds."""
    give_up = time.monotonic() + 5
    while issuer.record().open:
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True


def test_close_during_use(issuer: VolumeIssuer) -> None:
    """Threads in the middle of exchanges end with an answer or a typed error."""
    client = ServerClient(**issuer.settings(max_connections=4))
    closer = threading.Timer(0.3, client.close)
    closer.start()
    outcomes = in_threads(16, lambda thread: outcome_of_use(client, f"{thread}"))
    closer.join()

    assert {"ClientClosedError"} == set(outcomes)
    assert wait_until_all_closed(issuer)


async def test_close_during_use_by_tasks(issuer: VolumeIssuer) -> None:
    """Tasks in the middle of exchanges end with an answer or a typed error."""
    client = AsyncServerClient(**issuer.settings(max_connections=4))

    async def work(task: int) -> str:
        if task == 0:
            await asyncio.sleep(0.3)
            await client.aclose()
            return "ClientClosedError"
        return await async_outcome_of_use(client, f"{task}")

    outcomes = await in_tasks(16, work)

    # The close ends requests that are on the wire: their grants may have been taken.
    assert {"ClientClosedError", "AmbiguousError"} >= set(outcomes)
    assert wait_until_all_closed(issuer)


def test_close_while_a_thread_waits_for_its_answer(issuer: VolumeIssuer) -> None:
    """An answer on its way still comes when the client is closed under it."""
    client = ServerClient(**issuer.settings())
    client.custom_token_exchange(options("first"))
    issuer.tell(delay={TOKEN: 0.5})

    def close_when_it_is_on_its_way() -> None:
        while issuer.record().count(TOKEN) < 2:
            time.sleep(0.01)
        client.close()

    closer = threading.Thread(target=close_when_it_is_on_its_way)
    closer.start()
    answer = client.custom_token_exchange(options("second"))
    closer.join()

    assert "for.second" == answer.access_token
    assert wait_until_all_closed(issuer)


def test_use_after_close(issuer: VolumeIssuer) -> None:
    """A closed client may be closed again, and says so when used; nothing is sent."""
    with ServerClient(**issuer.settings()) as client:
        client.custom_token_exchange(options("before"))
    client.close()
    client.close()

    with pytest.raises(ClientClosedError, match="closed") as caught:
        client.custom_token_exchange(options("after"))
    with pytest.raises(ClientClosedError), client:
        pass
    assert "client_closed" == caught.value.code
    assert 1 == issuer.record().count(TOKEN)
    assert wait_until_all_closed(issuer)


async def test_use_after_aclose(issuer: VolumeIssuer) -> None:
    """The asyncio client does the same."""
    async with AsyncServerClient(**issuer.settings()) as client:
        await client.custom_token_exchange(options("before"))
    await client.aclose()
    await client.aclose()

    with pytest.raises(ClientClosedError, match="closed"):
        await client.custom_token_exchange(options("after"))
    with pytest.raises(ClientClosedError):
        async with client:
            pass
    assert 1 == issuer.record().count(TOKEN)
    assert wait_until_all_closed(issuer)


async def test_aclose_within_a_call(issuer: VolumeIssuer) -> None:
    """A call that finds its client closed before its first request opens nothing."""

    async def resolve(store_options: object) -> str:
        await client.aclose()
        return "tenant.example.com"

    client = AsyncServerClient(**issuer.settings(domain=resolve))

    with pytest.raises(ClientClosedError, match="closed"):
        await client.custom_token_exchange(options("late"))
    assert {} == client._transport._states


async def test_aclose_during_a_refresh(issuer: VolumeIssuer) -> None:
    """A refresh of metadata that nobody waits for ends with its client."""
    age = 0.0
    settings = issuer.settings(clock=lambda: time.time() + age)
    async with AsyncServerClient(**settings) as client:
        await client.custom_token_exchange(options("before"))
        age = 4_000.0
        issuer.tell(delay={DISCOVERY: 5.0})
        began = time.monotonic()
        await client.custom_token_exchange(options("after"))
        (task,) = next(iter(client._transport._states.values())).tasks
        await asyncio.sleep(0.1)
    took = time.monotonic() - began

    assert task.cancelled()
    assert 2.0 > took
    assert wait_until_all_closed(issuer)


async def test_aclose_by_a_subscriber(issuer: VolumeIssuer) -> None:
    """A refresh whose subscriber has the client closed does not wait for itself."""
    age, closings = 0.0, []

    def close_after_refresh(event: object) -> None:
        if isinstance(event, MetadataFetched) and age:
            closings.append(asyncio.ensure_future(client.aclose()))

    client = AsyncServerClient(
        **issuer.settings(clock=lambda: time.time() + age, on_event=close_after_refresh)
    )
    await client.custom_token_exchange(options("before"))
    age = 4_000.0
    await client.custom_token_exchange(options("after"))
    while not closings:
        await asyncio.sleep(0.01)
    await closings[0]

    assert wait_until_all_closed(issuer)


def test_close_before_use(issuer: VolumeIssuer) -> None:
    """A client that never sent anything has nothing to close."""
    ServerClient(**issuer.settings()).close()

    assert 0 == issuer.record().accepted


async def test_aclose_before_use(issuer: VolumeIssuer) -> None:
    """Nor has an asyncio client."""
    await AsyncServerClient(**issuer.settings()).aclose()

    assert 0 == issuer.record().accepted


async def test_aclose_by_many_at_once(issuer: VolumeIssuer) -> None:
    """Tasks that close a client together all return, and it is closed."""
    client = AsyncServerClient(**issuer.settings())
    await in_tasks(8, lambda task: client.custom_token_exchange(options(f"{task}")))
    await in_tasks(8, lambda _: client.aclose())

    assert wait_until_all_closed(issuer)


def test_close_by_many_at_once(issuer: VolumeIssuer) -> None:
    """So do threads."""
    client = ServerClient(**issuer.settings())
    in_threads(8, lambda thread: client.custom_token_exchange(options(f"{thread}")))
    in_threads(8, lambda _: client.close())

    assert wait_until_all_closed(issuer)


async def test_aclose_cancelled_halfway(issuer: VolumeIssuer) -> None:
    """A close that is cancelled may be finished by another."""
    client = AsyncServerClient(**issuer.settings())
    await in_tasks(8, lambda task: client.custom_token_exchange(options(f"{task}")))
    closing = asyncio.create_task(client.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    await client.aclose()

    assert wait_until_all_closed(issuer)


def test_close_leaves_the_applications_session_open(issuer: VolumeIssuer) -> None:
    """A requests.Session of the application's outlives the client that used it."""
    with requests.Session() as session:
        session.verify, session.trust_env = issuer.ca_file, False
        with ServerClient(**issuer.settings(verify=True), session=session) as client:
            client.custom_token_exchange(options("before"))
        status = session.get(f"https://{issuer.domain}/").status_code
        accepted = issuer.record().accepted

    assert 200 == status
    assert 1 == accepted


async def test_aclose_leaves_the_applications_session_open(
    issuer: VolumeIssuer,
) -> None:
    """So does an aiohttp.ClientSession, with its connections."""
    context = ssl.create_default_context(cafile=issuer.ca_file)
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:
        client = AsyncServerClient(**issuer.settings(verify=True), session=session)
        await client.custom_token_exchange(options("before"))
        await client.aclose()
        async with session.get(f"https://{issuer.domain}/") as answer:
            status = answer.status
        accepted = issuer.record().accepted

    assert 200 == status
    assert 1 == accepted
