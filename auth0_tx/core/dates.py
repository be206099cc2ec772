"""Dates as tokens have them: seconds since 1970 (RFC 7519 section 2, NumericDate)."""

from __future__ import annotations

from typing import TypeGuard

LAST_SECOND = 253_402_300_799
"""The end of the year 9999, after which a date is no datetime."""


def is_date(value: object) -> TypeGuard[int | float]:
    """Tell whether *value* is a number, and in some calendar."""
    # To Python True is a number too, and JSON has numbers that have no end.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= LAST_SECOND


def is_whole_date(value: object) -> TypeGuard[int]:
    """Tell whether *value* is a date without a fraction, as this library writes them."""
    return type(value) is int and 0 <= value <= LAST_SECOND
