"""Values as text that is safe on a terminal, and rows of them.

A token, a server or a file may hold any character.  Those that move the cursor, hide
text or turn its direction are shown as the escapes JSON has for them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from textwrap import wrap

from .style import Style

_WIDEST_NAME = 32


def printable(text: str) -> str:
    """Escape every character of *text* that is not visible as itself, or a space."""
    # isprintable() is false for controls, formats (bidi, zero width), surrogates,
    # unassigned characters, and separators other than the space.
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def json_text(value: object) -> str:
    """Write *value* as JSON on one line."""
    return printable(json.dumps(value, ensure_ascii=False))


def value_text(value: object) -> str:
    """Write *value*: text bare where it cannot be taken for another, else JSON."""
    if isinstance(value, str) and _is_plain(value):
        return value
    return json_text(value)


def rows(pairs: Iterable[tuple[str, str]], style: Style, indent: int = 2) -> list[str]:
    """Set out names and values in two columns.

    Args:
        pairs: the names, and the values as they are to stand.
        style: how to set off the names.
        indent: spaces before each row.
    """
    shown = [(printable(name), value) for name, value in pairs]
    return style.columns(shown, indent, _WIDEST_NAME)


def prose(name: str, text: str, width: int) -> list[tuple[str, str]]:
    """Break a sentence over rows of *width* characters, the first with its name."""
    lines = wrap(printable(text), width, break_long_words=False, break_on_hyphens=False)
    return [("" if number else name, line) for number, line in enumerate(lines or [""])]


def _is_plain(text: str) -> bool:
    return (
        text.isprintable()
        and text.strip() == text != ""
        and text[0] not in '"[{-0123456789'
        and text not in ("true", "false", "null", "NaN", "Infinity")
    )


def _escaped(char: str) -> str:
    return json.dumps(char)[1:-1]
