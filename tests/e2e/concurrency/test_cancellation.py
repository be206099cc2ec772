"""A call that is cancelled, wherever it is, leaves nothing behind."""

from __future__ import annotations

import asyncio
import time
from typing import get_args

import pytest

from auth0_tx import AsyncServerClient, NotSentError
from tests.e2e.concurrency.suspensions import CancelAt, Moment
from tests.e2e.concurrency.volume import (
    KEYS,
    METADATA,
    TOKEN,
    VolumeIssuer,
    in_tasks,
    options,
)

MOMENTS = get_args(Moment)


async def is_idle(client: AsyncServerClient, places: int) -> bool:
    """Return whether no connection, place, flight or task is held by anyone."""
    state = client._transport._find_state()
    connector = state.session.connector
    assert connector is not None
    if (
        connector._acquired
        or (places, 2 * places) != (state.gate.free, state.calls.free)
        or any(not turn.done() for turn in state.gate._line._turns)
        or any(not turn.done() for turn in state.calls._line._turns)
        or state.flights._flights
    ):
        return False
    others = asyncio.all_tasks() - {asyncio.current_task()}
    # A name that is being looked up, in a thread, is let be until it is found.
    return not others or not (await asyncio.wait(others, timeout=5))[1]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_cancel_a_first_call(issuer: VolumeIssuer, moment: Moment) -> None:
    """Discovery, connecting, the exchange and the keys can each be cancelled anywhere."""
    number, came = 0, True
    while came:
        number += 1
        async with AsyncServerClient(**issuer.settings(max_connections=2)) as client:
            cancel = CancelAt(number, moment)
            await cancel.run(client.custom_token_exchange(options("first", "actor")))
            came = cancel.came

            assert await is_idle(client, 2), number
            answer = await client.custom_token_exchange(options("next", "actor"))
            assert {"sub": "actor"} == answer.act, number

    # Two shared fetches and a grant: fewer waits would mean that not all were tried.
    assert number > 6


@pytest.mark.parametrize("moment", MOMENTS)
async def test_cancel_a_later_call(issuer: VolumeIssuer, moment: Moment) -> None:
    """So can a call on a connection that is kept, which is then not used again."""
    async with AsyncServerClient(**issuer.settings(max_connections=2)) as client:
        number, came = 0, True
        while came:
            await client.custom_token_exchange(options("before"))
            number += 1
            cancel = CancelAt(number, moment)
            await cancel.run(client.custom_token_exchange(options("cancelled")))
            came = cancel.came

            assert await is_idle(client, 2), number
            answer = await client.custom_token_exchange(options("next"))
            assert "for.next" == answer.access_token, number

    assert number > 1


@pytest.mark.parametrize("moment", MOMENTS)
async def test_cancel_in_the_queue(issuer: VolumeIssuer, moment: Moment) -> None:
    """A call that waits for its turn gives it up, and those before and after it go on."""
    async with AsyncServerClient(**issuer.settings(max_connections=1)) as client:
        await client.custom_token_exchange(options("before"))
        number, came = 0, True
        while came:
            number += 1
            cancel = CancelAt(number, moment)
            first = asyncio.create_task(client.custom_token_exchange(options("first")))
            await asyncio.sleep(0)
            cancelled = asyncio.create_task(
                cancel.run(client.custom_token_exchange(options("cancelled")))
            )
            # Until the one in question stands in the queue, and one more behind it.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            last = asyncio.create_task(client.custom_token_exchange(options("last")))
            answers = [(await first).access_token, (await last).access_token]
            await cancelled
            came = cancel.came

            assert ["for.first", "for.last"] == answers, number
            assert await is_idle(client, 1), number

    assert number > 2


async def test_cancel_who_asked_first(issuer: VolumeIssuer) -> None:
    """Those who wait for a discovery get it though who caused it is cancelled."""
    issuer.tell(delay={METADATA: 0.8})
    async with AsyncServerClient(**issuer.settings()) as client:
        calls = [
            asyncio.create_task(client.custom_token_exchange(options(f"{number}")))
            for number in range(10)
        ]
        await asyncio.sleep(0.1)
        calls[0].cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert [f"for.{number}" for number in range(1, 10)] == [
        getattr(outcome, "access_token", outcome) for outcome in outcomes[1:]
    ]
    assert 1 == issuer.record().count(METADATA)


async def test_cancel_all_who_asked(issuer: VolumeIssuer) -> None:
    """A discovery that nobody waits for any more ends with the last of them."""
    issuer.tell(delay={METADATA: 0.8})
    async with AsyncServerClient(**issuer.settings()) as client:
        calls = [
            asyncio.create_task(client.custom_token_exchange(options(f"{number}")))
            for number in range(10)
        ]
        await asyncio.sleep(0.1)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        left = await is_idle(client, 100)
        issuer.tell(delay={})
        answer = await client.custom_token_exchange(options("next"))

    assert left
    assert "for.next" == answer.access_token
    assert 2 == issuer.record().count(METADATA)


@pytest.mark.parametrize("path", [METADATA, TOKEN, KEYS])
async def test_a_shorter_wait(issuer: VolumeIssuer, path: str) -> None:
    """asyncio.wait_for ends a call when it says, long before the call's own deadline."""
    issuer.tell(delay={path: 20.0})
    async with AsyncServerClient(**issuer.settings()) as client:

        async def wait(number: int) -> float:
            started = time.monotonic()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(
                    client.custom_token_exchange(options(f"{number}", "actor")), 0.3
                )
            return time.monotonic() - started

        times = await in_tasks(10, wait)
        left = await is_idle(client, 100)

    assert left
    assert max(times) < 5


async def test_own_deadline_of_each_who_waits(issuer: VolumeIssuer) -> None:
    """Who comes to a discovery under way waits no longer than its own deadline."""
    issuer.tell(delay={METADATA: 2.5})
    async with AsyncServerClient(**issuer.settings()) as patient:
        patient_call = asyncio.create_task(
            patient.custom_token_exchange(options("patient"))
        )
        await asyncio.sleep(0.1)
        # The clock of the calls is the client's, so the hasty one shares all but that.
        hasty = AsyncServerClient(**issuer.settings(timeout=0.5))
        hasty._world.send = patient._world.send
        hasty._world.share = patient._world.share
        started = time.monotonic()
        with pytest.raises(NotSentError) as caught:
            await hasty.custom_token_exchange(options("hasty"))
        waited = time.monotonic() - started
        answer = await patient_call

    assert "timeout" == caught.value.code
    assert caught.value.retry_safe
    assert waited < 2
    assert "for.patient" == answer.access_token
    assert 1 == issuer.record().count(METADATA)
