"""Reading a server's responses: header fields, JSON without ambiguity, and waits.

**JSON.**  The standard library's parser does the work, with hooks that refuse whatever two
parsers could read differently: a duplicate member, a number beyond a double, a lone
surrogate, another encoding than UTF-8 (RFC 8259 and RFC 7493, I-JSON).  An attacker lives
off such differences: one component checks the first ``sub``, another uses the last.  Input
that can hurt the parser itself is refused before it runs: deep nesting, which exhausts the
stack, and endless integers, whose conversion takes quadratic time.

**Waits and rate limits.**  A wait that a server asks for is advice from outside, so whatever
the field says, the result is ``None`` or between 0 and :data:`MAX_WAIT` seconds.

A moment that the server names is on the server's clock, and so is measured from the
``Date`` of the same response; without one, from this machine's clock.  A moment that has
passed says nothing.  The two clocks may be apart, and "no wait at all" would send every
attempt within a few milliseconds.

Dates are read by ``email.utils``, as lenient as RFC 9110 section 5.6.7 encourages: the
instant counts, not the exact form.  A date that could be misread is refused, above all one
in another zone.

Nothing here raises.  A body may hold tokens, and a traceback would show it.
"""

from __future__ import annotations

import json
import math
import re
from typing import NamedTuple, NoReturn

from ...secret import SecretStr, conceal_members
from ..effects import Response

MAX_DEPTH = 64
"""How deep arrays and objects may nest (RFC 8259 section 9 allows a limit)."""

MAX_INTEGER_LENGTH = 308
"""Characters of an integer, sign included: no integer this short overflows a double."""

MAX_WAIT = 86_400.0
"""Seconds that any wait is capped at: one day."""

_NOT_BYTES = "is not bytes"
_BOM = "begins with a byte order mark (RFC 8259 section 8.1)"
_NOT_UTF8 = "is not UTF-8 (RFC 8259 section 8.1)"
_NOT_JSON = "is not JSON (RFC 8259 section 2)"
_TOO_DEEP = f"nests deeper than {MAX_DEPTH} levels (RFC 8259 section 9)"
_NO_STACK = "cannot be parsed this close to the interpreter's recursion limit"
_DUPLICATE = "has a duplicate member name (RFC 7493 section 2.3)"
_NOT_FINITE = "has a number that is not finite (RFC 8259 section 6)"
_TOO_LARGE = "has a number beyond the range of a double (RFC 7493 section 2.2)"
_SURROGATE = "has a lone surrogate in a string (RFC 7493 section 2.1)"

# RFC 8259 section 2: ws.
_WHITE_SPACE = " \t\n\r"
_WHITE_CHARACTERS = tuple(_WHITE_SPACE)

# Texts of patterns, here and below: few responses need one, and no import pays for it.
# The marks that open, close or hide a level.  An escape is one mark, so that an escaped quote
# does not end its string.
_MARK = r'(?s:\\.)|["\[\]{}]'

# Every escape; only half a surrogate pair takes part in the group.
_ESCAPE = r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F]|(u[dD][89a-fA-F])|.)"


def read_header(response: Response, name: str) -> str | None:
    """Return the value of a header field, or ``None``; *name* is in lower case.

    Repeated fields are joined (RFC 9110 section 5.3).
    """
    size, found = len(name), None
    for key, value in response.headers:
        # Most names differ in length already, which costs less to see than lower() does.
        if len(key) == size and key.lower() == name:
            found = value if found is None else f"{found}, {value}"
    return found


COMPRESSED = "the body is compressed although no compression was accepted"
"""The reason why a body is not JSON, if :func:`is_compressed` says so."""


def is_compressed(response: Response) -> bool:
    """Return whether a body that is not JSON claims to be compressed.

    Ask only about a body that :func:`read_json` refused.  Some servers name a character set
    in ``Content-Encoding``, and their JSON is readable all the same.
    """
    # Not inflated: no request accepts compression, and a small body could inflate without
    # bound.
    encoding = read_header(response, "content-encoding")
    return encoding is not None and encoding.strip().lower() not in ("", "identity")


class _BrokenRuleError(ValueError):
    """Carries a rule out through the standard library's parser, which calls the hooks."""


def _build_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = conceal_members(dict(pairs))
    # RFC 7493 2.3: objects MUST NOT have members with duplicate names.
    if len(members) != len(pairs):
        raise _BrokenRuleError(_DUPLICATE)
    return members


def _parse_integer(text: str) -> int:
    # Decided before int(), whose own limit is another, and the application's to change.
    if len(text) > MAX_INTEGER_LENGTH:
        raise _BrokenRuleError(_TOO_LARGE)
    return int(text)


def _parse_real(text: str) -> float:
    number = float(text)
    # RFC 7493 2.2: no magnitude that a double cannot hold; float("1e400") is infinity.
    if math.isinf(number):
        raise _BrokenRuleError(_TOO_LARGE)
    return number


def _refuse_constant(_name: str) -> NoReturn:
    # RFC 8259 6: Infinity and NaN are not permitted.  json.loads() takes both.
    raise _BrokenRuleError(_NOT_FINITE)


# Built once: json.loads() with hooks builds a decoder on every call.
_decode = json.JSONDecoder(
    object_pairs_hook=_build_object,
    parse_int=_parse_integer,
    parse_float=_parse_real,
    parse_constant=_refuse_constant,
).raw_decode


def read_json(body: bytes) -> tuple[object, str | None]:
    """Read *body* as one JSON text; return its value, and the broken rule or ``None``.

    Nothing is raised, whatever *body* is.  If a rule is broken, the value is ``None``.

    Args:
        body: the bytes of the whole response body.
    """
    try:
        return _parse(body)
    except RecursionError:
        # The application may call from deep within its own recursion.  Its stack is its
        # own business; this response just cannot be read there.
        return None, _NO_STACK


def _parse(body: object) -> tuple[object, str | None]:
    if not isinstance(body, bytes):
        return None, _NOT_BYTES
    # RFC 8259 8.1: a BOM MUST NOT be added; some readers skip it and others fail.
    if body.startswith(b"\xef\xbb\xbf"):
        return None, _BOM
    try:
        # Stated, not detected: json.loads() would take UTF-16 and UTF-32 as well.
        text: str = SecretStr(body, "utf-8")
    except UnicodeDecodeError:
        return None, _NOT_UTF8
    # The parser recurses.  A token response is one flat object; most other responses have
    # fewer brackets than levels are allowed, and need no look at where they are.
    if (
        ("[" in text or text.find("{", 1) > 0)
        and text.count("[") + text.count("{") > MAX_DEPTH
        and _is_too_deep(text)
    ):
        return None, _TOO_DEEP
    try:
        # Nearly no body has white space in front, and a method of a secret takes longer to
        # take it off than to see that there is none.
        if text.startswith(_WHITE_CHARACTERS):
            text = text.lstrip(_WHITE_SPACE)
        value, end = _decode(text)
    except _BrokenRuleError as broken:
        return None, str(broken)
    except ValueError:
        return None, _NOT_JSON
    # raw_decode() stops after the first value, and something may follow it.
    if end != len(text) and text[end:].strip(_WHITE_SPACE):
        return None, _NOT_JSON
    # RFC 7493 2.1: no surrogates.  UTF-8 has none, so only an escape can bring one in.
    # One in a claim would raise wherever the application encodes it.
    if "\\" in text and any(escape[1] for escape in re.compile(_ESCAPE).finditer(text)):
        return None, _SURROGATE
    return value, None


def _is_too_deep(text: str) -> bool:
    """Return whether *text* nests too deep, in linear time and without recursion."""
    depth = 0
    in_string = False
    for mark in re.compile(_MARK).findall(text):
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


# A date, with nothing before or behind it: email.utils would ignore a second value that
# follows, and take digits of every script.  It ends in its zone or, as asctime's form
# does, in its year.
_DATE_LIKE = r"[A-Za-z]{3,9},? [A-Za-z0-9 :-]{1,32}(?: GMT| [0-9]{4})"

# The year 33658.  A clock beyond it is broken, and a date then says nothing.
_LATEST_NOW = 1e12


class RateLimit(NamedTuple):
    """The server's rate limit, as one of its responses tells it.

    Auth0 sends the tenant's counters with each response, and they do not know a client's
    own limit (a custom policy).  So they are a reason to slow down, and none to speed up.

    Attributes:
        remaining: the requests that are left until the reset, or ``None``.
        reset_in: seconds until the limit is reset, above 0 and at most 86,400, or ``None``.
        retry_after: seconds that ``Retry-After`` asks to wait, 0 to 86,400, or ``None``.
    """

    remaining: int | None
    reset_in: float | None
    retry_after: float | None


def read_rate_limit(response: Response, now: float) -> RateLimit:
    """Return what a response says of the rate limit; a field that is invalid says nothing.

    Args:
        response: the response, of any status.
        now: the present by this machine's clock, in seconds since 1970 (UTC), for a response
            without a ``Date``.
    """
    remaining = _strip_field(read_header(response, "x-ratelimit-remaining"))
    return RateLimit(
        int(_to_number(remaining))
        if remaining is not None and _is_digits(remaining)
        else None,
        _read_reset(response, now),
        _read_retry_after(response, now),
    )


def read_wait(response: Response, now: float) -> float | None:
    """Return the seconds to wait: ``Retry-After`` if valid, else until the limit's reset.

    Args:
        response: a response that is not a success.
        now: as ``read_rate_limit`` takes it.
    """
    seconds = _read_retry_after(response, now)
    # Auth0 may send its limit's reset with any response; only a 429 says that it is reached.
    if seconds is None and response.status == 429:
        return _read_reset(response, now)
    return seconds


def _read_retry_after(response: Response, now: float) -> float | None:
    value = read_header(response, "retry-after")
    if value is None:
        return None
    return parse_retry_after(value, _find_present(response, now))


def _read_reset(response: Response, now: float) -> float | None:
    value = read_header(response, "x-ratelimit-reset")
    if value is None:
        return None
    return parse_rate_limit_reset(value, _find_present(response, now))


def _find_present(response: Response, now: float) -> float:
    """Return the present by the server's clock, or *now* if the response does not say."""
    date = parse_http_date(read_header(response, "date"))
    return now if date is None else date


def parse_retry_after(value: str, now: float) -> float | None:
    """Return the seconds that a ``Retry-After`` field asks to wait, 0.0 to 86,400.0.

    Args:
        value: the field's value; anything but one delay, or one date that is still to come,
            gives ``None``.
        now: the present, in seconds since 1970 (UTC), which a date is measured from.

    See RFC 9110 section 10.2.3.
    """
    text = _strip_field(value)
    if text is None:
        return None
    if _is_digits(text):
        return min(_to_number(text), MAX_WAIT)
    return _measure_wait(_parse_http_date(text), now)


def parse_rate_limit_reset(value: str, now: float) -> float | None:
    """Return the seconds until Auth0's ``x-ratelimit-reset``, above 0 and at most 86,400.0.

    Args:
        value: the field's value, a moment in seconds since 1970 (UTC); anything but
            digits, or a moment that is still to come, gives ``None``.
        now: the present, in the same seconds.
    """
    text = _strip_field(value)
    if text is None or not _is_digits(text):
        return None
    return _measure_wait(_to_number(text), now)


def _measure_wait(moment: float | None, now: float) -> float | None:
    # Abs: neither infinite nor NaN, which compares with nothing, nor past every calendar.
    if moment is None or not abs(now) < _LATEST_NOW or moment <= now:
        return None
    return min(moment - now, MAX_WAIT)


def parse_http_date(value: str | None) -> float | None:
    """Return the seconds since 1970 of a date in GMT (RFC 9110 section 5.6.7).

    Args:
        value: the field's value; anything but one date gives ``None``.
    """
    text = _strip_field(value)
    return None if text is None else _parse_http_date(text)


def _parse_http_date(text: str) -> float | None:
    if not re.compile(_DATE_LIKE, re.ASCII).fullmatch(text):
        return None
    # Imported where it is needed: it brings socket, random and datetime, 10 ms that every
    # import of the core would pay.  An HTTP library has loaded it by the time of a reply.
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        # No such day, hour or second; or a year that no calendar has.
        return None
    # Naive is the form without a zone, which stands for GMT.  Any other offset is not
    # HTTP's, and a server that makes one up may be hours off.
    return None if moment.utcoffset() else moment.replace(tzinfo=UTC).timestamp()


def _strip_field(value: object) -> str | None:
    # RFC 9110 5.5: whitespace around a value, SP and HTAB, is not part of it.
    return value.strip(" \t") if isinstance(value, str) else None


def _is_digits(text: str) -> bool:
    # RFC 9110 10.2.3: 1*DIGIT, of ASCII; isdigit() alone takes every script's.
    return text.isascii() and text.isdigit()


def _to_number(digits: str) -> float:
    digits = digits.lstrip("0") or "0"
    # Cut short, not converted: int() of thousands of digits is slow, or refuses.
    return float(digits) if len(digits) <= 15 else 1e15
