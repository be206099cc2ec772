"""Bulk exchanges, in threads and in tasks: each row once, and never too many at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from auth0_tx import (
    AmbiguousError,
    BlockedError,
    BulkStoppedError,
    ClientClosedError,
    CustomTokenExchangeOptions,
    InvalidInputError,
    NotSentError,
    RateLimitError,
    RetryPolicy,
)
from auth0_tx.caches import MemoryTokenCache
from auth0_tx.core.effects import Response
from auth0_tx.events import ExchangeFinished
from tests.core.world import build_options, build_refusal, build_response
from tests.shells.bulk_endpoint import (
    BLOCKED,
    LIMITED,
    OK,
    Collect,
    Endpoint,
    build_rows,
    collect_async,
    collect_blocking,
)

BOTH_WORLDS = pytest.mark.parametrize(
    "collect", [collect_blocking, collect_async], ids=["blocking", "async"]
)


@pytest.fixture(autouse=True)
def check_threads() -> Iterator[None]:
    """No thread is left."""
    before = set(threading.enumerate())
    yield
    left = [thread.name for thread in set(threading.enumerate()) - before]

    assert [] == [name for name in left if "bulk" in name]


@BOTH_WORLDS
@pytest.mark.parametrize("concurrency", [1, 2, 7])
def test_every_row_once(collect: Collect, concurrency: int) -> None:
    """Each row has one result and is sent once, and as many are in flight as asked for."""
    # A second passes, until the first row need not go alone any more.
    endpoint = Endpoint(until_most=concurrency)
    outcome = collect(endpoint, build_rows(40), concurrency=concurrency)

    assert [*range(40)] == sorted(outcome.indexes)
    assert {1} == set(endpoint.sent.values())
    assert concurrency == endpoint.most
    assert {} == outcome.errors
    assert all(result.response is not None for result in outcome.results)


@BOTH_WORLDS
@pytest.mark.parametrize("rows", [[], iter(()), ()], ids=["list", "iterator", "tuple"])
def test_no_rows(collect: Collect, rows: Any) -> None:
    """Without rows there are no results."""
    assert [] == collect(Endpoint(), rows).results


@BOTH_WORLDS
def test_lists(collect: Collect) -> None:
    """A list is an input as good as a generator."""
    outcome = collect(Endpoint(), [*build_rows(20)], concurrency=3)

    assert [*range(20)] == sorted(outcome.indexes)


@BOTH_WORLDS
def test_rows_are_read_when_they_can_be_sent(collect: Collect) -> None:
    """Of the input no more is read than results were taken, and places are left."""
    read = 0
    ahead: list[int] = []

    def read_rows() -> Iterator[CustomTokenExchangeOptions]:
        nonlocal read
        for row in build_rows(50):
            read += 1
            yield row

    def note(client: Any, results: Any, result: Any) -> None:
        ahead.append(read - len(ahead))

    collect(Endpoint(), read_rows(), note, concurrency=4)

    assert max(ahead) <= 4


@BOTH_WORLDS
def test_all_in_flight_are_limited(collect: Collect) -> None:
    """Each row that is refused with 429 is sent again once, and none is lost."""

    def answer(row: int, times: int) -> Response:
        return LIMITED if 5 <= row < 10 and times == 1 else OK

    endpoint = Endpoint(answer, seconds=0.005)
    outcome = collect(endpoint, build_rows(30), concurrency=5)

    assert [*range(30)] == sorted(outcome.indexes)
    assert {} == outcome.errors
    assert {1: 25, 2: 5} == {
        times: [*endpoint.sent.values()].count(times) for times in (1, 2)
    }


@BOTH_WORLDS
def test_rows_that_stay_limited(collect: Collect) -> None:
    """A row that is refused ten times has the refusal as its result, and the others go on."""
    endpoint = Endpoint(lambda row, times: LIMITED if row == 1 else OK)
    outcome = collect(endpoint, build_rows(5), concurrency=2)

    assert [1] == [*outcome.errors]
    assert isinstance(outcome.errors[1], RateLimitError)
    assert 10 == endpoint.sent[1]
    assert [*range(5)] == sorted(outcome.indexes)


@BOTH_WORLDS
def test_rows_that_may_not_be_sent_again(collect: Collect) -> None:
    """A client with ``retry_429=False`` sends a row that is refused with 429 only once."""
    endpoint = Endpoint(lambda row, times: LIMITED if row == 1 else OK)
    outcome = collect(
        endpoint,
        build_rows(5),
        settings={"retry": RetryPolicy(retry_429=False)},
        concurrency=2,
    )

    assert {1} == set(endpoint.sent.values())
    assert [1] == [*outcome.errors]
    assert [*range(5)] == sorted(outcome.indexes)


@BOTH_WORLDS
def test_block(collect: Collect) -> None:
    """When Auth0 blocks the address nothing more is sent, and the input has the rest."""
    rows = build_rows(100)
    endpoint = Endpoint(lambda row, times: BLOCKED if row == 20 else OK, 0.002)
    outcome = collect(endpoint, rows, concurrency=3)
    failure = outcome.failure

    assert isinstance(failure, BulkStoppedError)
    assert "too_many_attempts" == failure.code
    assert [*range(failure.next_index)] == sorted(outcome.indexes)
    assert 20 < failure.next_index < 100
    errors = outcome.errors
    assert isinstance(errors.pop(20), BlockedError)
    # A row that was about to be sent is a result, too.
    assert len(endpoint.sent) + len(errors) == failure.next_index
    assert all(isinstance(error, NotSentError) for error in errors.values())
    assert f"token-{failure.next_index}" == next(rows).subject_token


@BOTH_WORLDS
def test_stop(collect: Collect) -> None:
    """After a stop the rows in flight are yielded, and the input has the rest."""
    rows = build_rows(100)

    def stop(client: Any, results: Any, result: Any) -> None:
        if result.index == 10:
            results.stop()

    endpoint = Endpoint(seconds=0.002)
    outcome = collect(endpoint, rows, stop, concurrency=3)
    count = len(outcome.results)

    assert None is outcome.failure
    assert [*range(count)] == sorted(outcome.indexes)
    assert 11 <= count <= 14
    assert f"token-{count}" == next(rows).subject_token


@BOTH_WORLDS
def test_ambiguous_rows(collect: Collect) -> None:
    """A row whose answer is lost is a result, and is not sent again."""
    endpoint = Endpoint(lambda row, times: AmbiguousError("lost") if row % 2 else OK)
    outcome = collect(endpoint, build_rows(20), concurrency=4)

    assert [*range(1, 20, 2)] == sorted(outcome.errors)
    assert {1} == set(endpoint.sent.values())


@BOTH_WORLDS
def test_reusable_rows(collect: Collect) -> None:
    """A row whose token may be used again is retried by the client's policy."""
    endpoint = Endpoint(lambda row, times: AmbiguousError("lost") if times == 1 else OK)
    rows = (
        build_options(subject_token=f"token-{number}", subject_token_reusable=True)
        for number in range(5)
    )
    retry = RetryPolicy(transient_delay=0.001)
    outcome = collect(endpoint, rows, settings={"retry": retry})

    assert {} == outcome.errors
    assert {2} == set(endpoint.sent.values())


@BOTH_WORLDS
def test_rows_that_break_a_rule(collect: Collect) -> None:
    """A row that breaks a rule is a result, unsent, and the rest goes on."""
    rows = [*build_rows(3), "token-3", build_options(subject_token=""), None]
    outcome = collect(Endpoint(), rows)

    assert [3, 4, 5] == sorted(outcome.errors)
    assert {InvalidInputError} == {type(error) for error in outcome.errors.values()}
    assert [*range(6)] == sorted(outcome.indexes)


@BOTH_WORLDS
def test_input_that_fails(collect: Collect) -> None:
    """What the input raises is raised after the results of all rows that were read."""

    def fail() -> Iterator[CustomTokenExchangeOptions]:
        yield from build_rows(10)
        raise OSError("disk")

    outcome = collect(Endpoint(seconds=0.002), fail(), concurrency=3)

    assert [*range(10)] == sorted(outcome.indexes)
    assert "OSError('disk')" == repr(outcome.failure)


@BOTH_WORLDS
def test_resolver_that_fails(collect: Collect) -> None:
    """What the application's own function raises ends the bulk exchange, with the row."""
    calls = iter(range(100))

    def resolve(store_options: Any) -> str:
        if next(calls) == 5:
            raise KeyError("tenant")
        return "tenant.us.auth0.com"

    outcome = collect(Endpoint(), build_rows(10), settings={"domain": resolve})

    assert isinstance(outcome.failure, KeyError)
    assert ["raised for row 5 of exchange_many"] == outcome.failure.__notes__


def test_client_that_is_closed() -> None:
    """A client that is closed meanwhile stops, and the input has the rest."""
    rows = build_rows(100)

    def close(client: Any, results: Any, result: Any) -> None:
        if result.index == 10:
            client.close()

    outcome = collect_blocking(Endpoint(seconds=0.002), rows, close, concurrency=3)
    failure = outcome.failure

    assert isinstance(failure, BulkStoppedError)
    kinds = {type(error) for error in outcome.errors.values()}
    assert kinds <= {ClientClosedError, NotSentError}
    assert [*range(failure.next_index)] == sorted(outcome.indexes)
    assert f"token-{failure.next_index}" == next(rows).subject_token


@BOTH_WORLDS
def test_deadline_begins_when_a_row_is_sent(collect: Collect) -> None:
    """A row that waits for its turn for longer than the timeout still has all its time."""
    outcome = collect(
        Endpoint(), build_rows(4), settings={"timeout": 0.2}, rate=4, concurrency=4
    )

    assert {} == outcome.errors
    assert 4 == len(outcome.results)


@BOTH_WORLDS
def test_cached_rows(collect: Collect) -> None:
    """Rows go through the client's token cache."""
    endpoint = Endpoint(lambda row, times: build_response(seconds="1"))
    rows = [build_options(subject_token="token-0") for _ in range(10)]
    settings = {"token_cache": MemoryTokenCache()}
    outcome = collect(endpoint, rows, settings=settings)

    assert 10 == len(outcome.results)
    assert {0: 1} == endpoint.sent


@BOTH_WORLDS
def test_events(collect: Collect) -> None:
    """Each row reports to the client's subscriber."""
    events: list[Any] = []
    collect(Endpoint(), build_rows(5), settings={"on_event": events.append})

    assert 5 == sum(isinstance(event, ExchangeFinished) for event in events)


@BOTH_WORLDS
def test_mistaken_rate_limit(collect: Collect) -> None:
    """A limit that ends far in the future stops, with the time that the server named."""
    limited = build_refusal(429, "too_many_requests", Retry_After="3600")
    endpoint = Endpoint(lambda row, times: limited if row == 3 else OK)
    outcome = collect(endpoint, build_rows(50), concurrency=1)
    failure = outcome.failure

    assert isinstance(failure, BulkStoppedError)
    assert (4, 3600.0) == (failure.next_index, failure.retry_after)
    assert isinstance(outcome.errors[3], RateLimitError)


@BOTH_WORLDS
@pytest.mark.parametrize(
    ("rows", "keywords", "parameter"),
    [
        ("needle-token", {}, "options"),
        ({"needle": "token"}, {}, "options"),
        (None, {}, "options"),
        (build_options(), {}, "options"),
        ([], {"concurrency": 0}, "concurrency"),
        ([], {"concurrency": True}, "concurrency"),
        ([], {"concurrency": 2.0}, "concurrency"),
        ([], {"concurrency": 101}, "concurrency"),
        ([], {"rate": 0}, "rate"),
        ([], {"rate": -1.0}, "rate"),
        ([], {"rate": float("nan")}, "rate"),
        ([], {"rate": float("inf")}, "rate"),
        ([], {"rate": 10**400}, "rate"),
        ([], {"rate": 1e7}, "rate"),
        ([], {"rate": True}, "rate"),
        ([], {"rate": "4"}, "rate"),
    ],
)
def test_wrong_arguments(
    collect: Collect, rows: Any, keywords: dict[str, Any], parameter: str
) -> None:
    """A wrong argument is refused by the call itself, and named."""
    with pytest.raises(InvalidInputError) as refused:
        collect(Endpoint(), rows, **keywords)

    assert parameter == refused.value.parameter
    assert "needle" not in str(refused.value)


@BOTH_WORLDS
def test_most_places(collect: Collect) -> None:
    """There may be as many places as the client has connections."""
    settings = {"max_connections": 2}

    assert [] == collect(Endpoint(), [], settings=settings, concurrency=2).results
    with pytest.raises(InvalidInputError, match="max_connections"):
        collect(Endpoint(), [], settings=settings, concurrency=3)
