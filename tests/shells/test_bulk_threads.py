"""Bulk exchanges in threads: interrupts, slow inputs, forks, and threads that are not to be had."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from queue import Queue
from random import Random
from types import FrameType
from typing import Any

import pytest

from auth0_tx import (
    BulkExchange,
    ConfigurationError,
    CustomTokenExchangeOptions,
    NotSentError,
)
from tests.shells.bulk_endpoint import OK, Endpoint, build_rows, open_client


def list_bulk_threads() -> list[threading.Thread]:
    """Return the threads of bulk exchanges that are alive."""
    return [thread for thread in threading.enumerate() if "bulk" in thread.name]


def wait_until_no_thread() -> bool:
    """Return whether all threads of bulk exchanges end within some seconds."""
    give_up = time.monotonic() + 10
    while list_bulk_threads():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.005)
    return True


@pytest.fixture(autouse=True)
def check_threads() -> Iterator[None]:
    """No thread is left."""
    yield
    assert wait_until_no_thread()


class InterruptError(Exception):
    """Raised by a signal handler."""


@pytest.fixture
def interrupts() -> Iterator[None]:
    """SIGALRM raises in this thread."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise InterruptError

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("seed", range(4))
def test_interrupts_lose_nothing(interrupts: None, seed: int) -> None:
    """However often a signal strikes a loop over the results, it gets each of them once.

    A loop, and not ``next``: the interpreter may run a signal's handler after it has called
    ``next``, and before the result is in its variable.
    """
    random = Random(seed)
    struck = 0
    with open_client(Endpoint(seconds=0.0005)) as client:
        results = client.exchange_many(build_rows(150), concurrency=4)
        # The start of a thread is the interpreter's, which an exception may cut short.
        result = noted = next(results)
        seen = Counter([result.index])
        has_ended = False
        while not has_ended:
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 1e-3))
                for result in results:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    noted = result
                    seen[result.index] += 1
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 1e-3))
                has_ended = True
                signal.setitimer(signal.ITIMER_REAL, 0)
            except InterruptError:
                struck += 1
                # Struck when the variable had its value: the result is here.
                if result is not noted:
                    noted = result
                    seen[result.index] += 1

    assert struck
    assert dict.fromkeys(range(150), 1) == seen


def test_keyboard_interrupt() -> None:
    """A KeyboardInterrupt while the consumer waits: stop, iterate on, and nothing is lost."""
    rows, release = build_rows(50), threading.Event()

    def answer(row: int, times: int) -> Any:
        if row:
            release.wait(10)
        return OK

    with open_client(Endpoint(answer)) as client:
        results = client.exchange_many(rows, concurrency=3)
        first = next(results)
        main = threading.get_ident()
        threading.Timer(0.05, signal.pthread_kill, [main, signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            next(results)
        results.stop()
        release.set()
        rest = [result.index for result in results]

    assert 0 == first.index
    assert [1, 2, 3] == sorted(rest)
    assert "token-4" == next(rows).subject_token


def test_input_that_hangs() -> None:
    """Results are yielded while the input waits for its next row, and a stop need not."""
    rows: Queue[CustomTokenExchangeOptions] = Queue()
    for row in build_rows(2):
        rows.put(row)
    with open_client(Endpoint()) as client:
        results = client.exchange_many(iter(rows.get, None), concurrency=5)
        indexes = [next(results).index, next(results).index]
        results.stop()
        rest = [*results]
    # For the reader, so that its thread ends.
    rows.put(next(build_rows(1)))

    assert [0, 1] == indexes
    assert [] == rest


def test_row_that_comes_during_a_stop() -> None:
    """A row that the input was about to hand out at a stop is a result, unsent."""
    is_reading = threading.Event()
    endpoint = Endpoint()

    def read_slowly() -> Iterator[CustomTokenExchangeOptions]:
        for number, row in enumerate(build_rows(10)):
            if number == 1:
                is_reading.set()
                time.sleep(0.1)
            yield row

    with open_client(endpoint) as client:
        results = client.exchange_many(read_slowly(), concurrency=2)
        next(results)
        is_reading.wait(10)
        results.stop()
        [late] = results

    assert 1 == late.index
    assert isinstance(late.error, NotSentError)
    assert {0: 1} == endpoint.sent


def test_input_is_read_in_one_thread() -> None:
    """A database connection that belongs to a thread works in the input."""
    threads: set[int] = set()

    def read_rows() -> Iterator[CustomTokenExchangeOptions]:
        for row in build_rows(30):
            threads.add(threading.get_ident())
            yield row

    with open_client(Endpoint()) as client:
        assert 30 == len([*client.exchange_many(read_rows(), concurrency=5)])

    assert 1 == len(threads)
    assert threading.get_ident() not in threads


def test_threads_are_no_more_than_needed() -> None:
    """Threads start as rows do; two more read and conduct, and all end with the iteration."""
    most = 0
    with open_client(Endpoint()) as client:
        for _ in client.exchange_many(build_rows(50), concurrency=4):
            most = max(most, len(list_bulk_threads()))
        left = list_bulk_threads()
        for _ in client.exchange_many([*build_rows(1)], concurrency=50):
            assert len(list_bulk_threads()) <= 2

    assert most <= 6
    assert [] == left


def test_context_variables() -> None:
    """The input, and what the client calls, see the context variables of the caller."""
    variable: ContextVar[str] = ContextVar("variable")
    seen = set()

    def resolve(store_options: Any) -> str:
        seen.add(variable.get())
        return "tenant.us.auth0.com"

    def read_rows() -> Iterator[CustomTokenExchangeOptions]:
        seen.add(f"input {variable.get()}")
        yield from build_rows(3)

    variable.set("caller")
    with open_client(Endpoint(), domain=resolve) as client:
        assert 3 == len([*client.exchange_many(read_rows())])

    assert {"caller", "input caller"} == seen


def test_break_ends_the_rows() -> None:
    """An iterator that is dropped ends its threads, and the rest of the input is unread."""
    rows = build_rows(1_000)
    with open_client(Endpoint(seconds=0.001)) as client:
        for result in client.exchange_many(rows, concurrency=3):
            if result.index >= 5:
                break

        assert wait_until_no_thread()
    assert 999 != next(rows).subject_token


def test_close_waits_for_rows_in_flight() -> None:
    """Leaving the block ends the rows in flight, and no further one starts."""
    endpoint = Endpoint(seconds=0.05)
    with open_client(endpoint) as client:
        with client.exchange_many(build_rows(100), concurrency=3) as results:
            next(results)
            next(results)
        sent = len(endpoint.sent)

        assert [] == list_bulk_threads()
        assert [] == [*results]
    assert sent == len(endpoint.sent) <= 5


def test_nothing_happens_before_the_first_result_is_asked_for() -> None:
    """A bulk exchange that nobody iterates over reads nothing and starts no thread."""
    rows = build_rows(3)
    with open_client(Endpoint()) as client:
        results = client.exchange_many(rows)
        results.stop()

        assert [] == [*results]
        assert [] == list_bulk_threads()
        client.exchange_many(rows).close()
    assert 3 == len([*rows])


def test_two_at_once() -> None:
    """Two bulk exchanges on one client do not mix."""
    with open_client(Endpoint(seconds=0.001)) as client:
        one = client.exchange_many(build_rows(20), concurrency=4)
        two = client.exchange_many(build_rows(20), concurrency=4)
        pairs = [*zip(one, two, strict=True)]

    assert [*range(20)] == sorted(left.index for left, _ in pairs)
    assert [*range(20)] == sorted(right.index for _, right in pairs)


def test_second_consumer() -> None:
    """Another thread cannot iterate meanwhile, as with a generator; later it can."""
    release = threading.Event()
    refused: list[BaseException] = []

    def answer(row: int, times: int) -> Any:
        release.wait(10)
        return OK

    with open_client(Endpoint(answer)) as client:
        results = client.exchange_many(build_rows(2))

        def intrude() -> None:
            try:
                next(results)
            except RuntimeError as error:
                refused.append(error)
            release.set()

        threading.Timer(0.05, intrude).start()
        indexes = [next(results).index]
        taker = threading.Thread(target=lambda: indexes.append(next(results).index))
        taker.start()
        taker.join()

    assert [0, 1] == sorted(indexes)
    assert 1 == len(refused)


@pytest.mark.parametrize("available", [1, 2, 3])
def test_few_threads(monkeypatch: pytest.MonkeyPatch, available: int) -> None:
    """With fewer threads than it wants, a bulk exchange goes on with those that it has."""
    start, started = threading.Thread.start, 0

    def start_some(thread: threading.Thread) -> None:
        nonlocal started
        started += 1
        if started > available:
            raise RuntimeError("can't start new thread")
        start(thread)

    with open_client(Endpoint()) as client:
        monkeypatch.setattr(threading.Thread, "start", start_some)
        indexes = [
            result.index
            for result in client.exchange_many(build_rows(20), concurrency=5)
        ]

    assert [*range(20)] == sorted(indexes)


def test_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any thread nothing is read, and iterating later goes well."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with open_client(Endpoint()) as client:
        results = client.exchange_many(build_rows(3))
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(NotSentError):
                next(results)

        assert 3 == len([*results])


def test_fork() -> None:
    """A forked child cannot take the parent's results, and may drop or close the iterator."""
    with open_client(Endpoint(seconds=0.01)) as client:
        results = client.exchange_many(build_rows(20), concurrency=3)
        first = next(results)
        child = os.fork()
        if not child:
            try:
                try:
                    next(results)
                except ConfigurationError:
                    results.stop()
                    results.close()
                    del results
                    os._exit(0)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        rest = [result.index for result in results]

    assert 0 == os.waitstatus_to_exitcode(status)
    assert [*range(20)] == sorted([first.index, *rest])


def test_results_are_not_kept() -> None:
    """A result is freed when its consumer lets go of it, and so are rows."""
    kept: list[weakref.ref[Any]] = []

    def read_rows() -> Iterator[CustomTokenExchangeOptions]:
        for row in build_rows(200):
            kept.append(weakref.ref(row))
            yield row
            del row

    with open_client(Endpoint()) as client:
        results: BulkExchange = client.exchange_many(read_rows(), concurrency=3)
        for result in results:
            kept.append(weakref.ref(result))
            alive = sum(reference() is not None for reference in kept)
            # The results of three places, their rows, and those on the way.
            assert alive <= 12, alive
        del result, results
    gc.collect()

    assert [] == [reference for reference in kept if reference() is not None]
