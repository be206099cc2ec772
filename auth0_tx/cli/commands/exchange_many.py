"""``auth0-tx exchange-many``: exchange a file of tokens, each of them once.

Theory of operation. Everything runs on one event loop, so nothing here needs a lock:

1. The input is surveyed, and the record of the run is opened (:mod:`..bulk.run_record`).
2. :meth:`_Run.iterate_options` hands rows to ``AsyncServerClient.exchange_many``, which takes
   one exactly when it is about to send it. Before it hands a row out, the generator notes
   in the journal that the row is begun. Rows that are done are passed over; rows that were
   begun by a run that was killed get the outcome ``ambiguous``, and are passed over too.
3. :meth:`_Run.note_result` writes the outcome of a row. The bulk exchange gives the row's
   place to another one only when it is asked for the next result, and so after that.
4. A signal stops the bulk exchange; the rows in flight end, and are noted. The same happens
   if all further rows would fail, and if an outcome cannot be written.

A row that a stop has left unsent goes back to the state it had before it was begun. So does
one that was refused for the reason that stopped the run, as that has nothing to do with its
token: a blocked address, a wrong client secret. A resumed run sends them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import attrs

from ...clocks import read_monotonic
from ...core.bulk.schedule import is_shared_by_all
from ...core.wire.grants import check_exchange
from ...errors import (
    AmbiguousError,
    BulkStoppedError,
    CustomTokenExchangeError,
    InvalidInputError,
)
from ...results import BulkExchangeResult
from ...values import (
    CustomTokenExchangeOptions,
    TokenExchangeResponse,
)
from ..arguments import Parser, parse_count, parse_rate
from ..bulk.failures_table import FailuresTable
from ..bulk.run_record import JOURNAL_SUFFIX, SPARE_SUFFIX, Header, RowState, RunRecord
from ..bulk.token_table import Row, Survey, TokenTable, survey_table
from ..client_options import (
    ACTOR_TOKEN,
    CLIENT_SECRET,
    SIGNING_KEY,
    SUBJECT_TOKEN,
    add_client_options,
    refuse_secrets,
)
from ..console import Console
from ..exchange_options import (
    add_exchange_options,
    read_exchange_keywords,
    read_parameters,
)
from ..failures import (
    CommandError,
    error_to_json,
    format_error,
    format_reason,
)
from ..progress import Progress, choose_progress
from ..rendering.bulk_report import BulkCounts, format_summary, summary_to_json
from ..rendering.exchange_report import response_to_json
from ..secret_sources import check_stdin_once, locate, read_secret
from ..signals import StopSignal, run_stoppable

if TYPE_CHECKING:
    from ...aio import AsyncServerClient
    from ...shells.bulk_tasks import AsyncBulkExchange

DESCRIPTION = """\
Exchange a CSV file of tokens for Auth0 tokens, each of them once, even if the command is
killed on the way and resumed."""
EPILOG = """\
The file's first line names its columns: subject_token, and any of subject_token_type,
audience, scope, organization, actor_token, actor_token_type, id and param.NAME. A column
that is missing, or a cell that is empty, takes the value of the option. An id is yours: it
is copied to the results.

The results are JSON lines, one for each row, as they come: its row (1 is the first below the
header), id and outcome, and the tokens or the error. An outcome is ok, error, or ambiguous:
the row may have been sent, and nobody knows what became of it. They contain tokens, so only
you may read the file. The journal beside it (.begun) contains none.

The first Ctrl-C or SIGTERM lets the rows in flight end; a second one does not. Secrets come
from files and variables, as for auth0-tx exchange."""

_CONCURRENCY = 50
_MAX_CONNECTIONS = 100
_REFRESH_SECONDS = 0.2
_ANY_TEXT = "anything"

_KILLED = AmbiguousError(
    "an earlier run ended while this row was in flight",
    "interrupted",
    tokens_issued=True,
)


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("input", metavar="FILE", help="the CSV file of tokens")
    add("--out", metavar="PATH", required=True, help="where the results go")
    add(
        "--resume",
        action="store_true",
        help="go on with the results of an earlier run, if there are any",
    )
    add(
        "--retry-failed",
        action="store_true",
        help="with --resume: send failed rows again that are safe to retry",
    )
    add("--errors-to", metavar="PATH", help="a CSV file of the rows that failed")
    add(
        "--concurrency",
        metavar="N",
        type=parse_count,
        help=f"exchanges in flight at once; {_CONCURRENCY} by default",
    )
    add(
        "--rate",
        metavar="R",
        type=parse_rate,
        help="exchanges to start in a second; as many as Auth0 allows by default",
    )
    add_client_options(parser)
    add_exchange_options(parser)
    refuse_secrets(parser, SUBJECT_TOKEN, ACTOR_TOKEN)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Exchange the rows that have no outcome, and show a summary.

    Raises:
        CommandError: something is missing, or cannot be read or written.
        CustomTokenExchangeError: a keyword of the client breaks a rule.
    """
    if arguments.retry_failed and not arguments.resume:
        raise CommandError("--retry-failed needs --resume")
    check_stdin_once(
        locate(source, arguments)
        for source in (ACTOR_TOKEN, CLIENT_SECRET, SIGNING_KEY)
    )
    from ...aio import AsyncServerClient

    keywords = read_exchange_keywords(arguments, console)
    defaults = _read_defaults(arguments, console)
    most = keywords.get("max_connections", _MAX_CONNECTIONS)
    concurrency = arguments.concurrency or min(_CONCURRENCY, most)
    # Before any file is created: a wrong keyword must leave nothing behind.
    client = AsyncServerClient(
        **{**keywords, "max_connections": max(concurrency, most)}
    )
    with ExitStack() as stack:
        file = stack.enter_context(_open_input(arguments.input))
        survey = survey_table(file)
        if not defaults.subject_token_type and (
            "subject_token_type" not in survey.columns
        ):
            raise CommandError(
                "the subject token type is missing",
                hint="pass --subject-token-type URI, or add the column",
            )
        _check_defaults(defaults)
        failures = _open_failures(arguments)
        record = stack.enter_context(
            RunRecord.open(
                arguments.out,
                _make_header(survey, keywords, arguments),
                resume=arguments.resume,
                may_retry=_may_retry if arguments.retry_failed else None,
                spare_rows=concurrency,
            )
        )
        bulk_run = _Run(file, survey, record, defaults)
        error = bulk_run.perform(client, concurrency, arguments.rate, console)
        counts, codes = bulk_run.count(), record.count_codes()
        record.sync()
        if failures is not None:
            failures.write(record.iterate_outcomes())
    if error is not None:
        console.log(*format_error("auth0-tx exchange-many", error))
    if arguments.json:
        stopped_by = bulk_run.stopped_by
        members = None if error is None else error_to_json(error)
        console.write_json(summary_to_json(counts, codes, stopped_by, members))
    else:
        retry_safe = record.retry_safe
        console.write(
            format_summary(counts, codes, console.style, retry_safe=retry_safe)
        )
    if bulk_run.signal_status is not None:
        return bulk_run.signal_status
    return 0 if counts.ok == counts.rows and error is None else 1


@attrs.define
class _Run:
    """One run over the rows of the input."""

    file: BinaryIO
    survey: Survey
    record: RunRecord
    defaults: CustomTokenExchangeOptions = attrs.field(repr=False)
    # The rows in flight, by the index that the bulk exchange gives them.
    in_flight: dict[int, Row] = attrs.field(factory=dict, repr=False)
    is_stopping: bool = False
    failure: CommandError | None = None
    signal_status: int | None = None
    started_at: float = attrs.field(factory=read_monotonic)
    done_before: int = 0

    @property
    def stopped_by(self) -> Literal["signal", "error"] | None:
        """The kind of event that stopped the run before the end of its input."""
        if self.signal_status is not None:
            return "signal"
        return "error" if self.is_stopping else None

    def perform(
        self,
        client: AsyncServerClient,
        concurrency: int,
        rate: float | None,
        console: Console,
    ) -> CommandError | BulkStoppedError | None:
        """Exchange the rows; return the error that stopped the run, if one did."""
        self.done_before = self.count().done

        async def exchange(received: StopSignal) -> None:
            async with client:
                bulk = client.exchange_many(
                    self.iterate_options(), concurrency=concurrency, rate=rate
                )
                with choose_progress(console) as progress:
                    await self._exchange(bulk, progress, received)
            if received.number is not None:
                self.signal_status = received.status

        try:
            run_stoppable(exchange)
        except (CommandError, BulkStoppedError) as error:
            self.is_stopping = True
            return self.failure or error
        return self.failure

    def count(self) -> BulkCounts:
        """Return how many rows are in which state now."""
        record = self.record
        ok, failed, ambiguous = (
            record.count(state)
            for state in (RowState.OK, RowState.ERROR, RowState.AMBIGUOUS)
        )
        done = ok + failed + ambiguous
        return BulkCounts(
            rows=self.survey.rows,
            ok=ok,
            failed=failed,
            ambiguous=ambiguous,
            left=self.survey.rows - done,
            here=done - self.done_before,
            seconds=read_monotonic() - self.started_at,
        )

    def iterate_options(self) -> Iterator[CustomTokenExchangeOptions]:
        """Yield the rows to send, each of them noted as begun.

        Raises:
            CommandError: the input cannot be read on, or a note cannot be written.
        """
        index = 0
        table = TokenTable(self.file)
        for row in table.iterate_rows():
            if row.number > self.survey.rows:
                break
            state = self.record.get_state(row.number)
            if state is RowState.BEGUN:
                self._note_error(row, _KILLED)
            elif state is RowState.NEW and row.problem is not None:
                self._note_error(row, InvalidInputError(row.problem))
            elif state is RowState.NEW:
                self.record.note_begun(row.number)
                self.in_flight[index] = row
                index += 1
                yield row.make_options(self.defaults)
        if table.digest != self.survey.digest:
            raise CommandError(
                "the input was changed while it was read",
                hint="restore it, and pass --resume",
                status=1,
            )

    def note_result(self, result: BulkExchangeResult) -> None:
        """Write how a row ended.

        Raises:
            CommandError: it cannot be written.
        """
        row = self.in_flight.pop(result.index)
        if result.response is not None:
            members = _response_to_members(result.response)
            self.record.note_outcome(row.number, {"id": row.id, **members})
            return
        error = result.error
        assert error is not None
        is_shared = is_shared_by_all(error)
        self.is_stopping = self.is_stopping or is_shared
        if self.is_stopping and (is_shared or error.retry_safe):
            self.record.note_unsent(row.number)
        else:
            self._note_error(row, error)

    def _note_error(self, row: Row, error: CustomTokenExchangeError) -> None:
        members = _error_to_members(error)
        self.record.note_outcome(row.number, {"id": row.id, **members})

    async def _exchange(
        self, bulk: AsyncBulkExchange, progress: Progress, received: StopSignal
    ) -> None:
        def stop() -> None:
            self.is_stopping = True
            # Before anything is written: SIGHUP says that the terminal may be gone.
            bulk.stop()
            progress.log("stopping: waiting for the rows in flight")

        received.stop = stop
        ticker = asyncio.create_task(self._show(progress))
        try:
            async with bulk:
                async for result in bulk:
                    try:
                        self.note_result(result)
                    except CommandError as error:
                        # The outcomes of the rows in flight may still fit on the disk.
                        self.failure = self.failure or error
                        self.is_stopping = True
                        bulk.stop()
        finally:
            ticker.cancel()
            # Nobody may be reading the progress any more.
            with suppress(asyncio.CancelledError, OSError):
                await ticker

    async def _show(self, progress: Progress) -> None:
        while True:
            progress.show(self.count())
            await asyncio.sleep(_REFRESH_SECONDS)


@contextmanager
def _open_input(path: str) -> Iterator[BinaryIO]:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        reason = format_reason(error)
        raise CommandError(f"cannot read the input: {reason}") from None
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CommandError(
                "the input is not a regular file: it is read twice, and again to resume"
            )
        yield file


def _read_defaults(
    arguments: argparse.Namespace, console: Console
) -> CustomTokenExchangeOptions:
    return CustomTokenExchangeOptions(
        subject_token="",
        subject_token_type=arguments.subject_token_type or "",
        audience=arguments.audience,
        scope=arguments.scope,
        actor_token=read_secret(locate(ACTOR_TOKEN, arguments), console),
        actor_token_type=arguments.actor_token_type,
        organization=arguments.organization,
        authorization_params=read_parameters(arguments) or None,
    )


def _check_defaults(defaults: CustomTokenExchangeOptions) -> None:
    # A mistake in an option would be the outcome of every row that lacks the column.
    has_actor = defaults.actor_token is not None and bool(defaults.actor_token_type)
    check_exchange(
        attrs.evolve(
            defaults,
            subject_token=_ANY_TEXT,
            subject_token_type=defaults.subject_token_type or "urn:checked:later",
            # The other one may be in a column.
            actor_token=defaults.actor_token if has_actor else None,
            actor_token_type=defaults.actor_token_type if has_actor else None,
        )
    )


def _open_failures(arguments: argparse.Namespace) -> FailuresTable | None:
    if arguments.errors_to is None:
        return None
    out = os.path.realpath(arguments.out)
    taken = (out, out + JOURNAL_SUFFIX, out + SPARE_SUFFIX)
    if os.path.realpath(arguments.errors_to) in taken:
        raise CommandError("--errors-to names the --out file, or its journal")
    return FailuresTable(arguments.errors_to, resume=arguments.resume)


def _make_header(
    survey: Survey, keywords: Mapping[str, Any], arguments: argparse.Namespace
) -> Header:
    domain = keywords.get("domain")
    # The values of parameters and the actor token are secrets: nothing made from them is kept.
    settings = {
        "--domain": domain if isinstance(domain, str) else None,
        "--client-id": keywords.get("client_id"),
        "--subject-token-type": arguments.subject_token_type,
        "--actor-token-type": arguments.actor_token_type,
        "--audience": arguments.audience,
        "--scope": arguments.scope,
        "--organization": arguments.organization,
        "--param": sorted(name for name, _ in arguments.param),
    }
    return Header.make(survey.rows, survey.digest, settings)


def _may_retry(members: Mapping[str, Any]) -> bool:
    return members.get("retry_safe") is True


def _response_to_members(response: TokenExchangeResponse) -> dict[str, Any]:
    members = response_to_json(response, show_tokens=True)
    return {"outcome": "ok", **members, "expires_at": response.expires_at}


def _error_to_members(error: CustomTokenExchangeError) -> dict[str, Any]:
    outcome = "ambiguous" if isinstance(error, AmbiguousError) else "error"
    return {"outcome": outcome, **error_to_json(error), **_read_attached(error)}


def _read_attached(error: CustomTokenExchangeError) -> dict[str, str]:
    # What was issued with an error is the user's: the next step needs it.
    attached = {
        name: getattr(error, name, None) for name in ("mfa_token", "refresh_token")
    }
    return {name: value for name, value in attached.items() if value is not None}
