"""The record of a bulk run on disk: which rows were begun, and how each of them ended.

Theory of operation. A subject token may be good for one use, so a row must not be sent
twice, whenever the process is killed. Two files see to it:

- The **results** (``--out``) have one JSON object a line, one line for each row that has an
  outcome. They contain tokens, so only their owner may read them.
- The **journal** (the same name with ``.begun``) has a header line, and then the number of
  each row *before* the row is sent. It contains no token.

In this order: the journal notes that the row is begun, the row is sent, its outcome goes to
the results, and only then is its place given to another row. So after a kill every row is in
one of three states:

=====================  ======================================================================
neither file has it    it was not sent, and a resumed run sends it
both have it           it is done
only the journal does  it may have been sent; the outcome is ``ambiguous``, and it is not sent
                       again. There are at most as many of them as were in flight.
=====================  ======================================================================

A note survives the end of the process at once, and a power failure once the disk has it, which
it is made to every second.

Half a line at the end of either file is removed. Half a note was not complete when the
process ended, so its row had not been sent. Half an outcome leaves its row in the third
state.

The header names the input by its digest, and the settings that shape the requests by theirs:
to go on with another input, or at another tenant, is refused. The journal is locked for as
long as the run lasts, and stays when it is complete: it keeps the same rows from being sent
by a second run.

The disk may be full by the time that the rows in flight end, and their tokens would be lost. So
a third file (``.spare``) keeps room for their outcomes while a run lasts. It is removed when an
outcome cannot be written; no further row is begun then.

A row of a run that stops may turn out not to have been sent, or refused for a reason that has
nothing to do with its token. The journal then notes that it is to be begun again.

To send rows again that failed (``--retry-failed``), the journal first notes the same of
them, then their lines are removed from the results. A kill between the two steps
leaves the outcomes that they had.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from enum import IntEnum
from types import TracebackType
from typing import Any, Self

import attrs

from ...clocks import read_monotonic
from ..failures import CommandError, format_reason, system_failure
from .line_file import LineFile

JOURNAL_SUFFIX = ".begun"
SPARE_SUFFIX = ".spare"
SPARE_BYTES = 16_384
"""Bytes that are kept free for the outcome of each row in flight."""
SYNC_SECONDS = 1.0
"""Seconds between two waits for the disk: to wait after each note could take most of the time."""

_MOST_CODES = 100
_FORMAT = "auth0-tx exchange-many 1"


class RowState(IntEnum):
    """The state of a row, by the record."""

    NEW = 0
    BEGUN = 1
    OK = 2
    ERROR = 3
    AMBIGUOUS = 4


OUTCOMES = {
    "ok": RowState.OK,
    "error": RowState.ERROR,
    "ambiguous": RowState.AMBIGUOUS,
}
"""The outcomes of rows, as the results name them."""


@attrs.frozen(kw_only=True)
class Header:
    """The first line of a journal.

    Attributes:
        rows: how many rows the input has.
        digest: the SHA-256 of the input.
        settings: the digest of each setting, under the name of its option.
    """

    rows: int
    digest: str
    settings: Mapping[str, str]

    @classmethod
    def make(cls, rows: int, digest: str, settings: Mapping[str, object]) -> Self:
        """Make the header of a run from the values of its settings."""
        digests = {
            name: hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
            for name, value in settings.items()
        }
        return cls(rows=rows, digest=digest, settings=digests)

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """Read a header.

        Raises:
            CommandError: it is not one.
        """
        match _parse_json(line):
            case {
                "format": str(name),
                "rows": int(rows),
                "sha256": str(digest),
                "settings": dict(settings),
            } if name == _FORMAT:
                return cls(rows=rows, digest=digest, settings=settings)
        raise _unreadable_journal()

    def format(self) -> bytes:
        """Write the header as a line."""
        return _format_line(
            {
                "format": _FORMAT,
                "rows": self.rows,
                "sha256": self.digest,
                "settings": dict(self.settings),
            }
        )

    def check_same(self, earlier: Header) -> None:
        """Check that a run may go on with the record of an earlier one.

        Raises:
            CommandError: its input, or one of its settings, was another.
        """
        if self.digest != earlier.digest:
            raise CommandError(
                "the input is not the one that the --out file was begun with",
                hint="pass the same, unchanged file, or name another --out file",
            )
        changed = [
            name
            for name in sorted({*self.settings, *earlier.settings})
            if self.settings.get(name) != earlier.settings.get(name)
        ]
        if changed:
            raise CommandError(
                "the --out file was begun with other values of " + ", ".join(changed),
                hint="pass the same values, or name another --out file",
            )


class RunRecord:
    """The results and the journal of one run, and what they say of each row.

    Args:
        results: the open results.
        journal: the open and locked journal.
        rows: how many rows the input has.
        spare: the path of the file that keeps room, if there is one.

    Attributes:
        retry_safe: how many rows failed in a way that is safe to retry.
    """

    def __init__(
        self, results: LineFile, journal: LineFile, rows: int, spare: str | None = None
    ) -> None:
        self._results = results
        self._spare = spare
        self._failure: CommandError | None = None
        self._journal = journal
        # A byte for each row: a million of them take a megabyte.
        self._states = bytearray(rows + 1)
        self._codes: Counter[str] = Counter()
        self._next_sync = read_monotonic()
        self.retry_safe: int = 0

    @classmethod
    def open(
        cls,
        path: str,
        header: Header,
        *,
        resume: bool,
        may_retry: Callable[[Mapping[str, Any]], bool] | None = None,
        spare_rows: int = 0,
    ) -> Self:
        """Open the record of a run: a new one, or that of a run to resume.

        Args:
            path: the results.
            header: the input and the settings of this run.
            resume: whether an earlier run may be resumed.
            may_retry: decides by an outcome of an earlier run whether its row is sent
                again; ``None`` to send none again.
            spare_rows: for how many outcomes room is kept on the disk.

        Raises:
            CommandError: the files cannot be used, or another process uses them.
        """
        journal_path = path + JOURNAL_SUFFIX
        try:
            has_journal = os.path.lexists(journal_path)
            if os.path.lexists(path) and not has_journal:
                raise _foreign_results()
            with ExitStack() as stack:
                journal = stack.enter_context(_open_or_create(journal_path))
                if not journal.lock():
                    raise CommandError(
                        "another process is writing to the --out file",
                        hint="wait for its end, or name another file",
                        status=1,
                    )
                is_new = journal.size == 0
                if not is_new and not resume:
                    raise CommandError(
                        "the --out file has been begun by an earlier run",
                        hint="pass --resume to go on with it, or name another file",
                    )
                spare = path + SPARE_SUFFIX
                if is_new and os.path.lexists(spare):
                    # Not of a run that was killed: it would have a journal.
                    raise CommandError(
                        f"the --out file needs the name {SPARE_SUFFIX} beside it, which is taken",
                        hint="name another file; it is not overwritten",
                    )
                results = stack.enter_context(_open_or_create(path))
                stack.callback(_remove, spare)
                _write_spare(spare, spare_rows * SPARE_BYTES)
                record = cls(results, journal, header.rows, spare)
                if is_new:
                    if results.size:
                        raise _foreign_results()
                    journal.append(header.format())
                else:
                    record._load(header)
                    if may_retry is not None:
                        record._reopen_failed(path, may_retry)
                stack.pop_all()
                return record
        except OSError as error:
            reason = format_reason(error)
            raise CommandError(f"cannot write the --out file: {reason}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files, and let other processes use them."""
        self._results.close()
        # While the journal is locked: the file may be another run's afterwards.
        if self._spare is not None:
            _remove(self._spare)
        self._journal.close()

    def get_state(self, number: int) -> RowState:
        """Return what the record says of a row."""
        return RowState(self._states[number])

    def count(self, state: RowState) -> int:
        """Return how many rows are in a state."""
        count = self._states.count(state)
        # There is no row 0.
        return count - 1 if state is RowState.NEW else count

    def count_codes(self) -> dict[str, int]:
        """Return how many rows failed, or are ambiguous, by the code of their error."""
        return dict((+self._codes).most_common())

    def note_begun(self, number: int) -> None:
        """Note that a row is about to be sent.

        Raises:
            CommandError: the note cannot be written, so the row must not be sent; or the disk
                was too full for an outcome.
        """
        if self._failure is not None:
            raise self._failure
        try:
            self._journal.append(b"%d\n" % number)
        except OSError as error:
            raise system_failure("cannot write the journal", error) from None
        self._states[number] = RowState.BEGUN
        now = read_monotonic()
        if now >= self._next_sync:
            self.sync()
            self._next_sync = now + SYNC_SECONDS

    def note_outcome(self, number: int, members: Mapping[str, Any]) -> None:
        """Write how a row ended.

        Args:
            number: the row.
            members: its line in the results, but for the number.

        Raises:
            CommandError: it cannot be written.
        """
        line = _format_line({"row": number, **members})
        try:
            self._append_result(line)
        except OSError as error:
            raise system_failure("cannot write the results", error) from None
        self._count(members)
        self._states[number] = OUTCOMES[members["outcome"]]

    def _append_result(self, line: bytes) -> None:
        try:
            self._results.append(line)
        except OSError as error:
            if self._failure is not None or self._spare is None:
                raise
            self._failure = system_failure("cannot write the results", error)
            _remove(self._spare)
            self._results.append(line)

    def note_unsent(self, number: int) -> None:
        """Note that a row which was begun has not been sent, or has not used up its token.

        Raises:
            CommandError: it cannot be written; the row stays begun.
        """
        try:
            self._journal.append(_format_line({"again": [number]}))
        except OSError as error:
            raise system_failure("cannot write the journal", error) from None
        self._states[number] = RowState.NEW

    def iterate_outcomes(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of the results.

        Raises:
            CommandError: one is not a line of results.
        """
        for position, line in enumerate(self._results.iterate_lines(), 1):
            members = _parse_json(line)
            match members:
                case {"row": number, "outcome": str(outcome)} if (
                    self._has_row(number) and outcome in OUTCOMES
                ):
                    yield members
                case _:
                    raise CommandError(
                        f"line {position:,} of the --out file is not a result",
                        hint="restore the file, or name another",
                    )

    def sync(self) -> None:
        """Wait until the disk has everything.

        Raises:
            CommandError: it cannot be written there.
        """
        try:
            self._results.sync()
            self._journal.sync()
        except OSError as error:
            raise system_failure("cannot write the results", error) from None

    def _load(self, header: Header) -> None:
        self._journal.repair()
        lines = iter(self._journal.iterate_lines())
        header.check_same(Header.parse(next(lines, b"")))
        for line in lines:
            self._load_note(line)
        self._results.repair()
        for members in self.iterate_outcomes():
            self._count(members)
            self._states[members["row"]] = OUTCOMES[members["outcome"]]

    def _load_note(self, line: bytes) -> None:
        match _parse_json(line):
            case int(number) if self._has_row(number):
                self._states[number] = RowState.BEGUN
            case {"again": list(numbers)} if all(map(self._has_row, numbers)):
                for number in numbers:
                    self._states[number] = RowState.NEW
            case _:
                raise _unreadable_journal()

    def _count(self, members: Mapping[str, Any], by: int = 1) -> None:
        if members["outcome"] == "error" and members.get("retry_safe") is True:
            self.retry_safe += by
        code = members.get("code")
        if code is None:
            return
        # Codes are the server's; a hostile one could send a new one with each answer.
        if len(self._codes) >= _MOST_CODES and code not in self._codes:
            code = "other"
        self._codes[str(code)] += by

    def _has_row(self, number: object) -> bool:
        # JSON has `true`, which is 1 in Python.
        return type(number) is int and 0 < number < len(self._states)

    def _reopen_failed(
        self, path: str, may_retry: Callable[[Mapping[str, Any]], bool]
    ) -> None:
        failed = set()
        for members in self.iterate_outcomes():
            if members["outcome"] == "error" and may_retry(members):
                failed.add(members["row"])
                self._count(members, -1)
        if not failed:
            return
        self._journal.append(_format_line({"again": sorted(failed)}))
        kept_path = path + ".new"
        with ExitStack() as stack:
            if os.path.lexists(kept_path):
                # Of a run that was killed here; the journal's lock says that it has ended.
                os.unlink(kept_path)
            kept = stack.enter_context(LineFile.create(kept_path))
            for line in self._results.iterate_lines():
                if _parse_json(line)["row"] not in failed:
                    kept.append(line + b"\n")
            kept.sync()
            os.replace(kept_path, path)
            stack.pop_all()
        self._results.close()
        self._results = kept
        for number in failed:
            self._states[number] = RowState.NEW


def _open_or_create(path: str) -> LineFile:
    try:
        return LineFile.create(path)
    except FileExistsError:
        return LineFile.open(path)


def _write_spare(path: str, size: int) -> None:
    _remove(path)
    with LineFile.create(path) as file:
        # Random, as some file systems take no room for zeros.
        file.append(os.urandom(size))


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


def _foreign_results() -> CommandError:
    return CommandError(
        "the --out file exists, and has no journal of an earlier run beside it",
        hint="name another file; it is not overwritten",
    )


def _unreadable_journal() -> CommandError:
    return CommandError(
        "the journal beside the --out file is not one that auth0-tx wrote",
        hint="name another --out file",
    )


def _format_line(members: Mapping[str, Any]) -> bytes:
    return json.dumps(members).encode("ascii") + b"\n"


def _parse_json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
