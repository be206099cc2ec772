"""Moments and durations in words."""

from __future__ import annotations

import pytest

from auth0_tx.cli.rendering.times import (
    describe_date,
    format_duration,
    format_utc,
    parse_date,
)

NOW = 1_700_000_000.0
UTC = "2023-11-14 22:13:20 UTC"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (89, "89 seconds"),
        (90, "2 minutes"),
        (180, "3 minutes"),
        (23 * 3600, "23 hours"),
        (86_399.6, "24 hours"),
        (3 * 86_400, "3 days"),
        (90 * 86_400, "3 months"),
        (10 * 31_557_600, "10 years"),
        (2e11, "6,338 years"),
    ],
)
def test_duration(seconds: float, words: str) -> None:
    """A duration is given in the unit that fits, rounded."""
    assert words == format_duration(seconds)


@pytest.mark.parametrize(
    ("claim", "away", "words"),
    [
        ("exp", 23 * 3600, "expires in 23 hours"),
        ("exp", -180, "expired 3 minutes ago"),
        ("exp", 0, "expires now"),
        ("iat", -180, "issued 3 minutes ago"),
        ("iat", 600, "issued in 10 minutes (in the future)"),
        ("iat", 0.4, "issued just now"),
        ("nbf", 600, "becomes valid in 10 minutes"),
        ("nbf", -600, "became valid 10 minutes ago"),
        ("auth_time", -7200, "signed in 2 hours ago"),
    ],
)
def test_date_words(claim: str, away: float, words: str) -> None:
    """A date is described by what it means for the token, and shown in UTC."""
    assert f"{words}, {UTC}" == describe_date(claim, NOW, NOW - away)


@pytest.mark.parametrize(
    "value", [None, True, "1700000000", -1, 10**307, float("nan"), [1], 253_402_300_800]
)
def test_no_date(value: object) -> None:
    """A value that is not a NumericDate of this calendar is not a date."""
    assert "not a date" == describe_date("exp", value, NOW)


@pytest.mark.parametrize("value", [0, 253_402_300_799, 253_402_300_798.999_999_9])
def test_calendar_edges(value: float) -> None:
    """The first and the last second that are dates can be written."""
    assert value == parse_date(value)
    assert format_utc(value).endswith("UTC")
