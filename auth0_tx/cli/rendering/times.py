"""Moments and durations in words. The current time is an argument: nothing reads a clock."""

from __future__ import annotations

from datetime import UTC, datetime

_LAST_SECOND = 253_402_300_799
"""The end of the year 9999, the last that ``datetime`` can represent."""

# Up to how many of a unit a duration is given in it, its seconds, and its name. The limits
# are where the next unit, rounded, would mislead: "2 minutes" for 90 s, but not for 80 s.
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
    # A time of issue ahead of this machine's clock is usually a clock that is wrong.
    "iat": ("issued {when} (in the future)", "issued just now", "issued {when}"),
    "auth_time": (
        "signed in {when} (in the future)",
        "signed in just now",
        "signed in {when}",
    ),
}
DATES = tuple(_WORDS)
"""The claims that are dates (RFC 7519 section 4.1; OpenID Connect Core section 2)."""


def format_duration(seconds: float) -> str:
    """Write a duration in the unit that fits, rounded."""
    for limit, unit, name in _UNITS:
        count = round(seconds / unit)
        if count < limit:
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{round(seconds / _YEAR):,} years"


def parse_date(value: object) -> float | None:
    """Return a NumericDate (RFC 7519 section 2) as seconds, ``None`` if it is not one."""
    # In Python True is a number; in JSON it is not.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Also false for NaN, and for what datetime would refuse with an OverflowError.
    return value if 0 <= value <= _LAST_SECOND else None


def format_utc(moment: float) -> str:
    """Write a moment in UTC."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"


def describe_date(claim: str, value: object, now: float) -> str:
    """Say what a date among the claims means at the time *now*.

    Args:
        claim: its name, one of :data:`DATES`.
        value: as it stands in the token.
        now: epoch seconds.
    """
    moment = parse_date(value)
    if moment is None:
        return "not a date"
    future, present, past = _WORDS[claim]
    away = moment - now
    if abs(away) < 1:
        words = present
    elif away > 0:
        words = future.format(when=f"in {format_duration(away)}")
    else:
        words = past.format(when=f"{format_duration(-away)} ago")
    return f"{words}, {format_utc(moment)}"
