"""The asyncio shell: a request whole out, a reply whole in, a failure in our words."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from inspect import CORO_CLOSED, getcoroutinestate
from typing import Any

import aiohttp
import attrs
import pytest
from aioresponses import CallbackResult, aioresponses

from auth0_tx import (
    AsyncServerClient,
    ClientClosedError,
    ConfigurationError,
    NotSentError,
    RetryPolicy,
)
from auth0_tx.core.effects import Flow, Invoke, Postpone, Sleep
from auth0_tx.shells.aiohttp_shell import hold_open
from auth0_tx.shells.drivers import run_async
from tests.shells.exchange_on_paper import (
    COMMON_HEADERS,
    EXPECTED,
    FORM,
    FORM_HEADERS,
    METADATA,
    METADATA_URL,
    OPTIONS,
    SETTINGS,
    TOKEN_URL,
    TOKENS,
)


@pytest.fixture
def replies(aiohttp_replies: aioresponses) -> aioresponses:
    """A tenant that publishes its metadata."""
    aiohttp_replies.get(METADATA_URL, payload=METADATA)
    return aiohttp_replies


async def test_request_and_reply(replies: aioresponses) -> None:
    """What leaves is the grant and its headers, nothing else; what comes back is the tokens."""
    sent: list[tuple[str, Any]] = []

    def answer(url: object, **request: Any) -> CallbackResult:
        sent.append((str(url), request))
        return CallbackResult(body=TOKENS)

    replies.post(TOKEN_URL, callback=answer)
    async with AsyncServerClient(**SETTINGS) as client:
        response = await client.custom_token_exchange(OPTIONS)

    ((url, request),) = sent
    ((method, _),) = [key for key in replies.requests if str(key[1]) == METADATA_URL]
    (discovery,) = replies.requests[(method, _)]
    assert "GET" == method
    assert COMMON_HEADERS == discovery.kwargs["headers"]
    assert discovery.kwargs["data"] is None
    assert (TOKEN_URL, FORM) == (url, request["data"]._value)
    assert FORM_HEADERS == request["headers"]
    assert request["allow_redirects"] is False
    assert EXPECTED.items() <= attrs.asdict(response).items()


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (aiohttp.ClientConnectionError("c"), "connection_failed"),
        (aiohttp.ConnectionTimeoutError("t"), "timeout"),
        (OSError("o"), "connection_failed"),
    ],
)
async def test_failure(replies: aioresponses, failure: Exception, code: str) -> None:
    """A failure of the library's is told in our words, and holds nothing of the library's."""
    replies.post(TOKEN_URL, exception=failure)
    async with AsyncServerClient(**SETTINGS, retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(NotSentError) as caught:
            await client.custom_token_exchange(OPTIONS)

    assert code == caught.value.code
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


async def test_the_applications_session(replies: aioresponses) -> None:
    """The application's connections are used, and left open with its session."""
    replies.post(TOKEN_URL, body=TOKENS)
    async with aiohttp.ClientSession() as session:
        async with AsyncServerClient(**SETTINGS, session=session) as client:
            await client.custom_token_exchange(OPTIONS)
            used = client._transport._find_state().session.connector
        left_open = not session.closed
        connector = session.connector
        assert connector is not None

        assert connector is vars(used)["given"]
        assert left_open
        assert not connector.closed


async def test_its_own_session(replies: aioresponses) -> None:
    """A session that the client made is closed with it."""
    replies.post(TOKEN_URL, body=TOKENS)
    async with AsyncServerClient(**SETTINGS) as client:
        await client.custom_token_exchange(OPTIONS)
        made = client._transport._find_state().session
        before = made.closed

    assert (False, True) == (before, made.closed)


async def exchange_once(replies: aioresponses, client: AsyncServerClient) -> Any:
    """Exchange a token; return the session that it used."""
    replies.get(METADATA_URL, payload=METADATA)
    replies.post(TOKEN_URL, body=TOKENS)
    await client.custom_token_exchange(OPTIONS)
    return client._transport._find_state().session


async def test_held_open(replies: aioresponses) -> None:
    """The last of several applications to end closes the connections, and not the client."""
    client = AsyncServerClient(**SETTINGS)
    async with hold_open(client):
        async with hold_open(client):
            first = await exchange_once(replies, client)
        open_in_between = not first.closed
    closed_at_end = first.closed
    async with hold_open(client):
        second = await exchange_once(replies, client)

    assert (True, True) == (open_in_between, closed_at_end)
    assert second is not first
    assert second.closed


def test_held_open_on_several_loops(replies: aioresponses) -> None:
    """An application that ends on its loop leaves the connections of another loop alone."""
    client = AsyncServerClient(**SETTINGS)

    async def hold() -> Any:
        async with hold_open(client):
            return await exchange_once(replies, client)

    with asyncio.Runner() as runner:
        holding = hold_open(client)
        runner.run(holding.__aenter__())
        here = runner.run(exchange_once(replies, client))
        with ThreadPoolExecutor(1) as threads:
            there = threads.submit(asyncio.run, hold()).result(20)
        states = (here.closed, there.closed)
        runner.run(holding.__aexit__(None, None, None))

    assert (False, True) == states
    assert here.closed


async def test_closed_for_good(replies: aioresponses) -> None:
    """A client that was closed does not open again."""
    client = AsyncServerClient(**SETTINGS)
    await client.aclose()
    with pytest.raises(ClientClosedError):
        async with hold_open(client):
            pass


def test_left_open_by_a_loop_that_is_gone() -> None:
    """A task that nobody ended is closed when it is freed, which is no loop's doing."""

    @types.coroutine
    def wait() -> Generator[None, None, None]:
        yield

    async def serve() -> None:
        async with AsyncServerClient(**SETTINGS):
            await wait()

    serving = serve()
    serving.send(None)
    serving.close()

    assert CORO_CLOSED == getcoroutinestate(serving)


@pytest.mark.parametrize("session", ["a session", object(), aiohttp])
def test_what_is_no_session(session: Any) -> None:
    """What is no aiohttp.ClientSession is refused when the client is made."""
    with pytest.raises(ConfigurationError, match=r"aiohttp\.ClientSession") as caught:
        AsyncServerClient(**SETTINGS, session=session)

    assert "session" == caught.value.parameter


async def test_closed_before_what_follows_an_answer() -> None:
    """A call that ends while its client is being closed keeps its answer, and opens nothing."""
    async with aiohttp.ClientSession() as session:
        client = AsyncServerClient(**SETTINGS, session=session)

        async def close() -> None:
            await client.aclose()
            await session.close()

        def flow() -> Flow[str]:
            yield from Postpone(lambda: Sleep(0.0).__iter__())
            yield from Invoke(close)
            return "answer"

        assert "answer" == await run_async(flow(), client._world)
        assert {} == client._transport._states
