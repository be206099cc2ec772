"""A bulk run as text and as JSON: how far it is, and how it ended. No token is in either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from .style import Style
from .text import make_printable
from .times import format_duration

_MOST_CODES = 8


@attrs.frozen(kw_only=True)
class BulkCounts:
    """How many rows are in which state.

    Attributes:
        rows: all rows of the input.
        ok: those that were exchanged.
        failed: those that ended with an error.
        ambiguous: those that may have been sent, and whose outcome is not known.
        left: those that have no outcome.
        here: those whose outcome this run brought.
        seconds: how long this run has taken.
    """

    rows: int
    ok: int
    failed: int
    ambiguous: int
    left: int
    here: int
    seconds: float

    @property
    def done(self) -> int:
        """The rows that have an outcome."""
        return self.ok + self.failed + self.ambiguous

    @property
    def per_second(self) -> float:
        """The rows for which this run brought an outcome in each second."""
        return self.here / self.seconds if self.seconds > 0 else 0.0


def format_progress(counts: BulkCounts) -> str:
    """Say in one line how far a run is."""
    parts = [f"{counts.done:,} of {counts.rows:,} rows"]
    if counts.failed:
        parts.append(f"{counts.failed:,} failed")
    if counts.ambiguous:
        parts.append(f"{counts.ambiguous:,} ambiguous")
    parts.append(format_rate(counts))
    return ", ".join(parts)


def format_rate(counts: BulkCounts) -> str:
    """Write how many rows a run does in a second."""
    rate = counts.per_second
    return f"{rate:,.0f} rows/s" if rate >= 10 else f"{rate:.1f} rows/s"


def format_summary(
    counts: BulkCounts, codes: Mapping[str, int], style: Style, *, retry_safe: int
) -> str:
    """Format the end of a run for reading.

    Args:
        counts: how many rows are in which state.
        codes: how many rows failed, by code.
        style: how to set off the lines.
        retry_safe: how many of the failed rows are safe to retry.
    """
    title = (
        f"Exchanged {counts.ok:,} of {counts.rows:,} rows; this run took "
        f"{format_duration(counts.seconds)}, {format_rate(counts)}"
    )
    lines = [style.strong(title)]
    width = len(f"{counts.rows:,}")
    paints = (
        ("ok", counts.ok, style.good),
        ("failed", counts.failed, style.bad),
        ("ambiguous", counts.ambiguous, style.warning),
        ("left", counts.left, style.warning),
    )
    for name, count, paint in paints:
        number = f"{count:>{width},}"
        lines.append(
            f"  {style.name(f'{name:<9}')}  {paint(number) if count else number}"
        )
    if codes:
        lines += ["", style.strong("Codes of the rows that are not ok")]
        shown = list(codes.items())[:_MOST_CODES]
        column = max(len(make_printable(code)) for code, _ in shown)
        for code, count in shown:
            lines.append(f"  {make_printable(code):<{column}}  {count:>{width},}")
        if len(codes) > len(shown):
            lines.append(style.faint(f"  and {len(codes) - len(shown)} other codes"))
    notes = []
    if counts.ambiguous:
        notes.append(
            "An ambiguous row may have used up its token. It is not sent again; get a new "
            "token for it."
        )
    if retry_safe:
        notes.append(
            f"--resume --retry-failed sends {retry_safe:,} of the failed rows again, which "
            "is safe."
        )
    if counts.left:
        notes.append("--resume exchanges the rows that are left.")
    if notes:
        lines += ["", *map(style.faint, notes)]
    return "\n".join(lines)


def summary_to_json(
    counts: BulkCounts,
    codes: Mapping[str, int],
    stopped_by: Literal["signal", "error"] | None,
    error: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return what ``--json`` shows of the end of a run.

    Args:
        counts: how many rows are in which state.
        codes: how many rows failed, by code.
        stopped_by: the kind of event that stopped it, if one did.
        error: the error that stopped it, if one did.
    """
    return {
        "rows": counts.rows,
        "ok": counts.ok,
        "failed": counts.failed,
        "ambiguous": counts.ambiguous,
        "left": counts.left,
        "codes": dict(codes),
        "stopped_by": stopped_by,
        "error": error,
        "seconds": round(counts.seconds, 3),
        "rows_per_second": round(counts.per_second, 1),
    }
