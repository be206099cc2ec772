"""How text is set off on a terminal: five colours, three signs, or none of them.

`NO_COLOR` and a terminal that is dumb, or none, are respected.  Where *rich* is installed
a terminal gets more: see `rich_style`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs


@attrs.frozen(kw_only=True)
class Style:
    """What the output may show.

    Attributes:
        colour: whether escape sequences are understood, and wanted.
        unicode: whether the encoding has the signs that are not ASCII.
    """

    colour: bool = False
    unicode: bool = True

    def strong(self, text: str) -> str:
        """Set off a heading."""
        return self._painted("1", text)

    def faint(self, text: str) -> str:
        """Set back what explains."""
        return self._painted("2", text)

    def name(self, text: str) -> str:
        """Set off the name of a value."""
        return self._painted("36", text)

    def good(self, text: str) -> str:
        """Set off what holds."""
        return self._painted("32", text)

    def warning(self, text: str) -> str:
        """Set off what to mind."""
        return self._painted("33", text)

    def bad(self, text: str) -> str:
        """Set off what failed."""
        return self._painted("31", text)

    @property
    def branch(self) -> str:
        """Give the sign before a child in a tree."""
        return "└─ " if self.unicode else "`- "

    @property
    def rule(self) -> str:
        """Give the sign that lines are drawn with."""
        return "─" if self.unicode else "-"

    def columns(
        self, pairs: Iterable[tuple[str, str]], indent: int, widest: int
    ) -> list[str]:
        """Set out names and values in two columns.

        Args:
            pairs: the names and values, as they are to stand.
            indent: spaces before each row.
            widest: characters of a name that may push the values to the right.
        """
        shown = list(pairs)
        width = min(max((len(name) for name, _ in shown), default=0), widest)
        margin = " " * indent
        return [
            f"{margin}{self.name(name)}{' ' * (width - len(name))}  {value}"
            for name, value in shown
        ]

    def code(self, text: str) -> str:
        """Set off a program."""
        return text

    def _painted(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text


def style_for(
    environ: Mapping[str, str],
    *,
    is_terminal: bool,
    encoding: str,
    windows: bool,
    width: int = 80,
    has_rich: bool = False,
) -> Style:
    """Give the style for one stream.

    Args:
        environ: the environment.
        is_terminal: whether the stream is a terminal.
        encoding: the stream's encoding.
        windows: whether only a terminal that says so understands escape sequences.
        width: the cells of one line.
        has_rich: whether *rich* is installed.
    """
    # https://no-color.org: set, and not to nothing.
    wanted = (
        is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    )
    if windows and not (environ.get("WT_SESSION") or environ.get("TERM")):
        wanted = False
    if wanted and has_rich:
        from .rich_style import RichStyle

        return RichStyle(colour=True, unicode=_has_signs(encoding), width=width)
    return Style(colour=wanted, unicode=_has_signs(encoding))


def _has_signs(encoding: str) -> bool:
    try:
        "└─".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
