"""The result of one check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

import attrs

Level: TypeAlias = Literal["ok", "warning", "failed", "skipped"]


@attrs.frozen
class Verdict:
    """The result of one check, in words that contain no secret.

    Attributes:
        check: the name of the check.
        level: ``ok``, ``warning``, ``failed``, or ``skipped`` if a check that it depends on
            failed, or if there was nothing to check.
        found: what the check found.
        advice: what to do about it; empty if there is nothing to do.
    """

    check: str
    level: Level
    found: str
    advice: str = ""


def skip(checks: Iterable[str], reason: str, advice: str = "") -> Iterator[Verdict]:
    """Skip checks, each with the same reason: a report always has the same lines."""
    for check in checks:
        yield Verdict(check, "skipped", reason, advice)
