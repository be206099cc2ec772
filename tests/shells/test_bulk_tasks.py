"""Bulk exchanges in tasks: cancellations, asynchronous inputs, loops, and what is left."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from contextvars import ContextVar
from random import Random
from typing import Any

import pytest
import uvloop

from auth0_tx import (
    AmbiguousError,
    BulkStoppedError,
    ConfigurationError,
    CustomTokenExchangeOptions,
    InvalidInputError,
    NotSentError,
)
from tests.shells.bulk_endpoint import (
    BLOCKED,
    OK,
    Endpoint,
    build_rows,
    open_async_client,
    open_client,
)


async def stream_rows(count: int) -> AsyncIterator[CustomTokenExchangeOptions]:
    """Yield rows, each after a turn of the loop."""
    for row in build_rows(count):
        await asyncio.sleep(0)
        yield row


@pytest.mark.parametrize("seed", range(4))
async def test_cancellations_lose_nothing(seed: int) -> None:
    """However often a consumer's wait is cancelled, it gets each result once."""
    random = Random(seed)
    seen: Counter[int] = Counter()
    cut = 0
    async with open_async_client(Endpoint(seconds=0.0005)) as client:
        results = client.exchange_many(stream_rows(150), concurrency=4)
        while True:
            taken = asyncio.create_task(anext(results))  # type: ignore[arg-type]
            await asyncio.wait({taken}, timeout=random.uniform(0, 1e-3))
            taken.cancel()
            try:
                seen[(await taken).index] += 1
            except asyncio.CancelledError:
                cut += 1
            except StopAsyncIteration:
                break

    assert cut
    assert dict.fromkeys(range(150), 1) == seen


async def test_asynchronous_input() -> None:
    """An asynchronous iterable is an input, and read no further than rows can be sent."""
    endpoint = Endpoint(seconds=0.001)
    rows = stream_rows(100)
    indexes = []
    async with open_async_client(endpoint) as client, aclosing(rows):
        results = client.exchange_many(rows, concurrency=3)
        async for result in results:
            indexes.append(result.index)
            if result.index == 20:
                results.stop()
        rest = await anext(rows)

    assert [*range(len(indexes))] == sorted(indexes)
    assert f"token-{len(indexes)}" == rest.subject_token
    assert 3 == endpoint.most


async def test_asynchronous_input_that_fails() -> None:
    """What the input raises is raised after the results of all rows that were read."""

    async def fail() -> AsyncIterator[CustomTokenExchangeOptions]:
        for row in build_rows(5):
            yield row
        raise OSError("disk")

    indexes = []
    async with open_async_client(Endpoint(seconds=0.01)) as client:
        results = client.exchange_many(fail(), concurrency=2)
        for _ in range(5):
            indexes.append((await anext(results)).index)
        with pytest.raises(OSError, match="disk"):
            await anext(results)

    assert [*range(5)] == sorted(indexes)


async def test_asynchronous_input_that_hangs() -> None:
    """Results are yielded while the input waits, and after a stop it is not waited for."""
    rows: asyncio.Queue[CustomTokenExchangeOptions] = asyncio.Queue()
    for row in build_rows(2):
        rows.put_nowait(row)

    async def read_queue() -> AsyncIterator[CustomTokenExchangeOptions]:
        while True:
            yield await rows.get()

    async with open_async_client(Endpoint()) as client:
        results = client.exchange_many(read_queue(), concurrency=5)
        indexes = [(await anext(results)).index, (await anext(results)).index]
        results.stop()
        rest = [result async for result in results]
        rows.put_nowait(next(build_rows(1)))
        await asyncio.sleep(0.01)

        # The generator was cancelled while it waited, and took nothing more.
        assert 1 == rows.qsize()
    assert [0, 1] == indexes
    assert [] == rest
    assert 1 == len(asyncio.all_tasks())


async def test_row_that_comes_during_a_stop() -> None:
    """A row that the input was about to hand out at a stop is a result, unsent."""
    release = asyncio.Event()
    endpoint = Endpoint()

    async def read_slowly() -> AsyncIterator[CustomTokenExchangeOptions]:
        for number, row in enumerate(build_rows(10)):
            if number:
                await release.wait()
            yield row

    async with open_async_client(endpoint) as client:
        results = client.exchange_many(read_slowly(), concurrency=2)
        await anext(results)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(results)
        results.stop()
        release.set()
        [late] = [result async for result in results]

    assert 1 == late.index
    assert isinstance(late.error, NotSentError)
    assert {0: 1} == endpoint.sent


async def test_block() -> None:
    """After a block, an asynchronous input has the rest."""
    rows = stream_rows(100)
    endpoint = Endpoint(lambda row, times: BLOCKED if row == 5 else OK, 0.001)
    async with open_async_client(endpoint) as client, aclosing(rows):
        with pytest.raises(BulkStoppedError) as stopped:
            async for _ in client.exchange_many(rows, concurrency=3):
                pass
        rest = await anext(rows)

    assert f"token-{stopped.value.next_index}" == rest.subject_token


async def test_close_waits_for_rows_in_flight() -> None:
    """Leaving the block ends the rows in flight, and no further one starts."""
    endpoint = Endpoint(seconds=0.02)
    async with open_async_client(endpoint) as client:
        async with client.exchange_many(build_rows(100), concurrency=3) as results:
            await anext(results)
            await anext(results)
        sent = len(endpoint.sent)

        assert 1 == len(asyncio.all_tasks())
        assert [] == [result async for result in results]
    assert sent == len(endpoint.sent) <= 5


async def test_close_wakes_a_consumer() -> None:
    """A task that waits for a result when another one closes is told that there is none."""
    async with open_async_client(Endpoint(seconds=0.01)) as client:
        results = client.exchange_many(build_rows(100), concurrency=3)
        await anext(results)
        waiting = asyncio.create_task(anext(results, None))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await results.aclose()

        assert None is await waiting


async def test_break_ends_the_rows() -> None:
    """An iterator that is dropped ends its tasks, and the rest of the input is unread."""
    rows = build_rows(1_000)
    async with open_async_client(Endpoint(seconds=0.001)) as client:
        async for result in client.exchange_many(rows, concurrency=3):
            if result.index >= 5:
                break
        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.001)

    assert len([*rows]) > 980


async def test_break_with_an_input_that_hangs() -> None:
    """An iterator that is dropped leaves no task that reads."""

    async def hang() -> AsyncIterator[CustomTokenExchangeOptions]:
        yield next(build_rows(1))
        await asyncio.Event().wait()

    async with open_async_client(Endpoint()) as client:
        async for _ in client.exchange_many(hang(), concurrency=3):
            break
        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.01)


async def test_nothing_happens_before_the_first_result_is_asked_for() -> None:
    """A bulk exchange that nobody iterates over reads nothing."""
    rows = build_rows(3)
    async with open_async_client(Endpoint()) as client:
        results = client.exchange_many(rows)
        results.stop()

        assert [] == [result async for result in results]
        await client.exchange_many(rows).aclose()
    assert 3 == len([*rows])


async def test_second_consumer() -> None:
    """Another task cannot iterate meanwhile."""
    async with open_async_client(Endpoint(seconds=0.01)) as client:
        results = client.exchange_many(build_rows(3))
        first = asyncio.create_task(anext(results))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await anext(results)

        assert 0 == (await first).index
        assert [1, 2] == sorted([result.index async for result in results])


def test_another_loop() -> None:
    """The results belong to the loop that asked for the first."""
    client = open_async_client(Endpoint())
    results = client.exchange_many(build_rows(3))

    async def take() -> None:
        await anext(results)

    asyncio.run(take())
    with pytest.raises(ConfigurationError, match="event loop"):
        asyncio.run(take())


def test_uvloop() -> None:
    """It goes as well on uvloop."""

    async def collect() -> list[int]:
        async with open_async_client(Endpoint(seconds=0.001)) as client:
            results = client.exchange_many(stream_rows(50), concurrency=5)
            return [result.index async for result in results]

    assert [*range(50)] == sorted(uvloop.run(collect()))


def test_loop_that_ends() -> None:
    """A loop that ends while rows are in flight cancels them, and leaves nothing behind."""
    outcomes = []

    async def begin() -> Any:
        client = open_async_client(Endpoint(seconds=60))
        results = client.exchange_many(build_rows(10), concurrency=3)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(results)
        outcomes.append(results)

    asyncio.run(begin())
    [results] = outcomes
    [result] = results._machinery.results

    assert isinstance(result.error, AmbiguousError)


async def test_context_variables() -> None:
    """What the client calls sees the context variables of the caller."""
    variable: ContextVar[str] = ContextVar("variable")
    seen = set()

    def resolve(store_options: Any) -> str:
        seen.add(variable.get())
        return "tenant.us.auth0.com"

    variable.set("caller")
    async with open_async_client(Endpoint(), domain=resolve) as client:
        results = client.exchange_many(stream_rows(3))
        variable.set("changed")

        assert 3 == len([result async for result in results])
    assert {"caller"} == seen


def test_asynchronous_input_for_threads() -> None:
    """The blocking client cannot await its input, and says so."""
    rows: Any = stream_rows(1)
    client = open_client(Endpoint())
    with client, pytest.raises(InvalidInputError, match="options"):
        client.exchange_many(rows)


async def test_memory_is_bounded() -> None:
    """However many rows there are, they take no more memory than the first of them did."""
    endpoint = Endpoint()
    sizes = []
    async with open_async_client(endpoint) as client:
        results = client.exchange_many(build_rows(400), concurrency=10)
        tracemalloc.start()
        try:
            for _ in range(3):
                for _ in range(120):
                    await anext(results)
                    endpoint.sent.clear()
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        await results.aclose()

    # A row takes some 3 KB: a hundred of them would be far more.
    assert sizes[2] - sizes[1] < 100_000


async def test_results_are_not_kept() -> None:
    """A result is freed when its consumer lets go of it, and so are rows."""
    kept: list[weakref.ref[Any]] = []

    async def read_rows() -> AsyncIterator[CustomTokenExchangeOptions]:
        for row in build_rows(200):
            kept.append(weakref.ref(row))
            yield row
            del row

    async with open_async_client(Endpoint()) as client:
        results = client.exchange_many(read_rows(), concurrency=3)
        async for result in results:
            kept.append(weakref.ref(result))
            alive = sum(reference() is not None for reference in kept)

            assert alive <= 12, alive
        del result, results
    await asyncio.sleep(0)
    gc.collect()

    assert [] == [reference for reference in kept if reference() is not None]
