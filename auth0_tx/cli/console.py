"""The process's streams and surroundings: the only place that writes or reads them."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, BinaryIO, TextIO

import attrs

from .rendering.style import Style, style_for


@attrs.frozen(kw_only=True)
class Console:
    """Where a run writes, and what it may read.

    Attributes:
        stdin: the bytes of standard input.
        stdout: results, and nothing else.
        stderr: errors and progress.
        stdin_is_terminal: whether somebody would have to type the input.
        environ: the environment.
        clock: gives epoch seconds.
        style: how to set off what goes to *stdout*.
        configured: the keywords of the client, where an application has it configured.
    """

    stdin: BinaryIO
    stdout: TextIO
    stderr: TextIO
    stdin_is_terminal: bool
    environ: Mapping[str, str] = attrs.field(repr=False)
    clock: Callable[[], float]
    style: Style
    configured: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    @classmethod
    def of_process(cls) -> Console:
        """Take the streams as they are now; one that is closed counts as empty."""
        stdin, stdout = sys.stdin, sys.stdout or io.StringIO()
        is_terminal = stdout.isatty()
        return cls(
            stdin=io.BytesIO() if stdin is None else stdin.buffer,
            stdout=stdout,
            stderr=sys.stderr or io.StringIO(),
            stdin_is_terminal=stdin is not None and stdin.isatty(),
            environ=os.environ,
            clock=time.time,
            style=style_for(
                os.environ,
                is_terminal=is_terminal,
                encoding=stdout.encoding or "utf-8",
                windows=os.name == "nt",
                width=shutil.get_terminal_size().columns,
                has_rich=is_terminal and find_spec("rich") is not None,
            ),
        )

    def write(self, text: str) -> None:
        """Write *text* and a newline to standard output, at once."""
        self.stdout.write(_encodable(text, self.stdout) + "\n")
        self.stdout.flush()

    def write_json(self, members: Mapping[str, object]) -> None:
        """Write one JSON object on one line; escaped, so that no terminal minds it."""
        self.write(json.dumps(members))

    def tell(self, *lines: str) -> None:
        """Write *lines* to standard error, whole also when threads write at once."""
        text = "".join(f"{_encodable(line, self.stderr)}\n" for line in lines)
        # Nobody is left to be told that nobody listens.
        with self._lock, suppress(OSError, ValueError):
            self.stderr.write(text)
            self.stderr.flush()

    def abandon_output(self) -> None:
        """Point standard output at nothing, as the interpreter flushes it once more."""
        with suppress(OSError, ValueError):
            descriptor = self.stdout.fileno()
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, descriptor)
            os.close(nothing)


def _encodable(text: str, stream: TextIO) -> str:
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
