"""How text is set off: colours and wrapped lines on a terminal, bare text elsewhere.

Theory of operation. The reports are written once, against the methods of :class:`Style`.
Of those there are two implementations, and :func:`choose_style` takes one for each run:

- ``Style`` itself returns every text as it is. Pipes, files and dumb terminals get it, and
  so does everyone without *rich*: the output is complete, only undecorated.
- ``RichStyle`` is for a terminal, where *rich* is installed (``pip install
  "auth0-tx[cli]"``). Rich colours the text, measures and wraps it, and highlights code.

Rich is imported by the methods that need it and not by this module: ``--help`` and errors
need no layout, and importing rich takes about 0.1 s.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_NARROWEST = 24
"""Cells below which a column is too narrow to wrap a value in it."""


@attrs.frozen(kw_only=True)
class Style:
    """Undecorated text, and the names of what a style may decorate.

    Attributes:
        unicode: whether the encoding has the signs that are not ASCII.
    """

    unicode: bool = True

    def strong(self, text: str) -> str:
        """Set off a heading."""
        return self.paint("bold", text)

    def faint(self, text: str) -> str:
        """Set back an explanation."""
        return self.paint("dim", text)

    def name(self, text: str) -> str:
        """Set off the name of a value."""
        return self.paint("cyan", text)

    def good(self, text: str) -> str:
        """Set off a success."""
        return self.paint("green", text)

    def warning(self, text: str) -> str:
        """Set off a warning."""
        return self.paint("yellow", text)

    def bad(self, text: str) -> str:
        """Set off a failure."""
        return self.paint("red", text)

    @property
    def branch(self) -> str:
        """The sign before a child in a tree."""
        return "└─ " if self.unicode else "`- "

    @property
    def rule(self) -> str:
        """The sign that lines are drawn with."""
        return "─" if self.unicode else "-"

    def paint(self, look: str, text: str) -> str:
        """Decorate *text* with a look, named as *rich* names it."""
        return text

    def measure(self, text: str) -> int:
        """Return how many cells of a line *text* takes."""
        return len(text)

    def wrap(self, text: str, column: int) -> list[str]:
        """Break *text* into lines that begin at *column*; at least one."""
        return [text]

    def highlight(self, code: str) -> str:
        """Set off the parts of a Python program."""
        return code


@attrs.frozen(kw_only=True)
class RichStyle(Style):
    """Text decorated by *rich*, for a terminal.

    Attributes:
        width: the cells of one line.
    """

    width: int

    def paint(self, look: str, text: str) -> str:
        """Decorate *text* with a look, named as *rich* names it."""
        from rich.color import ColorSystem
        from rich.style import Style as Look

        # Of the eight standard colours, so that the user's own palette applies.
        return Look.parse(look).render(text, color_system=ColorSystem.STANDARD)

    def measure(self, text: str) -> int:
        """Return how many cells of a line *text* takes: two for a CJK character."""
        from rich.cells import cell_len

        return cell_len(text)

    def wrap(self, text: str, column: int) -> list[str]:
        """Break *text* at its spaces where the terminal ends.

        A text with a word that does not fit, as a token is, stays in one piece: the
        terminal breaks its line, and copying it gives the token without spaces.
        """
        from rich.text import Text

        # Values arrive painted; rich carries their colour over each break.
        painted = Text.from_ansi(text)
        room = max(self.width - column, _NARROWEST)
        if any(self.measure(word) > room for word in painted.plain.split(" ")):
            return [self._to_ansi(painted)]
        lines = painted.wrap(_make_console(room), room)
        for line in lines:
            line.rstrip()
        return [self._to_ansi(line) for line in lines] or [""]

    def highlight(self, code: str) -> str:
        """Highlight a Python program; its lines keep their length, to be copied."""
        from rich.syntax import Syntax

        syntax = Syntax("", "python", theme="ansi_dark", background_color="default")
        return self._to_ansi(syntax.highlight(code)).removesuffix("\n")

    def _to_ansi(self, text: Text) -> str:
        console = _make_console(self.width)
        with console.capture() as captured:
            console.print(text, end="", soft_wrap=True)
        return captured.get()


def choose_style(
    environ: Mapping[str, str],
    *,
    is_terminal: bool,
    encoding: str,
    windows: bool,
    width: int = 80,
    has_rich: bool = False,
) -> Style:
    """Choose the style for one stream.

    Args:
        environ: the environment.
        is_terminal: whether the stream is a terminal.
        encoding: the stream's encoding.
        windows: whether this is Windows, where older consoles print escape sequences.
        width: the cells of one line.
        has_rich: whether *rich* is installed.
    """
    has_signs = _can_encode("└─", encoding)
    # https://no-color.org: "when present and not an empty string (regardless of its value)".
    may_decorate = (
        is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    )
    # Windows Terminal sets the first, and terminals of Unix tools on Windows the second.
    if windows and not (environ.get("WT_SESSION") or environ.get("TERM")):
        may_decorate = False
    if may_decorate and has_rich:
        return RichStyle(unicode=has_signs, width=width)
    return Style(unicode=has_signs)


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _make_console(width: int) -> Console:
    from rich.console import Console

    # choose_style() has decided all that a console would detect. Markup, emoji and
    # highlighting are off, as a claim may contain "[link=https://evil.example]".
    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=True,
        force_jupyter=False,
        color_system="standard",
        no_color=False,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
