"""Tools for testing code that uses the package. Imports nothing until it is used."""

from __future__ import annotations

from .clock import MovableClock
from .logins import alogin, login

__all__ = ["MovableClock", "alogin", "login"]
