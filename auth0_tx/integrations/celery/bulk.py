"""A bulk exchange by a fleet of workers: rows in Redis, batches in messages, one pace for all.

1. ``send`` seals each row in Redis under a handle, and puts the handles of a batch into a
   message.  So no message holds a token.
2. A worker runs the batch through ``exchange_many``.  A row is *begun* in one step of Redis just
   before it is sent: its sealed text is replaced by a mark.  Of two workers with the same
   message, as after a redelivery, one gets the row.
3. The application's function keeps the result, and then the mark says so.
4. Rows that were not sent, or that may be sent again, stay in Redis, or go back there.  The
   message is tried again with them, until none is left.

So a worker may die at any moment.  Its message is delivered again, and each of its rows is in one
of four states: sealed, and is sent; kept, and is passed over; begun a moment ago, and is looked
at later, as a worker may still be at it; begun long ago, and is ambiguous.  An ambiguous row is
never sent again.

A batch ends early when its time is up, or when the pace would have it wait for long: a message
that waits in a worker is unacknowledged, and brokers give up on those.  Its time is half of the
task's time limits at most, and rows that have not been sent after three quarters are left: after
a hard time limit, Celery acknowledges the message, and the handles of all its rows would be gone.
For the same reason a run does not fail: whatever goes wrong, the rows that are left are in a new
message, in the report, or in the message that is requeued.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
from celery import Celery, uuid
from celery.backends.base import DisabledBackend
from celery.exceptions import Reject, SoftTimeLimitExceeded
from celery.result import GroupResult

from ...client import ServerClient
from ...clocks import read_monotonic
from ...core.bulk.schedule import is_shared_by_all
from ...core.bulk.shared_pace import is_pace_code
from ...errors import (
    AmbiguousError,
    Auth0Error,
    BulkStoppedError,
    ConfigurationError,
    InvalidInputError,
    NotSentError,
    StoreError,
)
from ...results import BulkExchangeResult
from ...secret import Unpicklable, conceal
from ...shells.bulk_threads import BulkExchange
from ...stores import RedisPace
from ...values import CustomTokenExchangeOptions
from ..token_vault import Entry
from .bulk_rows import BulkRows, format_result, parse_options, parse_result
from .task import TokenExchangeTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

log: logging.Logger = logging.getLogger("auth0_tx.celery")

Keep: TypeAlias = Callable[[str, BulkExchangeResult], object]
"""Keeps the result of a row, whose key it is told."""

_LONGEST_BATCH = 300.0
"""Seconds for which a batch begins rows.  RabbitMQ gives a worker 30 minutes for a message."""

_LONGEST_WAIT = 60.0
"""Seconds that a row waits for its turn in a worker.  For longer, its message waits."""

_LONGEST_COUNTDOWN = 600.0
_LOOK_AGAIN = 30.0
"""Seconds after which a message is tried again whose rows another worker may be at."""

_MOST_TRIES = 5
"""How often a row is tried that fails in a way that allows it."""

_MOST_BATCH = 10_000


@attrs.frozen
class _Row:
    """A row as a message has it.

    Attributes:
        key: the application's name for it.
        handle: what it is found by in Redis.
        tries: how often it was sent.
    """

    key: str
    handle: str
    tries: int = 0


@attrs.define
class _Batch:
    """A run of a message.

    Attributes:
        counts: how many rows were exchanged, failed, were ambiguous.
        pending: the rows that were not looked at yet.
        begun: those that are being sent, and what they were sealed as, by index.
        found: rows that have a result before they are sent, and what they were sealed as.
        left: the rows to try again.
        wait: seconds until then.
        stopped: the code of the error that stopped it, if no row is to be tried again.
    """

    counts: dict[str, int]
    pending: deque[_Row]
    begun: dict[int, tuple[_Row, Entry]] = attrs.field(factory=dict)
    found: deque[tuple[_Row, BulkExchangeResult, Entry | None]] = attrs.field(
        factory=deque
    )
    left: list[_Row] = attrs.field(factory=list)
    wait: float = 0.0
    stopped: str | None = None

    def leave(self, row: _Row, wait: float = 0.0) -> None:
        """Have *row* tried again, after *wait* seconds or more."""
        self.left.append(row)
        self.wait = max(self.wait, wait)


class BulkExchangeTasks(Unpicklable):
    """Exchange many tokens by the workers of a Celery application, at one pace.

    Make it where your tasks are, in the senders and the workers alike.  Then ``send`` rows.
    Each worker runs batches of them with ``exchange_many``, and calls *keep* with the result of
    each row: a response, or an error that is final.

    Each row is sent once.  If a worker dies, its rows whose outcome nobody knows are given to
    *keep* with an ``AmbiguousError``, unless they had not been begun.  *keep* may then have been
    called with the row's result before: have it pass over a row that it has.

    Args:
        app: the Celery application.
        keep: called in a worker with a row's key and its ``BulkExchangeResult``.  If it raises,
            the result is sealed in Redis, and it is called again later.
        client: the client, or a function that returns one.
        redis: a ``redis.Redis``, used as ``RedisStore`` uses it, which all workers share.
        secret: seals rows, or several, newest first.  The same for all who send and work.  The
            newest has 32 characters or more.
        rate: the most exchanges to start in a second, by all workers together.
        concurrency: the most exchanges in flight at once in a worker process.
        name: the name of the task, and of the pace.
        ttl: seconds that a row is kept: longer than the whole job takes.
        prefix: the beginning of all keys.
        abandoned_after: seconds after which a row that was begun, and whose outcome nobody
            knows, is ambiguous: longer than a worker may be at a row, its pauses included.
        timeout: seconds after which a command of Redis has failed.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    def __init__(
        self,
        app: Celery,
        keep: Keep,
        *,
        client: ServerClient | Callable[[], ServerClient],
        redis: redis.Redis,
        secret: str | Sequence[str],
        rate: float,
        concurrency: int = 10,
        name: str = "auth0_tx.bulk_exchange",
        ttl: float = 86_400.0,
        prefix: str = "auth0_tx:bulk:",
        abandoned_after: float = 1_200.0,
        timeout: float = 1.0,
    ) -> None:
        secret = conceal(secret)
        if not callable(keep):
            raise ConfigurationError("keep must be a function", parameter="keep")
        if not isinstance(client, ServerClient) and not callable(client):
            raise ConfigurationError(
                "client must be a ServerClient, or a function that returns one",
                parameter="client",
            )
        if type(concurrency) is not int or concurrency < 1:
            raise ConfigurationError(
                "concurrency must be a whole number, at least 1",
                parameter="concurrency",
            )
        self._app = app
        self._keep = keep
        self._client = client
        self._concurrency = concurrency
        self._abandoned_after = abandoned_after
        self._look_again = min(_LOOK_AGAIN, abandoned_after)
        self._rows = BulkRows(redis, secret, ttl, prefix, timeout)
        self._pace = RedisPace(
            redis, rate=rate, name=name, longest_wait=_LONGEST_WAIT, timeout=timeout
        )

        def run(task: Any, rows: list[Any], counts: dict[str, int]) -> Any:
            pending = deque(_Row(*row) for row in rows)
            return self._run(task, _Batch(dict(counts), pending))

        define: Any = app.task(
            bind=True,
            base=TokenExchangeTask,
            name=name,
            shared=False,
            # When it has ended: to deliver the message again does no harm.
            acks_late=True,
            # Since Celery 5.7: not even if it has ended at a hard time limit.
            acks_on_timeout=False,
            reject_on_worker_lost=True,
            autoretry_for=(),
            max_retries=None,
        )
        self.task: Any = define(run)

    def __repr__(self) -> str:
        return f"BulkExchangeTasks({self.task.name!r})"

    def send(
        self,
        rows: Iterable[tuple[str, CustomTokenExchangeOptions]],
        *,
        batch: int = 100,
    ) -> GroupResult:
        """Send rows to the workers, and return the results of their batches.

        The result of each batch is a report, once none of its rows is left: how many rows were
        ``exchanged``, ``failed`` and ``ambiguous``; why it was ``stopped``, if it was, as by a block
        of the source address; and what is ``left`` then, for ``send_left``.

        Args:
            rows: pairs of a key, by which *keep* knows the row, and the row's options.
            batch: rows in a message.

        Raises:
            InvalidInputError: a row is not such a pair; a note says how many rows were sent.
            StoreError: Redis failed; as before.
        """
        if type(batch) is not int or not 0 < batch <= _MOST_BATCH:
            raise InvalidInputError(
                f"batch must be a whole number, from 1 to {_MOST_BATCH}",
                parameter="batch",
            )
        sent: list[Any] = []
        waiting: list[_Row] = []
        try:
            for row in rows:
                key, options = _check_row(row)
                waiting.append(_Row(key, self._rows.put(options)))
                if len(waiting) == batch:
                    sent.append(self._send(waiting))
                    waiting = []
            if waiting:
                sent.append(self._send(waiting))
        except Exception as error:
            error.add_note(f"the first {len(sent) * batch} rows were sent")
            raise
        return GroupResult(uuid(), sent, app=self._app)

    def send_left(self, report: dict[str, Any]) -> Any:
        """Send what a report has ``left``, and return the result of that batch."""
        return self._send([_Row(*row) for row in report["left"]])

    def _send(self, rows: list[_Row]) -> Any:
        counts = {"exchanged": 0, "failed": 0, "ambiguous": 0}
        return self.task.apply_async((list(map(attrs.astuple, rows)), counts))

    def _run(self, task: Any, batch: _Batch) -> dict[str, Any]:
        """Run a batch, and have its message tried again if a row is left."""
        interrupt = self._exchange(task, batch)
        batch.left.extend(batch.pending)
        batch.left.extend(row for row, _, _ in batch.found)
        # Whose outcome an interrupt has kept from us: looked at again, and ambiguous then.
        for row, _ in batch.begun.values():
            batch.leave(row, self._look_again)
        if batch.left and batch.stopped is not None and not _has_report(task):
            log.error("a bulk exchange waits, as it was stopped: %s", batch.stopped)
            batch.stopped, batch.wait = None, _LONGEST_COUNTDOWN
        is_to_fail = interrupt is not None and not isinstance(
            interrupt, SoftTimeLimitExceeded
        )
        rows = list(map(attrs.astuple, batch.left))
        if rows and batch.stopped is None:
            self._try_again(task, batch, rows, throw=not is_to_fail)
        if interrupt is not None and is_to_fail:
            raise interrupt
        return {**batch.counts, "stopped": batch.stopped, "left": rows}

    def _try_again(
        self, task: Any, batch: _Batch, rows: list[Any], *, throw: bool
    ) -> None:
        """Send a message with the rows that are left; raise what tells Celery so."""
        try:
            task.retry(
                args=(rows, batch.counts),
                kwargs={},
                countdown=min(
                    batch.wait, _LONGEST_COUNTDOWN, _find_visibility(task) / 2
                ),
                throw=throw,
            )
        except Reject as error:
            # The broker took no message.  The one that we have is to come again.
            reason = type(getattr(error, "reason", None)).__name__
        else:
            return
        raise Reject(f"no message could be sent: {reason}", requeue=True)

    def _exchange(self, task: Any, batch: _Batch) -> BaseException | None:
        """Exchange the rows; return what interrupted it, such as a soft time limit."""
        seconds = _find_longest_batch(task)
        try:
            client = self._client
            if not isinstance(client, ServerClient):
                client = client()
            results = client.exchange_many(
                self._begin_rows(batch, seconds),
                concurrency=self._concurrency,
                pace=self._pace,
            )
        except Auth0Error as error:
            log.error("a bulk exchange cannot run: %s", error)
            batch.stopped = str(error.code)
            return None
        except Exception as error:
            _log_failure("the client of a bulk exchange could not be had", error)
            batch.wait = self._look_again
            return None
        # For rows that wait: for their turn, or for the end of a pause.
        timer = threading.Timer(1.5 * seconds, results.stop)
        timer.daemon = True
        with suppress(RuntimeError):
            # Without a thread to be had, there is none for a row either.
            timer.start()
        interrupt = self._settle_all(results, batch)
        timer.cancel()
        if interrupt is not None:
            return interrupt
        try:
            # Here, as rows are begun in another thread than that of the application's function.
            while batch.found:
                self._keep_result(*batch.found[0], batch)
                batch.found.popleft()
        except BaseException as error:
            return error
        return None

    def _settle_all(self, results: BulkExchange, batch: _Batch) -> BaseException | None:
        """Settle each row; return what interrupted it, such as a soft time limit."""
        interrupt: BaseException | None = None
        while True:
            try:
                for result in results:
                    self._settle(result, batch)
            except BulkStoppedError as error:
                if is_pace_code(error.code):
                    batch.wait = max(batch.wait, error.retry_after or self._look_again)
                else:
                    batch.stopped = str(error.code)
            except StoreError as error:
                # Of the input, after the results of all rows that were begun.
                log.warning("a batch of a bulk exchange waits: %s", error)
                batch.wait = max(batch.wait, self._look_again)
            except BaseException as error:
                if interrupt is not None:
                    # Whoever interrupts again wants to go.
                    return error
                # What Auth0 issues to those in flight is kept first.
                interrupt = error
                results.stop()
                continue
            return interrupt

    def _begin_rows(
        self, batch: _Batch, seconds: float
    ) -> Iterator[CustomTokenExchangeOptions]:
        """Yield the options of each row that is to be sent, and is begun then."""
        ends = read_monotonic() + seconds
        index = 0
        while batch.pending and read_monotonic() < ends:
            row = batch.pending[0]
            state, value = self._rows.begin(row.handle)
            batch.pending.popleft()
            match state, value:
                case "sealed", Entry() as entry:
                    batch.begun[index] = row, entry
                    index += 1
                    yield parse_options(entry.token)
                case "result", Entry() as entry:
                    batch.found.append((row, parse_result(entry.token), entry))
                case "begun", float() as ago if ago < self._abandoned_after:
                    batch.leave(row, self._look_again)
                case "kept", _:
                    log.debug("a row of a bulk exchange was kept before")
                case _:
                    batch.found.append((row, _make_lost(), None))

    def _settle(self, result: BulkExchangeResult, batch: _Batch) -> None:
        """Keep the result of a row, or leave the row for another try."""
        row, entry = batch.begun[result.index]
        error = result.error
        if error is not None and (error.retry_safe or is_shared_by_all(error)):
            tries = row.tries + (not isinstance(error, NotSentError))
            if tries < _MOST_TRIES:
                self._put_back(row.handle, entry)
                again = attrs.evolve(row, tries=tries)
                # At once would be in vain, if there is no network.
                batch.leave(again, error.retry_after or self._look_again)
                del batch.begun[result.index]
                return
        self._keep_result(row, result, entry, batch)
        del batch.begun[result.index]

    def _keep_result(
        self, row: _Row, result: BulkExchangeResult, entry: Entry | None, batch: _Batch
    ) -> None:
        try:
            self._keep(row.key, result)
        except BaseException as error:
            if entry is not None:
                kept = entry._replace(token=format_result(result))
                self._put_back(row.handle, kept, is_result=True)
            # A soft time limit is an Exception, and strikes here first, as elsewhere it is short.
            if not isinstance(error, Exception) or isinstance(
                error, SoftTimeLimitExceeded
            ):
                raise
            _log_failure("the result of a row of a bulk exchange was not kept", error)
            batch.leave(row, self._look_again)
            return
        self._rows.note_kept(row.handle)
        if result.response is not None:
            batch.counts["exchanged"] += 1
        elif isinstance(result.error, AmbiguousError):
            batch.counts["ambiguous"] += 1
        else:
            batch.counts["failed"] += 1

    def _put_back(self, handle: str, entry: Entry, *, is_result: bool = False) -> None:
        try:
            self._rows.put_back(handle, entry, is_result=is_result)
        except StoreError as error:
            # It stays begun, and is ambiguous later.  Those in flight are more important.
            log.warning("a row of a bulk exchange could not be put back: %s", error)


def _make_lost() -> BulkExchangeResult:
    # One for each row, as an error collects the frames that it passes.
    error = AmbiguousError(
        "the row was begun and its outcome is not known, or it has expired"
    )
    return BulkExchangeResult(index=0, error=error)


def _find_longest_batch(task: Any) -> float:
    """Return for how many seconds a batch may begin rows."""
    limits = [*(task.request.timelimit or ()), task.time_limit, task.soft_time_limit]
    limits.append(_find_visibility(task))
    return min([_LONGEST_BATCH, *(float(limit) / 2 for limit in limits if limit)])


def _find_visibility(task: Any) -> float:
    """Return after how many seconds the broker delivers an unacknowledged message again.

    That does the rows no harm, but each copy of the message would be tried again by itself.
    """
    options = task.app.conf.broker_transport_options or {}
    return float(options.get("visibility_timeout") or inf)


def _has_report(task: Any) -> bool:
    """Return whether anybody can read what a run of the task returns."""
    if task.request.is_eager:
        return True
    is_ignored = task.ignore_result or task.request.ignore_result
    return not is_ignored and not isinstance(task.backend, DisabledBackend)


def _log_failure(message: str, error: BaseException) -> None:
    """Log where the application's function failed, and not with what words.

    The text of a database's error may quote what was to be written, and loggers that show local
    variables would show what the function was given.
    """
    places = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s: %s\n%s", message, type(error).__name__, places)


def _check_row(row: object) -> tuple[str, CustomTokenExchangeOptions]:
    match row:
        case (str() as key, CustomTokenExchangeOptions() as options):
            return key, options
        case _:
            del row
            raise InvalidInputError(
                "rows must be pairs of a key and CustomTokenExchangeOptions",
                parameter="rows",
            )
