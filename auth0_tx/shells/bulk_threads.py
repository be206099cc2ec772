"""A bulk exchange in threads: an iterator over results, and who works behind it.

* The **consumer** is the application's thread.  It takes results from a deque, and tells when it
  comes back for another one.
* The **conductor** is a thread that owns the schedule.  It alone asks what comes next, so the
  schedule needs no lock.  All others put what happened into its inbox.
* The **reader** is a thread that takes rows from the input, always the same one: a database
  connection that belongs to a thread, as Django's and SQLite's do, works there.  An input
  that is slow holds up nothing but itself.
* The **workers** send one row each at a time.  They start as rows do, up to *concurrency*.

A signal may raise in the consumer between any two instructions, and then nothing may be lost or
stay locked.  So the consumer holds no lock.  A result stays in the deque until its consumer
comes back for the next one, and what the consumer and a signal handler call is one step of the
interpreter each: ``SimpleQueue.put``, and the release of a lock that serves as a doorbell.

If there is no thread to be had, the bulk exchange goes on with those that it has: the conductor
reads and sends by itself if there is none at all.

The threads refer to the machinery and not to the iterator.  So an iterator that is dropped, as
by ``break``, stops its rows when it is freed.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

from ..core.bulk.plan import BulkPlan
from ..core.bulk.schedule import End, Outcome, Read, Row, Start, Wait
from ..errors import (
    Auth0Error,
    ConfigurationError,
    CustomTokenExchangeError,
    InvalidInputError,
    NotSentError,
)
from ..results import BulkExchangeResult
from ..secret import Unpicklable, conceal
from ..values import CustomTokenExchangeOptions
from .drivers import BlockingWorld, cut_traceback, run
from .requests_shell import check_store

_LOOK_AGAIN = 1.0
"""Seconds after which a consumer looks for results, in case nobody rang."""

_NO_THREAD = "no thread could be started for the bulk exchange"


class _Released:
    """The consumer came back for another result."""


class _StopWanted:
    """No further row is to start."""


class _ResultsUnwanted:
    """Nobody asks for results any more."""


class _InputEnded:
    """The input has no more rows, or has failed."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure


class _RowEnded:
    """A row has an outcome, or failed in another way."""

    def __init__(self, row: Row, outcome: Outcome | BaseException) -> None:
        self.row = row
        self.outcome = outcome


_RELEASED, _STOP_WANTED, _RESULTS_UNWANTED = (
    _Released(),
    _StopWanted(),
    _ResultsUnwanted(),
)


class _Machinery:
    """The threads of one bulk exchange, and what they share."""

    def __init__(self, plan: BulkPlan, world: BlockingWorld) -> None:
        self.plan = plan
        self.world = world
        self.schedule = plan.schedule
        self.results: deque[BulkExchangeResult] = deque()
        self.has_ended = False
        self.failure: BaseException | None = None
        self.inbox: SimpleQueue[Any] = SimpleQueue()
        self.bell = threading.Lock()
        self.bell.acquire()
        self.conductor: threading.Thread | None = None
        self._conductors: dict[None, threading.Thread] = {}
        self._context = copy_context()
        self._input: Iterator[CustomTokenExchangeOptions] | None = None
        self._reader: threading.Thread | None = None
        self._reads: SimpleQueue[bool] = SimpleQueue()
        self._workers: list[threading.Thread] = []
        self._rows: SimpleQueue[Row | None] = SimpleQueue()
        self._is_wanted = True

    def start(self) -> None:
        """Start the conductor; the others start when they are needed.

        Raises:
            NotSentError: there is no thread to be had.
        """
        thread = self._start_thread(self._conduct, "conductor")
        if thread is None:
            raise NotSentError(_NO_THREAD, retry_safe=True)
        # After an interrupt this may be a second one, which ends at once.
        self.conductor = self._conductors.setdefault(None, thread)

    def _start_thread(
        self, target: Callable[[], None], name: str
    ) -> threading.Thread | None:
        # A context of its own for each thread: two cannot be in the same one.
        context: Context = self._context.copy()
        thread = threading.Thread(
            target=context.run,
            args=(target,),
            name=f"auth0_tx bulk {name}",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError:
            # There is no thread to be had, or the interpreter ends.
            return None
        return thread

    # In the conductor.

    def _conduct(self) -> None:
        me = threading.current_thread()
        if self._conductors.setdefault(None, me) is not me:
            return
        try:
            while self._perform_next():
                pass
            self.failure = self.schedule.make_failure()
        except BaseException as error:
            # A bug: whoever waits for results must not wait for ever.
            self.failure = error
        finally:
            for _ in self._workers:
                self._rows.put(None)
            self._reads.put(False)
            for worker in self._workers:
                worker.join()
            if self._reader is not None and not self.schedule.is_reading:
                self._reader.join()
            self.has_ended = True
            self._ring()

    def _perform_next(self) -> bool:
        """Perform one step; return whether there may be another."""
        # Before anything is begun: a stop may be among it.
        while not self.inbox.empty():
            self._note(self.inbox.get())
        match self.schedule.find_next(self.plan.monotonic()):
            case Start(row):
                self._send(row)
            case Read():
                self._read()
            case Wait(seconds):
                with suppress(Empty):
                    self._note(self.inbox.get(timeout=seconds))
            case End():
                return False
        return True

    def _note(self, event: Any) -> None:
        schedule, now = self.schedule, self.plan.monotonic()
        match event:
            case _Released():
                schedule.release()
            case _RowEnded(row=row, outcome=outcome):
                if isinstance(outcome, BaseException) and not isinstance(
                    outcome, CustomTokenExchangeError
                ):
                    self._add(schedule.note_failure(row, outcome, now))
                else:
                    self._add(schedule.note_outcome(row, outcome, now))
            case _InputEnded(failure=failure):
                schedule.note_end_of_input(failure)
            case _StopWanted():
                self._add(schedule.stop(now))
            case _ResultsUnwanted():
                # Those that are there stay: another thread may be taking them.
                self._is_wanted = False
                schedule.stop(now)
            case options:
                result = schedule.note_read(options)
                self._add([] if result is None else [result])

    def _add(self, results: list[BulkExchangeResult]) -> None:
        if results and self._is_wanted:
            self.results.extend(results)
            self._ring()

    def _ring(self) -> None:
        try:
            self.bell.release()
        except RuntimeError:
            # It was rung already, and the consumer has not come yet.
            return

    def _send(self, row: Row) -> None:
        if self.schedule.in_flight > len(self._workers):
            worker = self._start_thread(self._work, "worker")
            if worker is not None:
                self._workers.append(worker)
        if self._workers:
            self._rows.put(row)
        else:
            self._run(row)

    def _read(self) -> None:
        if self._reader is None and not isinstance(self.plan.options, (list, tuple)):
            self._reader = self._start_thread(self._read_on, "reader")
        if self._reader is None:
            self._read_row()
        else:
            self._reads.put(True)

    # In the reader.

    def _read_on(self) -> None:
        while self._reads.get():
            self._read_row()

    def _read_row(self) -> None:
        try:
            if self._input is None:
                options: Any = self.plan.options
                self._input = iter(options)
            # Rebound, so that a traceback with locals shows no secret of this frame.
            row = conceal(next(self._input))
        except StopIteration:
            self.inbox.put(_InputEnded())
        except BaseException as error:
            self.inbox.put(_InputEnded(error))
        else:
            self.inbox.put(row)

    # In the workers.

    def _work(self) -> None:
        while (row := self._rows.get()) is not None:
            self._run(row)

    def _run(self, row: Row) -> None:
        outcome: Outcome | BaseException
        try:
            outcome = run(self.plan.run_row(row), self.world)
        except Auth0Error as error:
            outcome = cut_traceback(error)
        except BaseException as error:
            outcome = error
        self.inbox.put(_RowEnded(row, outcome))


class BulkExchange(Unpicklable):
    """An iterator over the results of ``exchange_many``, and a context manager.

    Leave the ``with`` block, or call ``close``, before the end, and no further row starts.
    Those in flight end, and their results are dropped.  To get them too, call ``stop`` and
    iterate on.  An interrupt while you wait for the next result loses nothing either: iterate
    on.
    """

    def __init__(self, plan: BulkPlan, world: BlockingWorld) -> None:
        self._machinery = _Machinery(plan, world)
        self._process_id = os.getpid()
        self._handed_over: BulkExchangeResult | None = None
        # Who iterates, in one step of the interpreter that a signal cannot cut.
        self._consumers: dict[None, int] = {}
        self._is_finished = False
        if not isinstance(plan.options, Iterable):
            raise InvalidInputError(
                "options must be an ordinary iterable; AsyncServerClient takes an "
                "asynchronous one",
                parameter="options",
            )
        check_store(plan.pace, "pace", "take_turn")

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> BulkExchangeResult:
        machinery = self._machinery
        me = threading.get_ident()
        try:
            # A signal may have cut off an earlier call of this thread: it goes on.
            if self._consumers.setdefault(None, me) != me:
                raise RuntimeError("the results are iterated over in another thread")
            self._check_process()
            if self._is_finished:
                raise StopIteration
            results = machinery.results
            handed_over = self._handed_over
            if handed_over is not None:
                if results and results[0] is handed_over:
                    results.popleft()
                    machinery.inbox.put(_RELEASED)
                self._handed_over = None
            if machinery.conductor is None:
                machinery.start()
            while not results:
                if machinery.has_ended and not results:
                    return self._finish()
                machinery.bell.acquire(timeout=_LOOK_AGAIN)
            result = results[0]
        finally:
            if self._consumers.get(None) == me:
                self._consumers.pop(None, None)
        # Nothing is called any more, so that no signal comes between: it was handed over.
        self._handed_over = result
        return result

    def _finish(self) -> BulkExchangeResult:
        """End the iteration: with the failure that stopped it, if there is one."""
        machinery = self._machinery
        if machinery.conductor is not None:
            machinery.conductor.join()
        self._is_finished = True
        if machinery.failure is None:
            raise StopIteration
        raise machinery.failure

    def _check_process(self) -> None:
        if os.getpid() != self._process_id:
            raise ConfigurationError(
                "this bulk exchange belongs to the process that began it, and its rows are "
                "sent there"
            )

    def stop(self) -> None:
        """Start no further row: iterating yields those in flight, and ends.

        May be called from any thread, and from a signal handler.
        """
        machinery = self._machinery
        if machinery.conductor is None:
            self._is_finished = True
        else:
            machinery.inbox.put(_STOP_WANTED)

    def close(self) -> None:
        """Start no further row, wait for those in flight, and drop their results."""
        machinery = self._machinery
        self._is_finished = True
        if os.getpid() == self._process_id and machinery.conductor is not None:
            machinery.inbox.put(_RESULTS_UNWANTED)
            machinery.conductor.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        machinery = self._machinery
        if os.getpid() == self._process_id and machinery.conductor is not None:
            machinery.inbox.put(_RESULTS_UNWANTED)
