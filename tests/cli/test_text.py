"""Values as text that is safe on a terminal."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth0_tx.cli.rendering.style import Style
from auth0_tx.cli.rendering.text import (
    format_json,
    format_rows,
    format_value,
    make_printable,
    wrap_prose,
)

PLAIN = Style()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("auth0|alice", "auth0|alice"),
        ("Zoë", "Zoë"),
        ("\x1b[31m", "\\u001b[31m"),
        ("a\r\nb\tc\0", "a\\r\\nb\\tc\\u0000"),
        ("\x7f\x9b31m", "\\u007f\\u009b31m"),
        ("\u202e\u2066\u200b\u2028", "\\u202e\\u2066\\u200b\\u2028"),
        ("\udc80", "\\udc80"),
        ("\U000e0041", "\\udb40\\udc41"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    """A character that is not visible as itself is escaped."""
    assert shown == make_printable(text)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text())
def test_printable_always(text: str) -> None:
    """Whatever the text, what is shown has no control or format character."""
    assert make_printable(text).isprintable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(json_values)
def test_json_text_reads_back(value: object) -> None:
    """JSON stays the same JSON, on one line without control characters."""
    text = format_json(value)

    assert text.isprintable()
    assert value == json.loads(text)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(json_values)
def test_value_is_unambiguous(value: object) -> None:
    """A string without quotes cannot be mistaken for another value."""
    text = format_value(value)

    assert text.isprintable()
    if isinstance(value, str) and text == value:
        with pytest.raises(ValueError, match=r"Expecting value|Extra data"):
            json.loads(text)
    else:
        assert value == json.loads(text)


def test_rows_are_aligned() -> None:
    """Values stand in one column, unless a name is wider than names are."""
    shown = format_rows([("sub", "a"), ("audience", "b"), ("n" * 40, "c")], PLAIN)

    assert ["  sub" + " " * 29 + "  a", "  audience" + " " * 24 + "  b"] == shown[:2]
    assert f"  {'n' * 40}  c" == shown[2]


def test_names_are_printable() -> None:
    """A name with a control character is escaped as well, and aligned as shown."""
    assert ["  a\\u001b  1", "  b        2"] == format_rows(
        [("a\x1b", "1"), ("b", "2")], PLAIN
    )


def test_no_rows() -> None:
    """Nothing is set out as nothing."""
    assert [] == format_rows([], PLAIN)


def test_prose_is_wrapped() -> None:
    """A sentence goes over several rows at its spaces, and no word is broken."""
    assert [
        ("hint", "one two"),
        ("", "well-known-indeed"),
        ("", "three"),
    ] == wrap_prose("hint", "one two well-known-indeed three", 9)


def test_empty_prose() -> None:
    """A sentence without a word still has its row."""
    assert [("hint", "")] == wrap_prose("hint", "", 9)
