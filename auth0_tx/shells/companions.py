"""Companions: flows that run beside another one, every second or so, until it ends.

A flow that holds a lock while a server thinks must renew it meanwhile.  In asyncio a
companion runs in a task of its own, which ends with the flow.

A thread that waits for a socket can do nothing else.  So one daemon thread of the process
runs the companions of all threads.  It starts with the first of them, and ends when there has
been none for some seconds.  It shares no lock with the threads that it serves: a signal's
exception may cut a thread at any instruction, and a lock that it held then would stay locked.
They share a deque instead, whose methods are single steps of the interpreter:

1. A thread appends its company, then makes sure that the companion thread runs.
2. The companion thread takes what was appended, and looks at the clock a few times a second.
   It sleeps with ``time.sleep``, which gevent replaces however late it is asked to.
3. Companions that are due are run by a second thread, one after the other.  If that takes
   longer than a moment, as one of them waits for a store that hangs, each of the others gets
   a thread: nobody's lock is lost because of somebody else's store.
4. It resigns before its last look at the deque.  So whoever appends later finds that there
   is no thread, and starts one.  Two threads at the same moment do no harm: each serves the
   companies that it took.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, TypeVar

import attrs

from ..clocks import read_monotonic
from ..core.effects import Accompany, Begin, Flow
from .after_fork import register_renewable, renew_if_forked

T = TypeVar("T")

_STEP = 0.2
"""Seconds between two looks at the clock.  A companion may be so much late."""

_LONGEST_PASS = 0.5
"""Seconds for which one thread runs what is due before each of the rest gets another."""

_LONGEST_IDLE = 5.0
"""Seconds for which the thread waits for another company before it ends."""

log: logging.Logger = logging.getLogger("auth0_tx")


@attrs.define(eq=False, repr=False)
class _Company:
    """A flow that is accompanied, and when its companion is next due."""

    companion: Callable[[], Flow[None]] = attrs.field(repr=False)
    run: Callable[[Flow[None]], None] = attrs.field(repr=False)
    seconds: float
    due: float
    # What the thread has in context variables, such as a web framework's request.
    context: Context = attrs.field(factory=copy_context)
    has_ended: bool = False
    # From the moment when it is due until it has run: nobody runs it twice at a time.
    is_due: bool = False


class CompanionThread:
    """The thread that runs the companions of all threads of this process."""

    __slots__ = ("__weakref__", "_arrivals", "_thread")

    def __init__(self) -> None:
        self.renew()
        register_renewable(self)

    def renew(self) -> None:
        """Start over without companies: their threads are the parent's, and so is ours."""
        self._arrivals: deque[_Company] = deque()
        self._thread: threading.Thread | None = None

    def accompany(self, effect: Accompany[T], run: Callable[[Flow[Any]], Any]) -> T:
        """Run the flow of *effect* in this thread, and its companion beside it."""
        renew_if_forked()
        due = read_monotonic() + effect.seconds
        company = _Company(effect.companion, run, effect.seconds, due)
        try:
            self._arrivals.append(company)
            thread = self._thread
            # One that was about to start when its starter was interrupted never did.
            if thread is None or not thread.is_alive():
                self._start()
            result: T = run(effect.flow())
            return result
        finally:
            company.has_ended = True

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._work, name="auth0_tx companions", daemon=True
        )
        self._thread = thread
        try:
            thread.start()
        except RuntimeError:
            # There is no thread to be had, or the interpreter ends.  The flow goes on
            # without a companion: it may be taken for dead if it lasts long.
            self._thread = None

    def _work(self) -> None:
        companies: list[_Company] = []
        due: deque[_Company] = deque()
        idle_since = read_monotonic()
        while True:
            time.sleep(_STEP)
            self._take_arrivals(companies)
            for company in companies:
                if not company.is_due and read_monotonic() >= company.due:
                    company.is_due = True
                    due.append(company)
            if due:
                _run_beside(due)
            companies = [company for company in companies if not company.has_ended]
            if companies:
                idle_since = read_monotonic()
            elif read_monotonic() - idle_since >= _LONGEST_IDLE:
                self._thread = None
                if not self._arrivals:
                    return
                self._thread = threading.current_thread()

    def _take_arrivals(self, companies: list[_Company]) -> None:
        try:
            while True:
                companies.append(self._arrivals.popleft())
        except IndexError:
            return


companion_thread: CompanionThread = CompanionThread()


def begin_beside(
    effect: Begin, run: Callable[[Flow[Any]], Any]
) -> threading.Thread | None:
    """Return a thread that runs the flow of *effect*, if one is to be had."""
    # What this one has in context variables, such as a web framework's request.
    context = copy_context()

    def work() -> None:
        try:
            context.run(run, effect.flow())
        except Exception:
            log.exception("a flow beside a call failed")

    thread = threading.Thread(target=work, name="auth0_tx beside a call", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


def _run_beside(due: deque[_Company]) -> None:
    """Run the companions that are *due* in another thread, and wait for it a moment."""
    worker = _start_worker(due)
    if worker is None:
        _run_all(due)
        return
    worker.join(_LONGEST_PASS)
    # Something hangs, and what is left may hang as well: each gets a thread.
    for _ in range(len(due)):
        _start_worker(due)


def _start_worker(due: deque[_Company]) -> threading.Thread | None:
    """Return a thread that runs the companions that are *due*, if one is to be had."""
    worker = threading.Thread(
        target=_run_all, args=(due,), name="auth0_tx companions at work", daemon=True
    )
    try:
        worker.start()
    except RuntimeError:
        return None
    return worker


def _run_all(due: deque[_Company]) -> None:
    with suppress(IndexError):
        while True:
            company = due.popleft()
            if not company.has_ended:
                _run_companion(company)


def _run_companion(company: _Company) -> None:
    try:
        company.context.run(company.run, company.companion())
    except Exception:
        log.exception("a companion of a flow failed")
    finally:
        # Also after what is not an ``Exception``, which ends this thread only.
        company.due = read_monotonic() + company.seconds
        company.is_due = False


async def accompany(
    effect: Accompany[T], run: Callable[[Flow[Any]], Coroutine[Any, Any, Any]]
) -> T:
    """Run the flow of *effect* in this task, and its companion in another beside it."""
    # Not at the top: a blocking client must not pay for importing asyncio.
    from asyncio import create_task, sleep, wait

    has_ended = False

    async def go_along() -> None:
        # Not for ever: a store's client may swallow the cancellation below.
        while not has_ended:
            await sleep(effect.seconds)
            try:
                await run(effect.companion())
            except Exception:
                log.exception("a companion of a flow failed")

    companion = create_task(go_along())
    try:
        result: T = await run(effect.flow())
    except GeneratorExit:
        # The coroutine is being closed, and must not await anything.
        companion.cancel()
        raise
    except BaseException:
        has_ended = True
        companion.cancel()
        await wait({companion})
        raise
    has_ended = True
    companion.cancel()
    # Whoever goes on must not find the companion's command still under way.
    await wait({companion})
    return result
