"""A body is one JSON value to every reader, and a wait is never trusted too far."""

from __future__ import annotations

import calendar
import json
import math
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.effects import Response
from auth0_tx.core.wire.reading import (
    MAX_DEPTH,
    MAX_INTEGER_LENGTH,
    MAX_WAIT,
    RateLimit,
    parse_rate_limit_reset,
    parse_retry_after,
    read_header,
    read_json,
    read_rate_limit,
    read_wait,
)

TOKEN_RESPONSE = {
    "access_token": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
    "expires_in": 86_400,
    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    "scope": "openid profile",
    "token_type": "Bearer",
}

NOT_UTF8 = "is not UTF-8 (RFC 8259 section 8.1)"
NOT_JSON = "is not JSON (RFC 8259 section 2)"
TOO_DEEP = "nests deeper than 64 levels (RFC 8259 section 9)"
DUPLICATE = "has a duplicate member name (RFC 7493 section 2.3)"
NOT_FINITE = "has a number that is not finite (RFC 8259 section 6)"
TOO_LARGE = "has a number beyond the range of a double (RFC 7493 section 2.2)"
SURROGATE = "has a lone surrogate in a string (RFC 7493 section 2.1)"


def nest(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_a_token_response_is_read() -> None:
    """A token response comes back with its members as they were sent."""
    body = json.dumps(TOKEN_RESPONSE).encode()

    assert (TOKEN_RESPONSE, None) == read_json(body)


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
    """Every JSON text of RFC 8259 is read, at the top level too."""
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
    assert None is read_json(nest(MAX_DEPTH))[1]
    assert (None, TOO_DEEP) == read_json(nest(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        nest(100_000),
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
    """Many brackets side by side, or within a string, do not nest."""
    assert (json.loads(body), None) == read_json(body)


def test_an_escape_outside_a_string_opens_nothing() -> None:
    """A backslash outside a string is not JSON, whatever brackets follow it."""
    assert (None, NOT_JSON) == read_json(b"\\[" + b"[]," * 100)


def test_a_full_stack_is_a_problem_too() -> None:
    """With the interpreter's stack nearly used up, reading still raises nothing."""
    results = []

    def dive() -> None:
        try:
            dive()
        except RecursionError:
            results.append(read_json(b'{"a": 1}'))
            raise

    with pytest.raises(RecursionError):
        dive()

    problem = "cannot be parsed this close to the interpreter's recursion limit"
    assert (None, problem) in results
    assert ({"a": 1}, None) == results[-1]


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

    assert (value, None) == read_json(body)


@given(
    st.binary()
    | st.text('[]{}",:\\ud8c0019eE+-. \n').map(str.encode)
    | st.lists(
        st.sampled_from([b"[", b"]", b'"', b"\\", b"{", b"}", b":", b",", b"\\ud83d"])
    ).map(b"".join)
)
def test_no_bytes_raise_anything(body: bytes) -> None:
    """Whatever the bytes, the result is a value that UTF-8 can write, or a rule."""
    value, problem = read_json(body)

    if problem is None:
        text = json.dumps(value, ensure_ascii=False)
        assert value == json.loads(text.encode("utf-8"))
    else:
        assert value is None


# Sun, 06 Nov 1994 08:49:37 GMT, the moment of RFC 9110's examples.
EXAMPLE = 784_111_777.0


def to_epoch(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0),
        ("1", 1.0),
        ("120", 120.0),
        ("007", 7.0),
        ("86400", 86_400.0),
        ("86401", 86_400.0),
        ("1000000000000", 86_400.0),
        ("9" * 5_000, 86_400.0),
        ("0" * 5_000 + "1", 1.0),
        (" 1", 1.0),
        ("\t 1 \t", 1.0),
    ],
)
def test_delay_seconds(value: str, expected: float) -> None:
    """A delay is its digits, capped at a day, whitespace around it aside."""
    assert expected == parse_retry_after(value, EXAMPLE)


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994",
        "\tSun, 06 Nov 1994 08:49:37 GMT ",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        # Not to the letter, but no reader could take it for another instant.
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun,  06 Nov 1994 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  6 08:49:37 GMT 1994",
    ],
)
def test_dates(value: str) -> None:
    """All three formats of a date are read, robustly (RFC 9110 section 5.6.7)."""
    assert 37.5 == parse_retry_after(value, EXAMPLE - 37.5)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "-5",
        "+1",
        "1.5",
        "1e3",
        "0x10",
        "1_000",
        "1, 2",
        "1 2",
        "1s",
        "\u0663",
        "\uff11",
        "1\n",
        "\u00a01",
        "inf",
        "nan",
        "soon",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37 EST",
        "Sun, 06 Nov 1994 08:49:37 -0500",
        "Sun, 06 Nov 1994 08:49:37 -0500 GMT",
        "Sun Nov  6 08:49:37 EST 1994",
        "Sun, 06 Nov 1994 08:49:37",
        "06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, 1",
        "Sun, 06 Nov 1994 08:49:37 GMT, 1994",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:50:37 GMT",
        "Sun, 06 Nov 99999 08:49:37 GMT",
        "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 32 Dec 1994 08:49:37 GMT",
        "Wed, 29 Feb 1995 08:49:37 GMT",
        "Thu, 29 Feb 1900 08:49:37 GMT",
        "Sunday, 29-Feb-95 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT",
        "Sun, 06 Nov 1994 23:59:61 GMT",
        # A leap second, which datetime does not know.  The next one is not planned, and
        # the loss is one second's advice.
        "Sat, 31 Dec 2016 23:59:60 GMT",
    ],
)
def test_anything_else_is_not_a_wait(value: str) -> None:
    """Anything but one delay, or one real date in GMT, says nothing."""
    assert None is parse_retry_after(value, EXAMPLE - 60.0)


@pytest.mark.parametrize("ago", [0.0, 1.0, 86_400.0])
def test_a_date_that_has_passed_says_nothing(ago: float) -> None:
    """A date that is not ahead is no wait: a clock may be apart, and none is not 0."""
    assert None is parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE + ago)


def test_a_date_far_ahead_is_capped() -> None:
    """A date years ahead asks for a day."""
    assert MAX_WAIT == parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", EXAMPLE)


def test_a_leap_day_is_a_real_date() -> None:
    """The 29th of February is a date in a leap year, 2000 among them."""
    now = to_epoch(2000, 2, 28, 12)

    assert 43_201.0 == parse_retry_after("Tue, 29 Feb 2000 00:00:01 GMT", now)


@pytest.mark.parametrize(
    ("value", "now", "expected"),
    [
        ("Saturday, 31-Dec-99 23:59:59 GMT", to_epoch(2026, 1, 1), None),
        ("Tuesday, 01-Jan-30 00:00:10 GMT", to_epoch(2029, 12, 31, 23, 59, 59), 11.0),
        ("Sunday, 01-Jan-68 00:00:10 GMT", to_epoch(2026, 1, 1), MAX_WAIT),
        ("Saturday, 29-Feb-76 00:00:00 GMT", to_epoch(2026, 2, 28), None),
        ("Thursday, 01-Jan-70 00:00:10 GMT", 0.0, 10.0),
        ("Wednesday, 31-Dec-69 23:59:59 GMT", -11.0, 10.0),
    ],
)
def test_a_two_digit_year(value: str, now: float, expected: float | None) -> None:
    """A year of two digits is from 1969 to 2068, as the standard library reads it."""
    assert expected == parse_retry_after(value, now)


@pytest.mark.parametrize("now", [float("nan"), float("inf"), float("-inf"), 1e300])
def test_without_a_usable_clock_only_a_delay_counts(now: float) -> None:
    """Without a sane clock dates mean nothing, but delays still count."""
    assert 5.0 == parse_retry_after("5", now)
    assert None is parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now)
    assert None is parse_retry_after("Sunday, 06-Nov-94 08:49:37 GMT", now)
    assert None is parse_rate_limit_reset("784111777", now)


@pytest.mark.parametrize("value", [None, 5, 5.0, b"5", ["5"]])
def test_only_text_is_read(value: object) -> None:
    """A value that is not text says nothing."""
    assert None is parse_retry_after(value, EXAMPLE)  # type: ignore[arg-type]
    assert None is parse_rate_limit_reset(value, EXAMPLE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("784111787", 10.0),
        (" 784111787\t", 10.0),
        ("784111777", None),
        ("784111700", None),
        ("0", None),
        ("784198177", 86_400.0),
        ("784198178", 86_400.0),
        ("784111787000", 86_400.0),
        ("9" * 5_000, 86_400.0),
        ("", None),
        ("-1", None),
        ("784111787.5", None),
        ("7841\u0661", None),
        ("soon", None),
        ("1, 2", None),
    ],
)
def test_rate_limit_reset(value: str, expected: float | None) -> None:
    """The wait ends at the moment named, at most a day ahead; one that passed says nothing."""
    assert expected == parse_rate_limit_reset(value, EXAMPLE)


moments = st.datetimes(
    min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 30)
).map(lambda moment: moment.replace(microsecond=0, tzinfo=UTC))


@given(moments, st.integers(1, 86_400))
def test_a_date_is_read_as_it_was_written(now: datetime, seconds: int) -> None:
    """A date some seconds ahead, in each format, asks for those seconds."""
    then = now + timedelta(seconds=seconds)
    day = calendar.day_name[then.weekday()]
    values = [format_datetime(then, usegmt=True), then.ctime()]
    if then.year <= 2068:
        values.append(f"{day}, {then:%d-%b-%y %H:%M:%S} GMT")

    waits = {parse_retry_after(value, now.timestamp()) for value in values}

    assert {float(seconds)} == waits


@given(
    st.text()
    | st.text("0123456789 \t,-:GMTSunNov")
    | st.from_regex(r"\A(Sun|Mon), [0-9A-Za-z: -]{1,32} GMT\Z"),
    st.floats(),
)
def test_no_text_gives_an_unbounded_wait(value: str, now: float) -> None:
    """Whatever the text and the clock, a wait is None or from 0 to a day."""
    for wait in (parse_retry_after(value, now), parse_rate_limit_reset(value, now)):
        assert wait is None or 0.0 <= wait <= MAX_WAIT


DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
"""The moment EXAMPLE, as a server writes it."""


def build_limited(*headers: tuple[str, str], status: int = 429) -> Response:
    return Response(status, headers, b"")


@pytest.mark.parametrize("ahead", [-86_400.0, -30.0, 0.0, 30.0, 86_400.0, math.nan])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-ratelimit-reset": "784111779"}, RateLimit(None, 2.0, None)),
        ({"x-ratelimit-reset": "784111777"}, RateLimit(None, None, None)),
        (
            {"Retry-After": "Sun, 06 Nov 1994 08:49:47 GMT"},
            RateLimit(None, None, 10.0),
        ),
        ({"Retry-After": DATE}, RateLimit(None, None, None)),
        ({"Retry-After": "3"}, RateLimit(None, None, 3.0)),
        ({"Retry-After": "0"}, RateLimit(None, None, 0.0)),
        ({"X-RateLimit-Remaining": "7"}, RateLimit(7, None, None)),
        (
            {
                "x-ratelimit-limit": "100",
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": "784111778",
                "retry-after": "5",
            },
            RateLimit(0, 1.0, 5.0),
        ),
        ({}, RateLimit(None, None, None)),
    ],
)
def test_rate_limit(headers: dict[str, str], expected: RateLimit, ahead: float) -> None:
    """A limit is measured by the response's own Date, however far the clocks are apart."""
    for status in (200, 429, 503):
        response = build_limited(("Date", DATE), *headers.items(), status=status)
        assert expected == read_rate_limit(response, EXAMPLE + ahead)


@pytest.mark.parametrize("date", [None, "", "soon", "784111777", f"{DATE}, {DATE}"])
def test_rate_limit_without_a_date(date: str | None) -> None:
    """Without a Date that can be read, this machine's clock is all there is."""
    dated = () if date is None else (("date", date),)
    response = build_limited(*dated, ("x-ratelimit-reset", "784111787"))

    assert 10.0 == read_rate_limit(response, EXAMPLE).reset_in
    assert 0.5 == read_rate_limit(response, EXAMPLE + 9.5).reset_in
    assert None is read_rate_limit(response, EXAMPLE + 10.0).reset_in


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0),
        (" 12 ", 12),
        ("007", 7),
        ("9" * 5_000, 10**15),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("1, 2", None),
        ("\u0661", None),
    ],
)
def test_remaining(value: str, expected: int | None) -> None:
    """What remains is digits, and anything else says nothing."""
    response = build_limited(("x-ratelimit-remaining", value))

    assert expected == read_rate_limit(response, EXAMPLE).remaining


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (429, {"retry-after": "7", "x-ratelimit-reset": "784111837"}, 7.0),
        (429, {"x-ratelimit-reset": "784111837"}, 60.0),
        (429, {"retry-after": "soon", "x-ratelimit-reset": "784111837"}, 60.0),
        (429, {"retry-after": DATE, "x-ratelimit-reset": "784111837"}, 60.0),
        (429, {"x-ratelimit-reset": "784111700"}, None),
        (503, {"retry-after": "7", "x-ratelimit-reset": "784111837"}, 7.0),
        (503, {"x-ratelimit-reset": "784111837"}, None),
        (400, {"x-ratelimit-remaining": "0"}, None),
    ],
)
def test_wait(status: int, headers: dict[str, str], expected: float | None) -> None:
    """A response asks to wait by Retry-After, or with a 429 by the limit's reset."""
    response = build_limited(("date", DATE), *headers.items(), status=status)

    assert expected == read_wait(response, EXAMPLE + 30.0)


field_values = (
    st.none()
    | st.text()
    | st.text("0123456789 \t,-:GMTSunNov")
    | st.integers(-(10**20), 10**20).map(str)
    | st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)).map(
        lambda moment: format_datetime(moment.replace(tzinfo=UTC), usegmt=True)
    )
)


@given(
    st.fixed_dictionaries(
        {
            "date": field_values,
            "retry-after": field_values,
            "x-ratelimit-reset": field_values,
            "x-ratelimit-remaining": field_values,
        }
    ),
    st.floats(),
)
def test_any_rate_limit_is_bounded(fields: dict[str, str | None], now: float) -> None:
    """Whatever the fields and the clocks say, each value is None or within its bounds."""
    headers = [(name, value) for name, value in fields.items() if value is not None]
    limit = read_rate_limit(build_limited(*headers), now)

    assert limit.remaining is None or 0 <= limit.remaining <= 10**15
    assert limit.reset_in is None or 0.0 < limit.reset_in <= MAX_WAIT
    assert limit.retry_after is None or 0.0 <= limit.retry_after <= MAX_WAIT


def test_header() -> None:
    """A field is found in any case, and repeated ones are joined (RFC 9110 section 5.3)."""
    response = Response(200, [("X-A", "1"), ("x-a", "2"), ("B", "")], b"")

    assert ("1, 2", "", None) == tuple(
        read_header(response, name) for name in ("x-a", "b", "c")
    )


def test_headers_are_read_again() -> None:
    """A second look at the headers sees what the first saw."""
    response = Response(429, (("retry-after", "1"),), b"")

    assert ["1", "1"] == [read_header(response, "retry-after") for _ in range(2)]
