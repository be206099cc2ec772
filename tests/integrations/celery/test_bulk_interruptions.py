"""A bulk exchange in a worker that is interrupted, or whose broker, Redis or application fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any

import pytest
import redis
from celery import Celery
from celery.exceptions import Reject, Retry, SoftTimeLimitExceeded
from celery.result import EagerResult

from auth0_tx import (
    BulkExchangeResult,
    ConfigurationError,
    MfaRequiredError,
    NotSentError,
    StoreError,
)
from auth0_tx.integrations.celery import BulkExchangeTasks
from auth0_tx.integrations.celery.bulk_rows import format_result, parse_result
from auth0_tx.integrations.token_vault import Entries, new_handle
from tests.core.world import build_refusal
from tests.shells.bulk_endpoint import BLOCKED, OK, Endpoint, build_rows, open_client

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


class Job:
    """A bulk exchange whose messages are run here, one at a time."""

    def __init__(
        self,
        redis_url: str,
        keep: Callable[[str, BulkExchangeResult], object],
        endpoint: Endpoint,
        **keywords: Any,
    ) -> None:
        self.redis = redis.Redis.from_url(redis_url)
        self.prefix = f"auth0_tx-test:{token_hex(8)}:"
        self.app = Celery("test", broker="memory://", set_as_current=False)
        self.client = open_client(endpoint)
        given: dict[str, Any] = {
            "client": self.client,
            "redis": self.redis,
            "secret": "of the rows, and 32 characters long!",
            "rate": 1e5,
            "concurrency": 1,
            "name": self.prefix,
            "prefix": self.prefix,
            **keywords,
        }
        self.bulk = BulkExchangeTasks(self.app, keep, **given)
        self.messages: list[Any] = []
        self.waits: list[float] = []
        self.bulk.task.apply_async = self._accept
        self.bulk.task.retry = self._retry

    def _accept(self, args: Any) -> Any:
        self.messages.append(args)
        return EagerResult("id", None, "PENDING")

    def _retry(self, *, args: Any, kwargs: Any, countdown: float, throw: bool) -> None:
        self.messages.append(args)
        self.waits.append(countdown)
        if throw:
            raise Retry("again")

    def send(self, number: int) -> None:
        """Send *number* rows in one message."""
        self.bulk.send([(f"row-{n}", row) for n, row in enumerate(build_rows(number))])

    def run(self) -> Any:
        """Run the oldest message; return its report, or what it raised."""
        try:
            return self.bulk.task.run(*self.messages.pop(0))
        except BaseException as raised:
            return raised

    @property
    def left(self) -> list[str]:
        """The rows of all messages."""
        return sorted(row[0] for message in self.messages for row in message[0])

    def close(self) -> None:
        """Remove what it has in Redis."""
        for key in self.redis.scan_iter(match=f"*{self.prefix}*", count=1000):
            self.redis.delete(key)
        self.redis.close()
        commands: list[Any] = [self.bulk._rows._send, self.bulk._pace._send]
        for send in commands:
            # Its own pool, which the collector would close in any order: this is a cycle.
            for connection in send.__self__._client.connection_pool._places:
                if connection is not None:
                    connection.disconnect()
        self.client.close()
        self.app.close()


@pytest.fixture
def start(redis_url: str) -> Iterator[Callable[..., Job]]:
    """Return a function that starts a job."""
    jobs: list[Job] = []

    def start(
        keep: Callable[[str, BulkExchangeResult], object],
        answer: Callable[[int, int], Any] = lambda row, time: OK,
        **keywords: Any,
    ) -> Job:
        jobs.append(Job(redis_url, keep, Endpoint(answer), **keywords))
        return jobs[-1]

    yield start
    for job in jobs:
        job.close()


@pytest.mark.parametrize("kind", [SoftTimeLimitExceeded, KeyboardInterrupt])
def test_interrupt_while_a_result_is_kept(
    start: Callable[..., Job], kind: type[BaseException]
) -> None:
    """The run ends; its result is kept later without another exchange, as are the other rows."""
    kept: list[str] = []
    strikes = [kind()]

    def keep(key: str, result: BulkExchangeResult) -> None:
        if strikes:
            raise strikes.pop()
        assert result.response is not None
        kept.append(key)

    endpoint = Endpoint()
    job = start(keep, client=open_client(endpoint))
    job.send(5)
    ended = job.run()
    rows_left = job.left
    for _ in range(3):
        if job.messages:
            job.run()

    assert type(ended) in (Retry, KeyboardInterrupt)
    assert ["row-0", "row-1", "row-2", "row-3", "row-4"] == sorted(kept)
    # Beside the row whose result was not kept, one may have been in flight.
    assert "row-0" in rows_left
    assert 4 <= len(rows_left)
    assert dict.fromkeys(range(5), 1) == endpoint.sent


def test_redis_that_fails_when_a_row_is_put_back(
    start: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was issued to the rows in flight is kept, though Redis takes nothing back."""
    kept: list[str] = []
    unkept: list[str] = []

    def keep(key: str, result: BulkExchangeResult) -> None:
        if not unkept:
            unkept.append(key)
            raise OSError("the database of the application is down")
        kept.append(key)

    endpoint = Endpoint(until_most=4)
    job = start(keep, client=open_client(endpoint), concurrency=4)
    job.send(4)

    def fail(*_: Any, **__: Any) -> None:
        raise StoreError("Redis is down")

    monkeypatch.setattr(job.bulk._rows, "put_back", fail)
    ended = job.run()

    assert Retry is type(ended)
    assert ["row-0", "row-1", "row-2", "row-3"] == sorted(kept + unkept)
    assert unkept == job.left


def test_result_that_can_neither_be_kept_nor_sealed(
    start: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that finds a result and fails to keep it again loses no other row."""

    def keep(key: str, result: BulkExchangeResult) -> None:
        raise OSError("the database of the application is down")

    job = start(keep)
    job.send(3)
    job.run()

    def fail(*_: Any, **__: Any) -> None:
        raise StoreError("Redis is down")

    monkeypatch.setattr(job.bulk._rows, "put_back", fail)
    ended = job.run()

    assert Retry is type(ended)
    assert ["row-0", "row-1", "row-2"] == job.left


def test_broker_that_takes_no_message(
    start: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the rows that are left cannot be sent, the message itself is requeued."""
    job = start(lambda key, result: 1 / 0)
    job.send(1)

    def refuse(**_: Any) -> None:
        raise Reject(OSError("the broker is down"), requeue=False)

    monkeypatch.setattr(job.bulk.task, "retry", refuse)
    ended = job.run()

    assert (Reject, True) == (type(ended), ended.requeue)


@pytest.mark.parametrize(
    "failure", [OSError("no settings"), ConfigurationError("no domain")]
)
def test_client_that_cannot_be_made(
    start: Callable[..., Job], failure: Exception
) -> None:
    """If there is no client, no row is lost."""

    def make_client() -> Any:
        raise failure

    job = start(print, client=make_client)
    job.send(3)
    ended = job.run()

    # The application has no result backend, so no report could say what is left.
    assert Retry is type(ended)
    assert ["row-0", "row-1", "row-2"] == job.left


def test_stop_without_a_result_backend(start: Callable[..., Job]) -> None:
    """If nobody can read the report, the rows that a block has left are tried again later."""
    job = start(print, lambda row, time: BLOCKED)
    job.send(3)
    ended = job.run()

    assert Retry is type(ended)
    assert ["row-0", "row-1", "row-2"] == job.left
    assert [600.0] == job.waits


def test_network_that_is_down(start: Callable[..., Job]) -> None:
    """Rows that could not be sent wait for a while before they are tried again."""
    job = start(print, lambda row, time: NotSentError("no route", retry_safe=True))
    job.send(1)
    job.run()

    assert [30.0] == job.waits


def test_time_limit(start: Callable[..., Job]) -> None:
    """A batch begins rows for half of its time limit; the rest is in another message."""

    def keep(key: str, result: BulkExchangeResult) -> None:
        job.redis.ping()
        clock[0] += 10

    job = start(keep)
    clock = [0.0]
    job.bulk.task.time_limit = 60
    job.send(10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "auth0_tx.integrations.celery.bulk.read_monotonic", lambda: clock[0]
        )
        ended = job.run()

    assert Retry is type(ended)
    assert 10 - 3 == len(job.left)


def test_visibility_timeout(start: Callable[..., Job]) -> None:
    """A message does not wait for so long that the broker would deliver it again."""
    job = start(print, lambda row, time: BLOCKED)
    job.app.conf.broker_transport_options = {"visibility_timeout": 100}
    job.send(1)
    job.run()

    assert [50.0] == job.waits


def test_pause_longer_than_the_time_limit(start: Callable[..., Job]) -> None:
    """A row that a long pause holds up is in another message before its time limit."""
    endpoint = Endpoint(
        lambda row, time: build_refusal(429, "too_many_requests", Retry_After="9")
    )
    job = start(print, client=open_client(endpoint))
    job.bulk.task.time_limit = 0.4
    job.send(1)
    ended = job.run()

    assert Retry is type(ended)
    assert {0: 1} == endpoint.sent
    assert [9.0] == job.waits


def test_log_has_no_token(
    start: Callable[..., Job], caplog: pytest.LogCaptureFixture
) -> None:
    """If a database's error quotes what it was given, the log has the place, and not the text."""

    def keep(key: str, result: BulkExchangeResult) -> None:
        raise ValueError(f"[parameters: ({TOKEN!r})]")

    job = start(keep)
    job.send(1)
    with caplog.at_level(logging.DEBUG):
        job.run()

    assert "ValueError" in caplog.text
    assert "in keep" in caplog.text
    assert TOKEN not in caplog.text
    assert [None] * len(caplog.records) == [
        record.exc_info for record in caplog.records
    ]


def test_attached_tokens_survive() -> None:
    """What was issued with an error is sealed with it."""
    error = MfaRequiredError("a factor", "mfa_required", 403).with_mfa(
        TOKEN, {"challenge": [{"type": "otp"}]}
    )
    again = parse_result(format_result(BulkExchangeResult(index=0, error=error))).error

    assert isinstance(again, MfaRequiredError)
    assert TOKEN == again.mfa_token
    assert {"challenge": [{"type": "otp"}]} == again.mfa_requirements
    assert TOKEN not in repr(vars(again))


def test_no_token_in_the_frames_of_a_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A soft time limit while a row is opened shows no token to who prints local variables."""
    entries = Entries("of the rows, and 32 characters long!", 60)
    handle = new_handle()
    sealed = entries.seal(handle, entries.make(TOKEN, None))

    def strike() -> float:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr("auth0_tx.integrations.token_vault.read_time", strike)
    with pytest.raises(SoftTimeLimitExceeded) as struck:
        entries.open(handle, sealed)
    shown = [repr(dict(frame.frame.f_locals)) for frame in struck.traceback[1:]]

    assert len(shown) > 1
    assert TOKEN not in "".join(str(entry) for entry in shown)
