"""A body is one JSON value to every reader, or it is refused by rule."""

from __future__ import annotations

import json
import sys
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.wire.reading import (
    MAX_DEPTH,
    MAX_INTEGER_LENGTH,
    parse_json,
    read_json,
)
from auth0_tx.errors import InvalidResponseError

NEEDLE = "eyJhbGciOiJSUzI1NiJ9.needle"

TOKEN_RESPONSE = {
    "access_token": NEEDLE,
    "expires_in": 86_400,
    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    "scope": "openid profile",
    "token_type": "Bearer",
}

NOT_UTF8 = "is not UTF-8 (RFC 8259 section 8.1)"
NOT_JSON = "is not JSON (RFC 8259 section 2)"
TOO_DEEP = "nests deeper than 64 levels (RFC 8259 section 9)"
DUPLICATE = "has a member name twice in one object (RFC 7493 section 2.3)"
NOT_FINITE = "has a number that is not finite (RFC 8259 section 6)"
TOO_LARGE = "has a number beyond the range of a double (RFC 7493 section 2.2)"
SURROGATE = "has half a surrogate pair in a string (RFC 7493 section 2.1)"


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_a_token_response_is_read() -> None:
    """A token response comes back with its members as they were sent."""
    value = parse_json(json.dumps(TOKEN_RESPONSE).encode())

    assert TOKEN_RESPONSE == value


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", {}),
        (b"[]", []),
        (b"null", None),
        (b" \t\r\n true \t\r\n ", True),
        (b'""', ""),
        (b"-0", 0),
        (b"-0.0", 0.0),
        (b"1e2", 100.0),
        (b"1E-400", 0.0),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        ('"\u00e9\U0001f600"'.encode(), "\u00e9\U0001f600"),
        (b'"\\u00e9\\n\\/\\""', '\u00e9\n/"'),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\uD83D\\uDE00"', "\U0001f600"),
        (b'"\\\\ud800"', "\\ud800"),
        (b'"\\\\\\u0041"', "\\A"),
        (b'"\xef\xbb\xbf"', "\ufeff"),
        (
            b'{"a":{"a":1},"b":[{"a":2},{"a":3}]}',
            {"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}]},
        ),
    ],
)
def test_json_is_accepted(body: bytes, expected: object) -> None:
    """What RFC 8259 calls JSON is read, at the top level too."""
    assert (expected, None) == read_json(body)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b"", NOT_JSON, id="empty"),
        pytest.param(b" \n", NOT_JSON, id="only whitespace"),
        pytest.param(b'{"access_token": "abc', NOT_JSON, id="truncated"),
        pytest.param(b'"abc\\', NOT_JSON, id="truncated escape"),
        pytest.param(b"{} {}", NOT_JSON, id="two values"),
        pytest.param(b"{'a': 1}", NOT_JSON, id="single quotes"),
        pytest.param(b'{"a": 1,}', NOT_JSON, id="trailing comma"),
        pytest.param(b"[1] // no", NOT_JSON, id="comment"),
        pytest.param(b"{a: 1}", NOT_JSON, id="bare name"),
        pytest.param(b"[01]", NOT_JSON, id="leading zero"),
        pytest.param(b"[+1]", NOT_JSON, id="plus"),
        pytest.param(b"[.5]", NOT_JSON, id="no integer part"),
        pytest.param("[\u0663]".encode(), NOT_JSON, id="Arabic-Indic digit"),
        pytest.param(b'["a\nb"]', NOT_JSON, id="raw control character"),
        pytest.param(b'["\\x41"]', NOT_JSON, id="unknown escape"),
        pytest.param(b'["\\u00g1"]', NOT_JSON, id="bad hex digit"),
        pytest.param("\u00a0[]".encode(), NOT_JSON, id="other whitespace"),
        pytest.param(b"[]\0", NOT_JSON, id="NUL"),
        pytest.param("{}".encode("utf-16-le"), NOT_JSON, id="UTF-16, no BOM"),
        pytest.param("{}".encode("utf-32-be"), NOT_JSON, id="UTF-32, no BOM"),
        pytest.param("{}".encode("utf-16"), NOT_UTF8, id="UTF-16"),
        pytest.param(b'"\xff"', NOT_UTF8, id="invalid UTF-8"),
        pytest.param(b'"\xc0\xaf"', NOT_UTF8, id="overlong UTF-8"),
        pytest.param(b'"\xed\xa0\x80"', NOT_UTF8, id="surrogate in UTF-8"),
        pytest.param(
            b"\xef\xbb\xbf{}",
            "begins with a byte order mark (RFC 8259 section 8.1)",
            id="BOM",
        ),
        pytest.param(b'{"a": 1, "a": 1}', DUPLICATE, id="same member twice"),
        pytest.param(b'{"a": 1, "\\u0061": 2}', DUPLICATE, id="escaped duplicate"),
        pytest.param(b'[{"b": {"a": 1, "a": 2}}]', DUPLICATE, id="nested duplicate"),
        pytest.param(b"[NaN]", NOT_FINITE, id="NaN"),
        pytest.param(b"Infinity", NOT_FINITE, id="Infinity"),
        pytest.param(b'{"a": -Infinity}', NOT_FINITE, id="-Infinity"),
        pytest.param(b"[1e400]", TOO_LARGE, id="overflow"),
        pytest.param(b"[-1.5E+999]", TOO_LARGE, id="negative overflow"),
        pytest.param(b"1" * 5_000, TOO_LARGE, id="5,000 digits"),
        pytest.param(b"[-" + b"1" * 1_000_000 + b"]", TOO_LARGE, id="a million digits"),
        pytest.param(b'"\\ud800"', SURROGATE, id="lone high surrogate"),
        pytest.param(b'"\\uDFFF"', SURROGATE, id="lone low surrogate"),
        pytest.param(b'"\\ude00\\ud83d"', SURROGATE, id="inverted pair"),
        pytest.param(b'"\\ud83d\\ud83d\\ude00"', SURROGATE, id="half before a pair"),
        pytest.param(b'"\\ud83dx\\ude00"', SURROGATE, id="parted pair"),
        pytest.param(b'{"\\udc00": 1}', SURROGATE, id="in a member name"),
        pytest.param(b'"\\\\\\ud800"', SURROGATE, id="after a backslash"),
    ],
)
def test_what_readers_could_take_differently_is_refused(
    body: bytes, problem: str
) -> None:
    """A body that is not unambiguous JSON is refused with the rule it breaks."""
    assert (None, problem) == read_json(body)


@pytest.mark.parametrize("body", [None, "{}", bytearray(b"{}"), 1, [b"{}"]])
def test_only_bytes_are_read(body: object) -> None:
    """Anything but bytes is a problem, not an exception."""
    assert (None, "is not bytes") == read_json(body)  # type: ignore[arg-type]


def test_the_longest_integer_fits_a_double() -> None:
    """An integer of the greatest length is read, and one digit more is refused."""
    longest = "9" * MAX_INTEGER_LENGTH

    assert (int(longest), None) == read_json(longest.encode())
    assert float(longest) < float("inf")
    assert (None, TOO_LARGE) == read_json(longest.encode() + b"9")


def test_the_limit_on_digits_is_not_the_interpreters() -> None:
    """With the interpreter's own limit lifted the same integers are refused."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        result = read_json(b"1" * 5_000)
    finally:
        sys.set_int_max_str_digits(limit)

    assert (None, TOO_LARGE) == result


def test_nesting_is_read_to_the_limit() -> None:
    """Arrays nest as deep as the limit and not one level deeper."""
    assert None is read_json(nested(MAX_DEPTH))[1]
    assert (None, TOO_DEEP) == read_json(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        nested(100_000),
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'[{"":' * 100_000,
        b'"]"' + b"[" * 100_000,
    ],
)
def test_deep_nesting_is_refused_without_recursion(body: bytes) -> None:
    """A hundred thousand levels are a problem, not a RecursionError."""
    assert (None, TOO_DEEP) == read_json(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join([b'{"a":[]}'] * 1_000) + b"]",
        b'["' + b"[{" * 1_000 + b'"]',
        b'["\\"' + b"[{" * 1_000 + b'\\\\"]',
    ],
)
def test_brackets_that_do_not_nest_are_not_counted(body: bytes) -> None:
    """Many brackets side by side, or within a string, are no nesting."""
    assert (json.loads(body), None) == read_json(body)


def test_an_escape_outside_a_string_opens_nothing() -> None:
    """A backslash outside a string is no JSON, whatever brackets follow it."""
    assert (None, NOT_JSON) == read_json(b"\\[" + b"[]," * 100)


def test_a_full_stack_is_a_problem_too() -> None:
    """Called with the interpreter's stack all but used up, reading only answers."""
    answers = []

    def dive() -> None:
        try:
            dive()
        except RecursionError:
            answers.append(read_json(b'{"a": 1}'))
            raise

    with pytest.raises(RecursionError):
        dive()

    problem = "cannot be read with so little of the interpreter's stack left"
    assert (None, problem) in answers
    assert ({"a": 1}, None) == answers[-1]


def test_a_refused_body_is_nowhere_in_the_error() -> None:
    """The error, its chain and the locals of its frames hold no part of the body."""
    body = f'{{"access_token": "{NEEDLE}"'.encode()

    with pytest.raises(InvalidResponseError) as caught:
        parse_json(body)

    error = caught.value
    raised_in = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][-1]
    assert "the body is not JSON (RFC 8259 section 2)" == error.message
    assert (None, None) == (error.__cause__, error.__context__)
    assert NEEDLE not in repr(error.args)
    assert {"problem": NOT_JSON} == raised_in.f_locals


json_texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | json_texts,
    lambda inner: st.lists(inner) | st.dictionaries(json_texts, inner),
    max_leaves=30,
)


@given(json_values, st.booleans())
def test_every_json_value_survives(value: object, ascii_only: bool) -> None:
    """A value written as JSON is read back as it was, escaped or not."""
    body = json.dumps(value, ensure_ascii=ascii_only).encode()

    assert value == parse_json(body)


@given(
    st.binary()
    | st.text('[]{}",:\\ud8c0019eE+-. \n').map(str.encode)
    | st.lists(
        st.sampled_from([b"[", b"]", b'"', b"\\", b"{", b"}", b":", b",", b"\\ud83d"])
    ).map(b"".join)
)
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    """Whatever the bytes, the answer is a value all in UTF-8, or our own error."""
    try:
        value = parse_json(body)
    except InvalidResponseError:
        return

    assert value == json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8"))
