"""Moments and durations in words.  The time that it is comes as an argument."""

from __future__ import annotations

from datetime import UTC, datetime

_LAST_SECOND = 253_402_300_799
"""The end of the year 9999, after which a date is no datetime."""

# The most of each unit that is still said in it, its seconds, and its name.
_UNITS = (
    (90, 1, "second"),
    (90, 60, "minute"),
    (48, 3_600, "hour"),
    (60, 86_400, "day"),
    (24, 2_629_800, "month"),
)
_YEAR = 31_557_600

_WORDS = {
    # name of the claim: in the future, now, in the past
    "exp": ("expires {when}", "expires now", "expired {when}"),
    "nbf": ("becomes valid {when}", "becomes valid now", "became valid {when}"),
    "iat": ("issued {when} (in the future)", "issued just now", "issued {when}"),
    "auth_time": (
        "signed in {when} (in the future)",
        "signed in just now",
        "signed in {when}",
    ),
}
DATES = tuple(_WORDS)
"""The claims that are dates (RFC 7519 section 4.1; OpenID Connect Core section 2)."""


def duration(seconds: float) -> str:
    """Say how long *seconds* are, in the unit that fits."""
    for most, unit, name in _UNITS:
        count = round(seconds / unit)
        if count < most:
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{round(seconds / _YEAR):,} years"


def as_date(value: object) -> float | None:
    """Give a NumericDate (RFC 7519 section 2) as seconds, or None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= _LAST_SECOND else None


def utc(moment: float) -> str:
    """Write a moment in UTC."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"


def date_words(claim: str, value: object, now: float) -> str:
    """Say what a date among the claims means at the time *now*.

    Args:
        claim: its name, of :data:`DATES`.
        value: as it stands in the token.
        now: epoch seconds.
    """
    moment = as_date(value)
    if moment is None:
        return "not a date"
    later, at_once, earlier = _WORDS[claim]
    away = moment - now
    if abs(away) < 1:
        words = at_once
    elif away > 0:
        words = later.format(when=f"in {duration(away)}")
    else:
        words = earlier.format(when=f"{duration(-away)} ago")
    return f"{words}, {utc(moment)}"
