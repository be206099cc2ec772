"""The rows that failed, as a CSV file for people and spreadsheets (``--errors-to``).

It repeats what the results say of each row that is not ``ok``, and contains no token. It is
written anew at the end of each run. A file in its place that was not written by this module
is left alone, as its name may be a mistake for that of the input.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from ..failures import CommandError, format_reason
from ..rendering.text import make_printable
from .line_file import LineFile

COLUMNS = ("row", "id", "outcome", "code", "status", "message", "hint", "retry_safe")

# Spreadsheets take a cell that begins like this for a formula. A message may be from a
# server, and contain what somebody put into a token.
_FORMULA_STARTS = ("=", "+", "-", "@")


class FailuresTable:
    """The file of the rows that failed.

    Args:
        path: the file; created if it is not there.
        resume: whether the failures of an earlier run may be replaced.

    Raises:
        CommandError: it cannot be written there.
    """

    def __init__(self, path: str, *, resume: bool) -> None:
        self._path = path
        header = _format_row(COLUMNS)
        try:
            try:
                with LineFile.create(path) as file:
                    file.append(header)
            except FileExistsError:
                with open(path, "rb") as existing:
                    content = existing.read(len(header) + 1)
                if content != header and not (resume and content.startswith(header)):
                    raise CommandError(
                        "the --errors-to file exists; it is not overwritten",
                        hint="name another file",
                    ) from None
        except OSError as error:
            reason = format_reason(error)
            raise CommandError(f"cannot write the --errors-to file: {reason}") from None

    def write(self, outcomes: Iterable[Mapping[str, Any]]) -> None:
        """Replace the file by the rows among *outcomes* that are not ``ok``.

        Raises:
            CommandError: it cannot be written.
        """
        new_path = self._path + ".new"
        try:
            with suppress(FileNotFoundError):
                # Of a run that was killed here.
                os.unlink(new_path)
            with LineFile.create(new_path) as file:
                file.append(_format_row(COLUMNS))
                for members in outcomes:
                    if members["outcome"] != "ok":
                        cells = [_format_cell(members.get(name)) for name in COLUMNS]
                        file.append(_format_row(cells))
            os.replace(new_path, self._path)
        except OSError as error:
            reason = format_reason(error)
            raise CommandError(
                f"cannot write the --errors-to file: {reason}", status=1
            ) from None


def _format_row(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _format_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = make_printable(str(value))
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
