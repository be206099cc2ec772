"""Setting text off with *rich*, where it is installed: `pip install "auth0-tx[cli]"`.

With it values are broken at the width of the terminal, under themselves, and code is
highlighted.  It is imported where it is used: help, and a refusal, do not wait for it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from .style import Style

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_NARROWEST = 24
"""Cells below which a column is not worth breaking a value for."""


@attrs.frozen(kw_only=True)
class RichStyle(Style):
    """Do as `Style` does, and break lines where the terminal ends.

    Attributes:
        width: the cells of one line.
    """

    width: int

    def columns(
        self, pairs: Iterable[tuple[str, str]], indent: int, widest: int
    ) -> list[str]:
        """Set out names and values, and a value's further lines below its first."""
        from rich.cells import cell_len
        from rich.text import Text

        shown = [(name, Text.from_ansi(value)) for name, value in pairs]
        width = min(max((cell_len(name) for name, _ in shown), default=0), widest)
        margin, room = " " * indent, max(self.width - indent - width - 2, _NARROWEST)
        drawn = []
        for name, value in shown:
            gap = " " * (width - cell_len(name))
            first, *others = self._broken(value, room)
            drawn.append(f"{margin}{self.name(name)}{gap}  {first}")
            drawn += [f"{margin}{' ' * width}  {line}" for line in others]
        return drawn

    def code(self, text: str) -> str:
        """Highlight Python, each line as long as it is, so that it can be copied."""
        from rich.syntax import Syntax

        syntax = Syntax("", "python", theme="ansi_dark", background_color="default")
        return self._painted_text(syntax.highlight(text)).removesuffix("\n")

    def _broken(self, text: Text, room: int) -> list[str]:
        from rich.cells import cell_len

        # A token stays whole, so that it can be copied; the terminal breaks its line.
        if any(cell_len(word) > room for word in text.plain.split(" ")):
            return [self._painted_text(text)]
        lines = text.wrap(_console(room), room)
        for line in lines:
            line.rstrip()
        return [self._painted_text(line) for line in lines] or [""]

    def _painted_text(self, text: Text) -> str:
        console = _console(self.width)
        with console.capture() as captured:
            console.print(text, end="", soft_wrap=True)
        return captured.get()


def _console(width: int) -> Console:
    from rich.console import Console

    # All that a console would find out for itself is decided by now.
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
