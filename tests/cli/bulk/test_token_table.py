"""The CSV file of tokens: what is a row, what is a mistake, and what a mistake shows."""

from __future__ import annotations

import csv
import hashlib
import io
import tracemalloc

import pytest

from auth0_tx import CustomTokenExchangeOptions
from auth0_tx.cli.bulk.token_table import Row, TokenTable, survey_table
from auth0_tx.cli.failures import CommandError

SECRET = "tok-5fb1c0ffee"


def read(text: str | bytes) -> list[Row]:
    """Return the rows of a table."""
    content = text if isinstance(text, bytes) else text.encode()
    return list(TokenTable(io.BytesIO(content)).iterate_rows())


def cells(text: str | bytes) -> list[dict[str, str]]:
    """Return the cells of each row."""
    return [dict(row.cells) for row in read(text)]


def fail(text: str | bytes) -> CommandError:
    """Return the error that a table ends with, which must not quote it."""
    with pytest.raises(CommandError) as caught:
        read(text)
    error = caught.value
    shown = f"{error.message} {error.hint} {error!r} {error.__cause__!r} {error.__context__!r}"
    assert SECRET not in shown
    return error


def test_rows_are_numbered_from_one() -> None:
    """The first row below the header is row 1; an empty line is not a row."""
    rows = read("subject_token,id\na,x\n\nb,y\n")

    assert [(1, "x"), (2, "y")] == [(row.number, row.id) for row in rows]


@pytest.mark.parametrize(
    "text",
    [
        "subject_token,id\na,x\n",
        "subject_token,id\r\na,x\r\n",
        "subject_token,id\na,x",
        "\ufeffsubject_token,id\na,x\n",
        '"subject_token","id"\n"a","x"\n',
        "subject_token;id\na;x\n",
        "subject_token\tid\na\tx\n",
        "id, subject_token\nx,a\n",
    ],
    ids=["LF", "CRLF", "no end", "BOM", "quotes", "semicolons", "tabs", "spaces"],
)
def test_dialects(text: str) -> None:
    """The files that spreadsheets, databases and people write are read alike."""
    assert [{"subject_token": "a", "id": "x"}] == cells(text)


def test_one_column_needs_no_separator() -> None:
    """A list of tokens below their name is a table, whatever a token contains."""
    assert [{"subject_token": "a;b"}] == cells("subject_token\na;b\n")


def test_quoted_field_may_have_separators_and_lines() -> None:
    """A quoted field contains what is between its quotes."""
    rows = cells('subject_token,param.note\na,"one, ""two""\nthree"\nb,\n')

    assert [
        {"subject_token": "a", "param.note": 'one, "two"\nthree'},
        {"subject_token": "b"},
    ] == rows


def test_number_of_fields() -> None:
    """A row with fields too few or too many is a row with a problem; the others are read."""
    rows = read(f"subject_token,id\n{SECRET}\na,x\nb,y,{SECRET}\n")

    assert [
        "the row has 1 fields, and the header 2",
        None,
        "the row has 3 fields, and the header 2",
    ] == [row.problem for row in rows]
    assert [{}, {"subject_token": "a", "id": "x"}, {}] == [dict(r.cells) for r in rows]


def test_row_does_not_print_its_token() -> None:
    """Neither a row nor its cells show a token when they print."""
    (row,) = read(f"subject_token,id\n{SECRET},x\n")

    assert SECRET not in f"{row!r} {row.cells!r} {row.cells['subject_token']!r}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the input's first line has no column subject_token"),
        (f"{SECRET}\n", "the input's first line has no column subject_token"),
        (
            f"subject_token,{SECRET}\na,b\n",
            "the input's column 2 has an unknown name",
        ),
        ("subject_token,audiance\n", "the input's column 2 has an unknown name"),
        ("subject_token,param.\n", "the input's column 2 has an unknown name"),
        ("subject_token,param.a b\n", "the input's column 2 has an unknown name"),
        (
            "id,subject_token,id\n",
            "the input's column 3 has the same name as column 1",
        ),
        (b"\xff\xfes\0u\0", "line 1 of the input is UTF-16 text"),
        (
            f"subject_token\na\n{SECRET}\xe9\n".encode("latin-1"),
            "line 3 of the input is not UTF-8 text",
        ),
        (f"subject_token\n{SECRET}\0\n", "line 2 of the input is not UTF-8 text"),
        (
            f'subject_token,id\na,x\n"{SECRET},y\nb,z\n',
            "the row that begins in line 3 of the input is not valid CSV",
        ),
        (
            f'subject_token,id\n"{SECRET}"b,y\n',
            "the row that begins in line 2 of the input is not valid CSV",
        ),
        (
            f"subject_token\ra\r{SECRET}\r",
            "the row that begins in line 1 of the input is not valid CSV",
        ),
        (
            f"subject_token\n{SECRET}{'x' * 200_000}\n",
            "the row that begins in line 2 of the input is not valid CSV",
        ),
        (
            f"subject_token\n{SECRET}{'x' * 1_100_000}\n",
            "line 2 of the input is longer than 1,048,576 bytes",
        ),
    ],
)
def test_mistakes_in_the_file(text: str | bytes, message: str) -> None:
    """A file that cannot be read on is an error with a line or column, and no quotation."""
    assert message == fail(text).message


def test_limit_of_a_field_is_left_alone() -> None:
    """The limit that ``csv`` has for the whole process stays as the host set it."""
    before = csv.field_size_limit()
    read("subject_token\na\n")

    assert before == csv.field_size_limit()


def test_survey() -> None:
    """A survey counts the rows, hashes the file, and leaves it at its beginning."""
    content = b"\xef\xbb\xbfsubject_token,id\r\na,x\r\n\r\nb\r\n"
    file = io.BytesIO(content)
    survey = survey_table(file)

    assert (2, hashlib.sha256(content).hexdigest(), 0) == (
        survey.rows,
        survey.digest,
        file.tell(),
    )


def test_memory_is_that_of_a_row() -> None:
    """A long table is read in the memory of a few rows."""
    tokens = b"".join(b"%020d\n" % number for number in range(50_000))
    file = io.BytesIO(b"subject_token\n" + tokens)
    tracemalloc.start()
    try:
        rows = sum(1 for _ in TokenTable(file).iterate_rows())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert 50_000 == rows
    assert peak < 500_000


def test_options_of_a_row() -> None:
    """A cell becomes an option, and an empty or missing one the default."""
    text = (
        "subject_token,audience,scope,param.a,actor_token,actor_token_type,organization\n"
        "s,https://one,,1,act,urn:acme:agent,org_1\n"
        ",,,,,,\n"
    )
    first, second = read(text)
    base = CustomTokenExchangeOptions(
        subject_token="",
        subject_token_type="urn:acme:legacy",
        audience="https://other",
        scope="openid",
        authorization_params={"a": "0", "b": "2"},
    )

    assert CustomTokenExchangeOptions(
        subject_token="s",
        subject_token_type="urn:acme:legacy",
        audience="https://one",
        scope="openid",
        organization="org_1",
        actor_token="act",
        actor_token_type="urn:acme:agent",
        authorization_params={"a": "1", "b": "2"},
    ) == first.make_options(base)
    assert CustomTokenExchangeOptions(
        subject_token="",
        subject_token_type="urn:acme:legacy",
        audience="https://other",
        scope="openid",
        authorization_params={"a": "0", "b": "2"},
    ) == second.make_options(base)


def test_token_is_not_stripped() -> None:
    """A token with a space is handed on as it is, for the library to refuse."""
    (row,) = read("subject_token\n a b\n")

    base = CustomTokenExchangeOptions(
        subject_token="", subject_token_type="urn:acme:legacy"
    )

    assert " a b" == row.make_options(base).subject_token
