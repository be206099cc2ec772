"""Values as text that is safe on a terminal, and rows of them.

A token, a server or a file may contain any character. An escape sequence in a claim could
clear the screen, set the window's title or show a refusal as a success, and a right-to-left
override makes ``moc.live`` read as ``evil.com``. So every value passes through
:func:`make_printable`, which writes such characters as the escapes that JSON has for them.
Newlines are escaped too: no value can begin a line that looks like one of ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from textwrap import wrap

from .style import Style

# A longer name stands out of its column, so that one hostile claim name does not push all
# values off the screen.
_WIDEST_NAME = 32


def make_printable(text: str) -> str:
    """Escape every character of *text* that is not visible as itself, or a space."""
    # isprintable() is false for controls, formats (bidi, zero width), surrogates,
    # unassigned characters, and separators other than the space.
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def format_json(value: object) -> str:
    """Write *value* as JSON on one line."""
    return make_printable(json.dumps(value, ensure_ascii=False))


def format_value(value: object) -> str:
    """Write *value*: a string bare where it cannot be mistaken for another value."""
    if isinstance(value, str) and _is_unambiguous(value):
        return value
    return format_json(value)


def format_rows(
    pairs: Iterable[tuple[str, str]], style: Style, indent: int = 2
) -> list[str]:
    """Set out names and values in two columns.

    Args:
        pairs: the names, and the values as they are to be shown.
        style: measures, wraps and colours the text.
        indent: spaces before each row.
    """
    rows = [(make_printable(name), value) for name, value in pairs]
    widths = [style.measure(name) for name, _ in rows]
    column = min(max(widths, default=0), _WIDEST_NAME)
    margin = " " * indent
    lines = []
    for (name, value), width in zip(rows, widths, strict=True):
        first, *others = style.wrap(value, indent + column + 2)
        gap = " " * (column - width)
        lines.append(f"{margin}{style.name(name)}{gap}  {first}")
        lines += [f"{margin}{' ' * column}  {line}" for line in others]
    return lines


def wrap_prose(name: str, text: str, width: int) -> list[tuple[str, str]]:
    """Wrap a sentence into rows of *width* characters, the first with its name."""
    lines = wrap(
        make_printable(text), width, break_long_words=False, break_on_hyphens=False
    )
    return [("" if number else name, line) for number, line in enumerate(lines or [""])]


def _is_unambiguous(text: str) -> bool:
    # The string "true" and the value true would look the same, as would "12" and 12.
    return (
        text.isprintable()
        and text.strip() == text != ""
        and text[0] not in '"[{-0123456789'
        and text not in ("true", "false", "null", "NaN", "Infinity")
    )


def _escape(char: str) -> str:
    return json.dumps(char)[1:-1]
