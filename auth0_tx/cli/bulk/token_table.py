"""The input of ``auth0-tx exchange-many``: a CSV file with a row for each exchange.

Theory of operation. The file is read twice. :func:`survey_table` reads it whole before
anything is sent, so a quote that is missing in row 90,000 ends the run while no token has
been used up. It also counts the rows and computes the file's digest, by which a later run
recognizes the same input. The second reading hands out one row at a time, so a file of any
length takes the memory of its longest line.

There are two kinds of mistake. If the *file* cannot be read on (its encoding, a quote, an
unknown column), the run does not begin. A mistake in one *row* (too few fields) is the
outcome of that row, and the others are exchanged.

No error quotes the file. Its header may be a token, if the real header is missing, so
columns are named by their number. Exceptions of the codec and of ``csv`` would carry the
text with them, so they are replaced outside their ``except`` blocks.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import attrs

from ...secret import conceal
from ...values import CustomTokenExchangeOptions
from ..failures import CommandError

COLUMNS = (
    "subject_token",
    "subject_token_type",
    "audience",
    "scope",
    "organization",
    "actor_token",
    "actor_token_type",
    "id",
)
PARAMETER = "param."
"""The beginning of the name of a column whose cells are an extension parameter."""

_PARAMETER_COLUMN = re.compile(r"param\.[A-Za-z0-9_.~-]{1,128}").fullmatch
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# Spreadsheets of many countries separate by semicolons, and call that CSV as well.
_DELIMITERS = (",", ";", "\t")
_LONGEST_LINE = 1_048_576
"""Bytes: a file without line ends must end with an error and not with the memory."""


@attrs.frozen(kw_only=True)
class Row:
    """One row of the table.

    Attributes:
        number: its number; the first row below the header is 1.
        cells: its cells that are not empty, by column.
        problem: the reason why it cannot be exchanged, if it is not a row of the table.
    """

    number: int
    cells: Mapping[str, str] = attrs.field(repr=False)
    problem: str | None = None

    @property
    def id(self) -> str | None:
        """The user's own name for the row, if there is one."""
        return self.cells.get("id")

    def make_options(
        self, defaults: CustomTokenExchangeOptions
    ) -> CustomTokenExchangeOptions:
        """Return the options of the row's exchange.

        Args:
            defaults: the values of the columns that are missing, or empty in this row.
        """
        cells = self.cells

        def choose(column: str) -> str | None:
            value: str | None = cells.get(column, getattr(defaults, column))
            return value

        parameters = dict(defaults.authorization_params or {})
        for column, value in cells.items():
            if column.startswith(PARAMETER):
                parameters[column.removeprefix(PARAMETER)] = value
        return CustomTokenExchangeOptions(
            subject_token=cells.get("subject_token", ""),
            subject_token_type=choose("subject_token_type") or "",
            audience=choose("audience"),
            scope=choose("scope"),
            organization=choose("organization"),
            actor_token=choose("actor_token"),
            actor_token_type=choose("actor_token_type"),
            authorization_params=parameters or None,
        )


@attrs.frozen(kw_only=True)
class Survey:
    """The result of reading the whole table.

    Attributes:
        rows: how many there are.
        digest: the SHA-256 of the file, in hexadecimal.
        columns: the names of its columns.
    """

    rows: int
    digest: str
    columns: tuple[str, ...]


class TokenTable:
    """A CSV file of tokens, read one row at a time.

    Args:
        file: the file, opened for bytes, at its beginning.

    Attributes:
        columns: the names in the header.

    Raises:
        CommandError: the header is not that of a table of tokens. Reading the rows raises
            it too, if the file cannot be read on.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._lines = 0
        self._header_line = self._read_line(is_first=True)
        self._delimiter = _find_delimiter(self._header_line)
        self.columns: tuple[str, ...] = self._read_header()

    @property
    def digest(self) -> str:
        """The SHA-256 of everything that has been read."""
        return self._hash.hexdigest()

    def iterate_rows(self) -> Iterator[Row]:
        """Yield the rows; an empty line is not one."""
        count = len(self.columns)
        number = 0
        for fields in self._parse(self._iterate_lines(), 1):
            if not fields:
                continue
            number += 1
            if len(fields) == count:
                pairs = zip(self.columns, fields, strict=True)
                cells = {column: field for column, field in pairs if field}
                yield Row(number=number, cells=conceal(cells))
            else:
                problem = f"the row has {len(fields)} fields, and the header {count}"
                yield Row(number=number, cells={}, problem=problem)

    def _read_header(self) -> tuple[str, ...]:
        fields = next(self._parse(iter([self._header_line]), 0), [])
        # A space after the comma is not meant to be part of the name.
        names = tuple(field.strip() for field in fields)
        if "subject_token" not in names:
            raise CommandError(
                "the input's first line has no column subject_token",
                hint="begin the file with a line of column names, such as "
                "subject_token,audience,id",
            )
        for position, name in enumerate(names, 1):
            if name not in COLUMNS and not _PARAMETER_COLUMN(name):
                # To pass over a misspelt "audience" would exchange for another API.
                raise CommandError(
                    f"the input's column {position} has an unknown name",
                    hint=f"remove it, or name it one of {', '.join(COLUMNS)} or "
                    f"{PARAMETER}NAME",
                )
            if name in names[: position - 1]:
                raise CommandError(
                    f"the input's column {position} has the same name as column "
                    f"{names.index(name) + 1}"
                )
        return names

    def _iterate_lines(self) -> Iterator[str]:
        while line := self._read_line():
            yield line

    def _read_line(self, *, is_first: bool = False) -> str:
        line = self._file.readline(_LONGEST_LINE + 1)
        self._hash.update(line)
        self._lines += 1
        if is_first:
            if line.startswith(_UTF_16):
                raise self._fail("is UTF-16 text", "save the file as UTF-8")
            line = line.removeprefix(_BOM)
        if len(line) > _LONGEST_LINE:
            raise self._fail(f"is longer than {_LONGEST_LINE:,} bytes")
        text = _decode(line)
        if text is None or "\0" in text:
            raise self._fail("is not UTF-8 text", "save the file as UTF-8")
        return text

    def _parse(self, lines: Iterator[str], before: int) -> Iterator[list[str]]:
        # Strict: a stray quote would otherwise make one field of the rows that follow.
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        while True:
            first_line = before + reader.line_num + 1
            try:
                fields = next(reader, None)
            except csv.Error:
                break
            if fields is None:
                return
            yield fields
        # A field without its closing quote goes on to the file's end: name its beginning.
        raise CommandError(
            f"the row that begins in line {first_line:,} of the input is not valid CSV",
            hint="check its quotes and line ends; a field may have "
            f"{csv.field_size_limit():,} characters",
        )

    def _fail(self, reason: str, hint: str | None = None) -> CommandError:
        return CommandError(f"line {self._lines:,} of the input {reason}", hint=hint)


def survey_table(file: BinaryIO) -> Survey:
    """Read the whole table, and return to the file's beginning.

    Raises:
        CommandError: it cannot be read to its end.
    """
    table = TokenTable(file)
    count = 0
    for row in table.iterate_rows():
        count = row.number
    file.seek(0)
    return Survey(rows=count, digest=table.digest, columns=table.columns)


def _find_delimiter(header: str) -> str:
    for delimiter in _DELIMITERS:
        names = (name.strip(' "\r\n') for name in header.split(delimiter))
        if "subject_token" in names and delimiter in header:
            return delimiter
    return _DELIMITERS[0]


def _decode(line: bytes) -> str | None:
    # Returned and not raised: the codec's error contains the line.
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None
