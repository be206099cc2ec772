"""JSON as RFC 8259 and RFC 7493 (I-JSON) have it: one reading of a body, or none.

The standard library's parser guesses the encoding, keeps the last of two equal member
names, and knows ``NaN``.  In an answer that carries tokens each of these lets two
readers of one body see two different things, so each is refused here.  The text of a
refused body is nowhere in what comes out: a problem names the rule that was broken,
never the content.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from ..errors import InvalidResponseError

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
