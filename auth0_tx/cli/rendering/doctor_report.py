"""What `doctor` says: a line for each check, and below it what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...doctor import Level, Verdict
from .plain import printable
from .style import Style

_SIGNS: dict[Level, str] = {
    "ok": "ok",
    "warning": "warning",
    "failed": "FAILED",
    "skipped": "skipped",
}


def doctor_text(verdicts: Sequence[Verdict], style: Style) -> str:
    """Set out what came of the checks."""
    wide = max(len(each.check) for each in verdicts)
    lines = []
    for each in verdicts:
        sign = _painted(each.level, _SIGNS[each.level].ljust(7), style)
        lines.append(f"{sign}  {each.check.ljust(wide)}  {printable(each.found)}")
        if each.advice:
            lines.append(" " * (wide + 11) + style.faint(printable(each.advice)))
    counts = Counter(each.level for each in verdicts)
    told = [f"{counts[level]} {level}" for level in _SIGNS if counts[level]]
    return "\n".join([*lines, "", ", ".join(told)])


def doctor_members(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Give the same as JSON: ``checks``, and whether none has failed as ``ok``."""
    return {
        "ok": all(each.level != "failed" for each in verdicts),
        "checks": [
            {
                "check": each.check,
                "level": each.level,
                "found": each.found,
                "advice": each.advice,
            }
            for each in verdicts
        ],
    }


def _painted(level: Level, text: str, style: Style) -> str:
    paint = {
        "ok": style.good,
        "warning": style.warning,
        "failed": style.bad,
        "skipped": style.faint,
    }
    return paint[level](text)
