"""How far a bulk run is, on standard error: a bar on a terminal, else a line now and then.

The bar is drawn by *rich*. It is drawn when it is told to, without a thread of its own, so
that nothing is on the screen after the run has ended or a signal has struck. A terminal that
was closed meanwhile is not a reason for the run to fail.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from ..clocks import read_monotonic
from .console import Console
from .rendering.bulk_report import BulkCounts, format_progress
from .rendering.style import RichStyle, choose_style

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

LINE_SECONDS = 10.0
"""Seconds between two lines, where there is no bar."""


class Progress(Protocol):
    """The progress of a run as it is shown; a context manager."""

    def show(self, counts: BulkCounts) -> None:
        """Show the counts as they are now."""

    def log(self, line: str) -> None:
        """Write a line beside them."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class ProgressLines:
    """Lines in a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next_line = read_monotonic() + LINE_SECONDS

    def show(self, counts: BulkCounts) -> None:
        """Write a line if the last one was long enough ago."""
        now = read_monotonic()
        if now >= self._next_line:
            self._next_line = now + LINE_SECONDS
            self._console.log(format_progress(counts))

    def log(self, line: str) -> None:
        """Write a line."""
        self._console.log(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the lines as they are."""


class ProgressBar:
    """A bar on a terminal."""

    def __init__(self, console: Console) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar: RichProgress = Progress(
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.description}", markup=False),
            TimeRemainingColumn(compact=True),
            console=RichConsole(file=console.stderr, markup=False, highlight=False),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task: TaskID | None = None

    def show(self, counts: BulkCounts) -> None:
        """Draw the bar."""
        if self._task is None:
            # The rows of an earlier run say nothing about how long the rest takes.
            self._task = self._bar.add_task(
                "", total=counts.rows, completed=counts.done - counts.here
            )
        with suppress(OSError):
            self._bar.update(
                self._task,
                completed=counts.done,
                description=format_progress(counts),
                refresh=True,
            )

    def log(self, line: str) -> None:
        """Write a line above the bar."""
        with suppress(OSError):
            self._bar.console.print(line)

    def __enter__(self) -> Self:
        with suppress(OSError):
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._bar.stop()


def choose_progress(console: Console) -> Progress:
    """Choose how to show the progress on standard error."""
    stream = console.stderr
    is_terminal = stream.isatty()
    style = choose_style(
        console.environ,
        is_terminal=is_terminal,
        encoding=stream.encoding or "utf-8",
        windows=os.name == "nt",
        width=shutil.get_terminal_size().columns,
        has_rich=is_terminal and find_spec("rich") is not None,
    )
    return (
        ProgressBar(console) if isinstance(style, RichStyle) else ProgressLines(console)
    )
