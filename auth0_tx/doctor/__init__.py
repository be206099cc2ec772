"""Why exchanges fail: the way to a tenant checked step by step, with what to do about it."""

from __future__ import annotations

from .diagnosis import diagnose
from .verdict import Level, Verdict

__all__ = ["Level", "Verdict", "diagnose"]
