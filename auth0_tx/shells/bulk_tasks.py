"""A bulk exchange in tasks: an async iterator over results, and what works behind it.

Everything happens on the event loop on which the first result was asked for.  Whenever
something happens, ``advance`` asks the schedule what comes next, until it is to wait: rows are
tasks, a pause is a timer.  An input that is an ordinary iterable is read there and then, and
blocks the loop for as long as it takes.  An asynchronous one is read in a task, and holds up
nothing but itself.

A result stays in a deque until its consumer comes back for the next one.  So a consumer whose
task is cancelled while it waits loses nothing, and may iterate on.

The tasks refer to the machinery and not to the iterator.  So an iterator that is dropped, as
by ``break``, stops its rows when it is freed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import suppress
from contextvars import copy_context
from types import TracebackType
from typing import Any, Self

from ..core.bulk.plan import BulkPlan
from ..core.bulk.schedule import End, Outcome, Read, Row, Start, Wait
from ..errors import (
    AmbiguousError,
    Auth0Error,
    ConfigurationError,
    CustomTokenExchangeError,
)
from ..results import BulkExchangeResult
from ..secret import Unpicklable, conceal
from ..values import CustomTokenExchangeOptions
from .aiohttp_shell import check_store
from .drivers import AsyncWorld, cut_traceback, run_async


class _Machinery:
    """The tasks of one bulk exchange, and what they share."""

    def __init__(self, plan: BulkPlan, world: AsyncWorld) -> None:
        self.plan = plan
        self.world = world
        self.schedule = plan.schedule
        self.results: deque[BulkExchangeResult] = deque()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.failure: BaseException | None = None
        self.has_ended = False
        self._context = copy_context()
        self._input: Iterator[CustomTokenExchangeOptions] | None = None
        self._async_input: AsyncIterator[CustomTokenExchangeOptions] | None = None
        self._read: asyncio.Task[None] | None = None
        self._rows: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self._is_wanted = True

    def release(self) -> None:
        """Free the place of the result that was handed over last."""
        self.results.popleft()
        self.schedule.release()

    def advance(self) -> None:
        """Perform what comes next, until it is to wait."""
        if self.has_ended:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        assert self.loop is not None
        while True:
            step = self.schedule.find_next(self.plan.monotonic())
            match step:
                case Start(row):
                    self._start(row)
                case Read():
                    self._take_row()
                case Wait(seconds):
                    if seconds is not None:
                        self._timer = self.loop.call_later(seconds, self.advance)
                    return
                case End():
                    self._end()
                    return

    def stop(self) -> None:
        """Start no further row."""
        self._add(self.schedule.stop(self.plan.monotonic()))
        if self.loop is not None:
            self.advance()

    def abandon(self) -> None:
        """Start no further row, and drop the results."""
        self._is_wanted = False
        self.results.clear()
        self.schedule.stop(self.plan.monotonic())

    async def finish(self) -> None:
        """Wait until nothing is in flight any more."""
        while not self.has_ended:
            await self.wait()

    async def wait(self) -> None:
        """Wait for a result, or for the end."""
        assert self.loop is not None
        waiter = self.loop.create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _add(self, results: list[BulkExchangeResult]) -> None:
        if results and self._is_wanted:
            self.results.extend(results)
            self._wake()

    def _end(self) -> None:
        if self._read is not None:
            # The input hangs.  A generator ends with it.
            self._read.cancel()
        self.failure = self.schedule.make_failure()
        self.has_ended = True
        self._wake()

    def _start(self, row: Row) -> None:
        assert self.loop is not None
        task = self.loop.create_task(self._run(row), context=self._context.copy())
        self._rows.add(task)
        task.add_done_callback(self._rows.discard)

    async def _run(self, row: Row) -> None:
        outcome: Outcome | BaseException
        try:
            outcome = await run_async(self.plan.run_row(row), self.world)
        except Auth0Error as error:
            outcome = cut_traceback(error)
        except asyncio.CancelledError:
            # Not by the consumer, whose task is another one: by the end of the loop.
            outcome = AmbiguousError("the exchange's task was cancelled")
            self._add(self.schedule.stop(self.plan.monotonic()))
        except GeneratorExit:
            raise
        except BaseException as error:
            outcome = error
        schedule, now = self.schedule, self.plan.monotonic()
        if isinstance(outcome, BaseException) and not isinstance(
            outcome, CustomTokenExchangeError
        ):
            self._add(schedule.note_failure(row, outcome, now))
        else:
            self._add(schedule.note_outcome(row, outcome, now))
        self.advance()

    def _take_row(self) -> None:
        """Read a row: at once if the input is an ordinary iterable, else in a task."""
        options = self.plan.options
        if not isinstance(options, AsyncIterable):
            self._read_row(options)
            return
        if self._async_input is None:
            self._async_input = aiter(options)
        assert self.loop is not None
        self._read = self.loop.create_task(
            self._await_row(self._async_input), context=self._context
        )

    def _read_row(self, options: Iterable[CustomTokenExchangeOptions]) -> None:
        try:
            if self._input is None:
                self._input = iter(options)
            row = conceal(next(self._input))
        except StopIteration:
            self.schedule.note_end_of_input()
        except BaseException as error:
            self.schedule.note_end_of_input(error)
        else:
            self._note_row(row)

    async def _await_row(self, rows: AsyncIterator[CustomTokenExchangeOptions]) -> None:
        try:
            row = conceal(await anext(rows))
        except StopAsyncIteration:
            self.schedule.note_end_of_input()
        except GeneratorExit:
            raise
        except BaseException as error:
            self.schedule.note_end_of_input(error)
        else:
            self._note_row(row)
        self._read = None
        self.advance()

    def _note_row(self, row: Any) -> None:
        result = self.schedule.note_read(row)
        self._add([] if result is None else [result])


class AsyncBulkExchange(Unpicklable):
    """An async iterator over the results of ``exchange_many``, and an async context manager.

    Leave the ``async with`` block, or call ``aclose``, before the end, and no further row starts.
    Those in flight end, and their results are dropped.  To get them too, call ``stop`` and
    iterate on.  A cancellation while you wait for the next result loses nothing either: iterate
    on.
    """

    def __init__(self, plan: BulkPlan, world: AsyncWorld) -> None:
        self._machinery = _Machinery(plan, world)
        check_store(plan.pace, "pace")
        self._handed_over: BulkExchangeResult | None = None
        self._is_finished = self._is_iterating = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BulkExchangeResult:
        if self._is_iterating:
            raise RuntimeError("the results are iterated over in another task")
        self._is_iterating = True
        try:
            return await self._find_next()
        finally:
            self._is_iterating = False

    async def _find_next(self) -> BulkExchangeResult:
        machinery = self._machinery
        if self._is_finished:
            raise StopAsyncIteration
        loop = asyncio.get_running_loop()
        if machinery.loop is None:
            machinery.loop = loop
        elif machinery.loop is not loop:
            raise ConfigurationError(
                "this bulk exchange belongs to the event loop that began it"
            )
        if self._handed_over is not None:
            self._handed_over = None
            machinery.release()
        machinery.advance()
        while not machinery.results:
            if machinery.has_ended:
                self._is_finished = True
                if machinery.failure is None:
                    raise StopAsyncIteration
                raise machinery.failure
            await machinery.wait()
        self._handed_over = machinery.results[0]
        return self._handed_over

    def stop(self) -> None:
        """Start no further row: iterating yields those in flight, and ends.

        Call it on the event loop; from a signal handler or a thread, with
        ``loop.call_soon_threadsafe(results.stop)``.
        """
        machinery = self._machinery
        if machinery.loop is None:
            self._is_finished = True
        machinery.stop()

    async def aclose(self) -> None:
        """Start no further row, wait for those in flight, and drop their results."""
        machinery = self._machinery
        self._is_finished = True
        machinery.abandon()
        if machinery.loop is not None:
            machinery.advance()
            await machinery.finish()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        machinery = self._machinery
        machinery.abandon()
        # It may be freed in another thread.  A loop that is closed has nothing to wake.
        if machinery.loop is not None and not machinery.has_ended:
            with suppress(RuntimeError):
                machinery.loop.call_soon_threadsafe(machinery.advance)
