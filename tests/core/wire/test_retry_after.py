"""What a server asks to wait is read to the letter, and never trusted too far."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.wire.reading import (
    MAX_WAIT,
    parse_rate_limit_reset,
    parse_retry_after,
)

# Sun, 06 Nov 1994 08:49:37 GMT, the moment of RFC 9110's examples.
EXAMPLE = 784_111_777.0


def epoch(*parts: int) -> float:
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
    ],
)
def test_dates(value: str) -> None:
    """All three formats of a date are read; the weekday's name carries no meaning."""
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
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun,  06 Nov 1994 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, 1",
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
    ],
)
def test_anything_else_is_no_wait(value: str) -> None:
    """What is neither one delay nor one real date says nothing."""
    assert None is parse_retry_after(value, EXAMPLE - 60.0)


def test_a_date_that_has_passed_is_no_wait_at_all() -> None:
    """A date in the past asks for 0 seconds."""
    assert 0.0 == parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE + 1.0)


def test_a_date_far_ahead_is_capped() -> None:
    """A date years ahead asks for a day."""
    assert MAX_WAIT == parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", EXAMPLE)


def test_a_leap_day_is_a_real_date() -> None:
    """The 29th of February is a date in a leap year, 2000 among them."""
    now = epoch(2000, 2, 28, 12)

    assert 43_201.0 == parse_retry_after("Tue, 29 Feb 2000 00:00:01 GMT", now)


def test_a_leap_second_is_the_first_of_the_next_day() -> None:
    """Second 60 ends a day, where RFC 9110 allows it."""
    now = epoch(2016, 12, 31, 23, 59, 50)

    assert 10.0 == parse_retry_after("Sat, 31 Dec 2016 23:59:60 GMT", now)


@pytest.mark.parametrize(
    ("value", "now", "expected"),
    [
        # 2044-11-06 08:49:37 is 50 years ahead to the second: still the future.
        ("Sunday, 06-Nov-44 08:49:37 GMT", EXAMPLE, MAX_WAIT),
        # A second more is 1944.
        ("Sunday, 06-Nov-44 08:49:38 GMT", EXAMPLE, 0.0),
        ("Saturday, 31-Dec-99 23:59:59 GMT", epoch(2026, 1, 1), 0.0),
        ("Thursday, 01-Jan-00 00:00:10 GMT", epoch(2099, 12, 31, 23, 59, 59), 11.0),
        ("Thursday, 01-Jan-70 00:00:10 GMT", epoch(2026, 1, 1), MAX_WAIT),
        ("Saturday, 29-Feb-76 00:00:00 GMT", epoch(2026, 2, 28), 0.0),
        ("Thursday, 01-Jan-70 00:00:10 GMT", 0.0, 10.0),
        ("Wednesday, 31-Dec-69 23:59:59 GMT", -11.0, 10.0),
    ],
)
def test_a_two_digit_year(value: str, now: float, expected: float) -> None:
    """A year of two digits is at most 50 years ahead, else the latest one past."""
    assert expected == parse_retry_after(value, now)


@pytest.mark.parametrize("now", [float("nan"), float("inf"), float("-inf"), 1e300])
def test_without_a_usable_clock_only_a_delay_counts(now: float) -> None:
    """A present that is no date leaves dates without meaning, but not delays."""
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
        ("784111777", 0.0),
        ("784111700", 0.0),
        ("0", 0.0),
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
    """The wait ends at the moment named, and is 0 to a day whatever the clocks say."""
    assert expected == parse_rate_limit_reset(value, EXAMPLE)


moments = st.datetimes(
    min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 30)
).map(lambda moment: moment.replace(microsecond=0, tzinfo=UTC))


@given(moments, st.integers(0, 86_400))
def test_a_date_is_read_as_it_was_written(now: datetime, seconds: int) -> None:
    """A date some seconds ahead, in each format, asks for those seconds."""
    then = now + timedelta(seconds=seconds)
    day = calendar.day_name[then.weekday()]
    values = [
        format_datetime(then, usegmt=True),
        then.ctime(),
        f"{day}, {then:%d-%b-%y %H:%M:%S} GMT",
    ]

    waits = [parse_retry_after(value, now.timestamp()) for value in values]

    assert [float(seconds)] * 3 == waits


@given(
    st.text() | st.text("0123456789 \t,-:GMTSunNov"),
    st.floats(),
)
def test_no_text_does_worse_than_nothing(value: str, now: float) -> None:
    """Whatever the text and the clock, a wait is None or from 0 to a day."""
    for wait in (parse_retry_after(value, now), parse_rate_limit_reset(value, now)):
        assert wait is None or 0.0 <= wait <= MAX_WAIT
