"""Reading what a server says: JSON without ambiguity, and how long it asks to wait."""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from ...errors import InvalidResponseError

MAX_DEPTH = 64
"""How deep arrays and objects may nest (RFC 8259 section 9 allows a limit)."""

MAX_INTEGER_LENGTH = 308
"""Characters an integer may have, sign included: none so short overflows a double."""

_NOT_BYTES = "is not bytes"
_BOM = "begins with a byte order mark (RFC 8259 section 8.1)"
_NOT_UTF8 = "is not UTF-8 (RFC 8259 section 8.1)"
_NOT_JSON = "is not JSON (RFC 8259 section 2)"
_TOO_DEEP = f"nests deeper than {MAX_DEPTH} levels (RFC 8259 section 9)"
_NO_STACK = "cannot be read with so little of the interpreter's stack left"
_DUPLICATE = "has a member name twice in one object (RFC 7493 section 2.3)"
_NOT_A_NUMBER = "has a number that is not finite (RFC 8259 section 6)"
_TOO_LARGE = "has a number beyond the range of a double (RFC 7493 section 2.2)"
_SURROGATE = "has half a surrogate pair in a string (RFC 7493 section 2.1)"

# RFC 8259 section 2: ws.
_WHITE_SPACE = " \t\n\r"

# Two patterns' texts, for rare bodies: compiled by first use and not by the import.

# What opens, closes or hides a level.  An escape is one mark, so that an escaped quote
# does not end its string.
_STRUCTURE = r'(?s:\\.)|["\[\]{}]'

# Every escape, of which only half a pair takes part in the group.
_ESCAPE = r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F]|(u[dD][89a-fA-F])|.)"


class _Refused(ValueError):
    """A problem on its way out of the standard library's scanner."""


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    # RFC 7493 2.3: objects MUST NOT have members with duplicate names.
    if len(members) != len(pairs):
        raise _Refused(_DUPLICATE)
    return members


def _integer(text: str) -> int:
    # Decided before int(), whose own limit is another, and the application's to move.
    if len(text) > MAX_INTEGER_LENGTH:
        raise _Refused(_TOO_LARGE)
    return int(text)


def _real(text: str) -> float:
    number = float(text)
    # RFC 7493 2.2: no magnitude that a double cannot hold; float("1e400") is infinity.
    if math.isinf(number):
        raise _Refused(_TOO_LARGE)
    return number


def _constant(_name: str) -> NoReturn:
    # RFC 8259 6: numeric values such as Infinity and NaN are not permitted.
    raise _Refused(_NOT_A_NUMBER)


_decode = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_int=_integer,
    parse_float=_real,
    parse_constant=_constant,
).raw_decode


def read_json(body: bytes) -> tuple[object, str | None]:
    """Read *body* as one JSON text; return its value, and the rule it breaks or None.

    Nothing is raised, whatever *body* is.  With a problem the value is None.

    Args:
        body: the bytes of the whole answer.
    """
    try:
        return _read(body)
    except RecursionError:
        return None, _NO_STACK


def parse_json(body: bytes) -> object:
    """Read *body* as one JSON text.

    Args:
        body: the bytes of the whole answer.

    Raises:
        InvalidResponseError: *body* is not UTF-8, not JSON (RFC 8259), or not
            unambiguous (RFC 7493 section 2).
    """
    value, problem = read_json(body)
    if problem is not None:
        # A traceback that shows locals must not show the body.
        del body, value
        raise InvalidResponseError(f"the body {problem}")
    return value


def _read(body: object) -> tuple[object, str | None]:
    if not isinstance(body, bytes):
        return None, _NOT_BYTES
    # RFC 8259 8.1: a BOM MUST NOT be added; one reader may skip what another refuses.
    if body.startswith(b"\xef\xbb\xbf"):
        return None, _BOM
    try:
        # Told, not detected: json.loads() would take UTF-16 and UTF-32 as well.
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None, _NOT_UTF8
    # The scanner recurses.  A token response is one flat object; most other answers have
    # fewer brackets than levels are allowed, and need no look at where they are.
    if (
        ("[" in text or text.find("{", 1) > 0)
        and text.count("[") + text.count("{") > MAX_DEPTH
        and _is_too_deep(text)
    ):
        return None, _TOO_DEEP
    try:
        text = text.strip(_WHITE_SPACE)
        value, end = _decode(text)
    except _Refused as refused:
        return None, str(refused)
    except ValueError:
        return None, _NOT_JSON
    if end != len(text):
        return None, _NOT_JSON
    # RFC 7493 2.1: no surrogates.  UTF-8 has none, so only an escape can bring one in.
    if "\\" in text and any(escape[1] for escape in re.finditer(_ESCAPE, text)):
        return None, _SURROGATE
    return value, None


def _is_too_deep(text: str) -> bool:
    depth = 0
    in_string = False
    for mark in re.findall(_STRUCTURE, text):
        if mark == '"':
            in_string = not in_string
        elif in_string:
            continue
        elif mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif mark in "]}":
            depth -= 1
    return False


MAX_WAIT = 86_400.0
"""Seconds that any wait is capped at: one day."""

_DAY = 86_400
_MEAN_YEAR = 31_556_952

# fmt: off
_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun",
    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)
# fmt: on
_DAYS_IN_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_WEEKDAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_WEEKDAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"

# RFC 9110 5.6.7: a recipient MUST accept all three, and they are case-sensitive.  Texts
# of patterns, compiled by their first use and not by the import.
_DATES = (
    # IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
    rf"{_WEEKDAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
    # rfc850-date: Sunday, 06-Nov-94 08:49:37 GMT
    rf"{_LONG_WEEKDAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",
    # asctime-date: Sun Nov  6 08:49:37 1994
    rf"{_WEEKDAY} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})",
)

# The year 33658: a clock that says more is broken, and a date then says nothing.
_LATEST_NOW = 1e12


def parse_retry_after(value: str, now: float) -> float | None:
    """Return the seconds that a ``Retry-After`` field asks to wait, 0.0 to 86,400.0.

    Args:
        value: the field's value; anything but one delay or one date gives None.
        now: the present, in seconds since 1970 (UTC), which a date is measured from.

    See RFC 9110 section 10.2.3.
    """
    text = _field(value)
    if text is None:
        return None
    if _is_digits(text):
        return _wait(_seconds(text))
    if not _is_sane(now):
        return None
    for pattern in _DATES:
        if match := re.fullmatch(pattern, text):
            moment = _date(match.groupdict(), now)
            return None if moment is None else _wait(moment - now)
    return None


def parse_rate_limit_reset(value: str, now: float) -> float | None:
    """Return the seconds until Auth0's ``x-ratelimit-reset``, 0.0 to 86,400.0.

    However far this machine's clock and the server's are apart, the wait stays within
    these bounds.

    Args:
        value: the field's value, a moment in seconds since 1970 (UTC); anything but
            digits gives None.
        now: the present, in the same seconds.
    """
    text = _field(value)
    if text is None or not _is_digits(text) or not _is_sane(now):
        return None
    return _wait(_seconds(text) - now)


def _field(value: object) -> str | None:
    # RFC 9110 5.5: whitespace around a value, SP and HTAB, is not part of it.
    return value.strip(" \t") if isinstance(value, str) else None


def _is_digits(text: str) -> bool:
    # RFC 9110 10.2.3: 1*DIGIT, of ASCII; isdigit() alone takes every script's.
    return text.isascii() and text.isdigit()


def _seconds(digits: str) -> float:
    digits = digits.lstrip("0") or "0"
    # Cut short, not converted: int() of thousands of digits is slow, or refuses.
    return float(digits) if len(digits) <= 15 else 1e15


def _is_sane(now: float) -> bool:
    # Neither infinite nor NaN, which compares with nothing, nor past every calendar.
    return abs(now) < _LATEST_NOW


def _wait(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_WAIT)


def _date(parts: dict[str, str], now: float) -> float | None:
    """Return a date's seconds since 1970, or None where no calendar has it.

    The weekday's name says nothing that the date does not; a wrong one is let pass.
    """
    month = _MONTHS.index(parts["month"]) + 1
    day = int(parts["day"])
    hour, minute, second = (int(parts[name]) for name in ("hour", "minute", "second"))
    # RFC 9110 5.6.7: 00:00:00 to 23:59:60, the last being a leap second, which the
    # seconds since 1970 do not count: it is the first of the next day.
    leap_second = (hour, minute, second) == (23, 59, 60)
    if hour > 23 or minute > 59 or (second > 59 and not leap_second):
        return None
    time = hour * 3_600 + minute * 60 + second
    year = int(parts["year"])
    if len(parts["year"]) == 2:
        year = _full_year(year, month, day, time, now)
    last = _DAYS_IN_MONTH[month - 1] + (month == 2 and _is_leap(year))
    if not 1 <= day <= last:
        return None
    return float(_days(year, month, day) * _DAY + time)


def _full_year(year: int, month: int, day: int, time: int, now: float) -> int:
    """Return the latest year ending in *year* whose date is at most 50 years ahead."""
    # RFC 9110 5.6.7: a date that appears more than 50 years in the future is of the
    # most recent year in the past with the same last two digits.
    ahead = 1970 + int(now // _MEAN_YEAR) + 51
    year += (ahead - year) // 100 * 100
    while _days(year - 50, month, day) * _DAY + time > now:
        year -= 100
    return year


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date of the Gregorian calendar."""
    before = year - 1
    leap_days = before // 4 - before // 100 + before // 400
    in_months = sum(_DAYS_IN_MONTH[: month - 1]) + (month > 2 and _is_leap(year))
    return before * 365 + leap_days + in_months + day - 719_163
