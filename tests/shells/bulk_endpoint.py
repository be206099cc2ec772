"""A token endpoint without sockets for bulk exchanges, and both worlds to use it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol
from urllib.parse import parse_qs

from auth0_tx import (
    AsyncServerClient,
    BulkExchangeResult,
    CustomTokenExchangeError,
    CustomTokenExchangeOptions,
    ServerClient,
)
from auth0_tx.core.context import CachedDocument
from auth0_tx.core.effects import Response, Send
from tests.core.world import (
    DOMAIN,
    METADATA,
    Answer,
    build_options,
    build_refusal,
    build_response,
)

OK = build_response()
BLOCKED = build_refusal(429, "too_many_attempts")
LIMITED = build_refusal(429, "too_many_requests", Retry_After="0")


def build_rows(count: int) -> Iterator[CustomTokenExchangeOptions]:
    """Yield rows whose subject tokens are their numbers."""
    for number in range(count):
        yield build_options(subject_token=f"token-{number}")


class Endpoint:
    """Answers each request, and counts.

    Args:
        answer: returns the answer to a row that is sent for the n-th time.
        seconds: how long each takes.
        until_most: the first rows are only answered when as many are in flight.

    Attributes:
        sent: how often each row was sent.
        most: the most requests that were in flight at once.
    """

    def __init__(
        self,
        answer: Callable[[int, int], Answer] = lambda row, time: OK,
        seconds: float = 0.0,
        until_most: int = 0,
    ) -> None:
        self.sent: Counter[int] = Counter()
        self.most = 0
        self._answer = answer
        self._seconds = seconds
        self._in_flight = 0
        self._until_most = until_most
        self._lock = threading.Lock()

    def _begin(self, send: Send) -> Answer:
        body = parse_qs((send.prepare().body or b"").decode())
        row = int(body["subject_token"][0].removeprefix("token-"))
        with self._lock:
            self._in_flight += 1
            self.most = max(self.most, self._in_flight)
            self.sent[row] += 1
            times = self.sent[row]
        return self._answer(row, times)

    def _end(self, answer: Answer) -> Response:
        with self._lock:
            self._in_flight -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def send(self, send: Send) -> Response:
        """Answer a thread."""
        answer = self._begin(send)
        while self.most < self._until_most:
            time.sleep(0.001)
        if self._seconds:
            time.sleep(self._seconds)
        return self._end(answer)

    async def send_async(self, send: Send) -> Response:
        """Answer a task."""
        answer = self._begin(send)
        while self.most < self._until_most:
            await asyncio.sleep(0.001)
        await asyncio.sleep(self._seconds)
        return self._end(answer)


def _use(client: Any, send: Any) -> Any:
    client._world.send = send
    now = client._context.clock()
    client._context.metadata.add(DOMAIN, CachedDocument(METADATA, now, now + 1e9))
    return client


def open_client(endpoint: Endpoint, **keywords: Any) -> ServerClient:
    """Return a blocking client of the endpoint."""
    client = ServerClient(
        **{"domain": DOMAIN, "client_id": "id", "client_secret": "secret", **keywords}
    )
    used: ServerClient = _use(client, endpoint.send)
    return used


def open_async_client(endpoint: Endpoint, **keywords: Any) -> AsyncServerClient:
    """Return an asyncio client of the endpoint."""
    client = AsyncServerClient(
        **{"domain": DOMAIN, "client_id": "id", "client_secret": "secret", **keywords}
    )
    used: AsyncServerClient = _use(client, endpoint.send_async)
    return used


class Outcome:
    """The results of a bulk exchange, and how it ended."""

    def __init__(self) -> None:
        self.results: list[BulkExchangeResult] = []
        self.failure: Exception | None = None

    @property
    def indexes(self) -> list[int]:
        """The rows, in the order of their results."""
        return [result.index for result in self.results]

    @property
    def errors(self) -> dict[int, CustomTokenExchangeError]:
        """The errors by row."""
        return {
            result.index: result.error
            for result in self.results
            if result.error is not None
        }


class Collect(Protocol):
    """Exchanges many rows in one of the worlds."""

    def __call__(
        self,
        endpoint: Endpoint,
        rows: Iterable[Any],
        on_result: Callable[[Any, Any, BulkExchangeResult], None] = ...,
        settings: dict[str, Any] | None = None,
        **keywords: Any,
    ) -> Outcome:
        """Return all results; *on_result* is called with the client, the iterator and each."""
        ...


def _ignore(client: Any, results: Any, result: BulkExchangeResult) -> None:
    pass


def collect_blocking(
    endpoint: Endpoint,
    rows: Iterable[Any],
    on_result: Callable[[Any, Any, BulkExchangeResult], None] = _ignore,
    settings: dict[str, Any] | None = None,
    **keywords: Any,
) -> Outcome:
    """Exchange in threads."""
    outcome = Outcome()
    with open_client(endpoint, **(settings or {})) as client:
        results = client.exchange_many(rows, **keywords)
        try:
            for result in results:
                outcome.results.append(result)
                on_result(client, results, result)
        except Exception as error:
            outcome.failure = error
    return outcome


def collect_async(
    endpoint: Endpoint,
    rows: Iterable[Any],
    on_result: Callable[[Any, Any, BulkExchangeResult], None] = _ignore,
    settings: dict[str, Any] | None = None,
    **keywords: Any,
) -> Outcome:
    """Exchange in tasks."""
    outcome = Outcome()

    async def collect() -> None:
        async with open_async_client(endpoint, **(settings or {})) as client:
            results = client.exchange_many(rows, **keywords)
            try:
                async for result in results:
                    outcome.results.append(result)
                    on_result(client, results, result)
            except Exception as error:
                outcome.failure = error
        assert 1 == len(asyncio.all_tasks())

    asyncio.run(collect())
    return outcome
