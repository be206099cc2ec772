"""What became of one check. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

Level: TypeAlias = Literal["ok", "warning", "failed", "skipped"]


@attrs.frozen
class Verdict:
    """What one check found, in words that hold no secret.

    Attributes:
        check: the name of the check.
        level: ``ok``, ``warning``, ``failed``, or ``skipped`` where another check failed
            that it stands upon, or nothing was given to check.
        found: what was found.
        advice: what to do about it; empty where there is nothing to do.
    """

    check: str
    level: Level
    found: str
    advice: str = ""
