"""The CSV file of the rows that failed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from auth0_tx.cli.bulk.failures_table import COLUMNS, FailuresTable
from auth0_tx.cli.failures import CommandError

HEADER = ",".join(COLUMNS) + "\n"
FAILED = {
    "row": 2,
    "id": "=1+1",
    "outcome": "error",
    "code": "access_denied",
    "status": 403,
    "message": 'no "way"\x1b[2J,\nsaid the Action',
    "hint": None,
    "retry_safe": False,
    "mfa_token": "mfa-secret",
}
OUTCOMES: list[dict[str, Any]] = [
    {"row": 1, "outcome": "ok", "access_token": "at-secret"},
    FAILED,
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a file that is not there yet."""
    return tmp_path / "errors.csv"


def test_failures_are_listed(path: Path) -> None:
    """A row that is not ok is listed with its reason, and without any token."""
    FailuresTable(str(path), resume=False).write(OUTCOMES)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert [
        {
            "row": "2",
            "id": "'=1+1",
            "outcome": "error",
            "code": "access_denied",
            "status": "403",
            "message": 'no "way"\\u001b[2J,\\nsaid the Action',
            "hint": "",
            "retry_safe": "false",
        }
    ] == rows
    assert "secret" not in path.read_text()
    assert 0o600 == path.stat().st_mode & 0o777


def test_file_is_there_from_the_start(path: Path) -> None:
    """A file that cannot be written is noticed before anything is sent."""
    FailuresTable(str(path), resume=False)

    assert HEADER == path.read_text()
    with pytest.raises(CommandError, match="No such file or directory"):
        FailuresTable(str(path.parent / "missing" / "errors.csv"), resume=False)


@pytest.mark.parametrize("resume", [True, False])
def test_foreign_file_is_left_alone(path: Path, resume: bool) -> None:
    """A file that is not a list of failures, such as the input, is not overwritten."""
    path.write_text("subject_token\na\n")
    with pytest.raises(CommandError, match="is not overwritten"):
        FailuresTable(str(path), resume=resume)

    assert "subject_token\na\n" == path.read_text()


def test_failures_of_an_earlier_run(path: Path) -> None:
    """A list of failures is replaced by that of a resumed run, and by no other."""
    FailuresTable(str(path), resume=False).write(OUTCOMES)
    with pytest.raises(CommandError, match="is not overwritten"):
        FailuresTable(str(path), resume=False)
    FailuresTable(str(path), resume=True).write(OUTCOMES[:1])

    assert HEADER == path.read_text()
    FailuresTable(str(path), resume=False)
