"""A bulk run as text."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx.cli.rendering.bulk_report import (
    BulkCounts,
    format_progress,
    format_summary,
)
from auth0_tx.cli.rendering.style import Style


def make_counts(**changes: Any) -> BulkCounts:
    """Return the counts of a run that is complete, with some changed."""
    counts = {"rows": 1_000, "ok": 1_000, "failed": 0, "ambiguous": 0, "left": 0}
    return BulkCounts(**{**counts, "here": 500, "seconds": 2.0, **changes})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "1,000 of 1,000 rows, 250 rows/s"),
        ({"here": 3}, "1,000 of 1,000 rows, 1.5 rows/s"),
        ({"seconds": 0.0}, "1,000 of 1,000 rows, 0.0 rows/s"),
        (
            {"ok": 3, "failed": 2, "ambiguous": 1, "left": 994},
            "6 of 1,000 rows, 2 failed, 1 ambiguous, 250 rows/s",
        ),
    ],
)
def test_progress(changes: dict[str, Any], line: str) -> None:
    """The progress names what went wrong only if something did."""
    assert line == format_progress(make_counts(**changes))


def test_summary() -> None:
    """A summary counts the rows and the codes, and says what may be done."""
    counts = make_counts(ok=900, failed=60, ambiguous=30, left=10)

    assert """\
Exchanged 900 of 1,000 rows; this run took 2 seconds, 250 rows/s
  ok           900
  failed        60
  ambiguous     30
  left          10

Codes of the rows that are not ok
  access_denied     60
  interrupted       30

An ambiguous row may have used up its token. It is not sent again; get a new token for it.
--resume --retry-failed sends 7 of the failed rows again, which is safe.
--resume exchanges the rows that are left.""" == format_summary(
        counts, {"access_denied": 60, "interrupted": 30}, Style(), retry_safe=7
    )


def test_codes_are_the_servers() -> None:
    """A code cannot write to the terminal, nor push the rest off it."""
    codes = {f"code-{number}\x1b[2J": 1 for number in range(20)}
    text = format_summary(make_counts(failed=20), codes, Style(), retry_safe=0)

    assert "\x1b" not in text
    assert "code-7\\u001b[2J" in text
    assert "code-8" not in text
    assert "  and 12 other codes" in text
