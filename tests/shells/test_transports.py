"""The transports: what happens to a request before any of it leaves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from auth0_tx import ClientClosedError, ConfigurationError, NotSentError
from auth0_tx.core.effects import Request, Send
from auth0_tx.shells.aiohttp_transport import AiohttpTransport
from auth0_tx.shells.deadline_adapter import _DeadlineReader, _FinalResponse
from auth0_tx.shells.requests_transport import RequestsTransport
from auth0_tx.shells.thread_gate import Visit
from auth0_tx.shells.tls import Trust


@attrs.define
class Prepared:
    """Counts how often a request was built, which may take its time."""

    seconds: float = 0.0
    count: int = 0

    def __call__(self) -> Request:
        """Build it."""
        self.count += 1
        time.sleep(self.seconds)
        # Where nobody listens: whatever left would fail otherwise than by time.
        return Request("GET", "https://127.0.0.1:1/", {})


def sending(prepared: Prepared, seconds: float) -> Send:
    """Wish to send it within so many seconds."""
    return Send(prepared, time.monotonic() + seconds, 100)


def in_threads(prepared: Prepared, seconds: float, *, full: bool = False) -> None:
    """Send by ``requests``, with every place taken if *full*."""
    transport = RequestsTransport(None, Trust(True, False), None, False, 1)
    if full:
        visit = Visit(time.monotonic() + 1)
        assert transport._gate.enter(visit)
    transport.send(sending(prepared, seconds))


def in_tasks(prepared: Prepared, seconds: float, *, full: bool = False) -> None:
    """Send by ``aiohttp``, with every place taken if *full*."""

    async def send() -> None:
        transport = AiohttpTransport(None, Trust(True, False), None, False, 1)
        if full:
            transport._find_state().gate.free -= 1
        await transport.send(sending(prepared, seconds))

    asyncio.run(send())


worlds = pytest.mark.parametrize("send", [in_threads, in_tasks])


@worlds
def test_no_place_in_time(send: Callable[..., Any]) -> None:
    """A request that gets no connection in time is never built, and may be made again."""
    prepared = Prepared()
    with pytest.raises(NotSentError) as caught:
        send(prepared, 0.05, full=True)

    assert ("timeout", True) == (caught.value.code, caught.value.retry_safe)
    assert 0 == prepared.count


@worlds
def test_time_that_building_took(send: Callable[..., Any]) -> None:
    """A request whose time is up when it is built does not leave."""
    prepared = Prepared(seconds=0.1)
    with pytest.raises(NotSentError) as caught:
        send(prepared, 0.05)

    assert ("timeout", True) == (caught.value.code, caught.value.retry_safe)
    assert 1 == prepared.count


def test_closed_in_the_queue_of_threads() -> None:
    """A request whose turn comes when the transport is closed is never built."""
    transport = RequestsTransport(None, Trust(True, False), None, False, 1)
    visit = Visit(time.monotonic() + 1)
    transport._gate.enter(visit)
    prepared, outcomes = Prepared(), list[object]()

    def send() -> None:
        try:
            transport.send(sending(prepared, 60))
        except ClientClosedError as error:
            outcomes.append(error.code)

    thread = threading.Thread(target=send)
    thread.start()
    while not transport._gate._line:
        time.sleep(0.001)
    transport.close()
    transport._gate.leave(visit)
    thread.join()

    assert ["client_closed"] == outcomes
    assert 0 == prepared.count


async def test_closed_in_the_queue_of_tasks() -> None:
    """The same among tasks."""
    transport = AiohttpTransport(None, Trust(True, False), None, False, 1)
    state, prepared = transport._find_state(), Prepared()
    state.gate.free -= 1
    task = asyncio.create_task(transport.send(sending(prepared, 60)))
    await asyncio.sleep(0)
    await transport.close()
    state.gate.leave()

    with pytest.raises(ClientClosedError):
        await task
    assert 0 == prepared.count


async def test_what_a_child_inherits_is_let_be() -> None:
    """In a child what is on a loop of the parent's is given up, so that nothing closes it."""
    transport = AiohttpTransport(None, Trust(True, False), None, False, 1)
    session = transport._find_state().session
    connector = session.connector
    assert connector is not None
    transport.renew()

    with pytest.raises(ConfigurationError, match="loop was inherited through a fork"):
        transport._find_state()
    assert {} == transport._states
    assert (True, True) == (session.closed, connector.closed)


@pytest.mark.parametrize("kind", [_DeadlineReader, _FinalResponse])
def test_parts_that_were_cut_short_are_closed(kind: type[Any]) -> None:
    """A reader or a response whose making was interrupted is closed without a word."""
    part = kind.__new__(kind)

    part.close()

    assert part.closed
