"""The process's streams and environment, as one value: nothing else reads or writes them.

Theory of operation. Commands get a ``Console`` and touch no global stream, so a test can
run them with streams of its own. Three things may go wrong with real ones, and none may end
in a traceback:

- **A stream is closed** (``auth0-tx ... >&-``, or ``pythonw``): Python then sets it to
  ``None``. An empty stream replaces it.
- **The encoding lacks a character** (a C locale, a Windows code page): it is written as an
  escape, as a UnicodeEncodeError would lose the whole result.
- **The reader leaves** (``| head``): writing to standard output raises BrokenPipeError,
  which ends the run. The interpreter flushes the stream once more on its way out, so
  :meth:`Console.discard_output` points it at the null device first.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, BinaryIO, TextIO

import attrs

from ..clocks import read_time
from .rendering.style import Style, choose_style


@attrs.frozen(kw_only=True)
class Console:
    """The streams that a run reads from and writes to.

    Attributes:
        stdin: standard input, as bytes.
        stdout: standard output, for results and nothing else.
        stderr: standard error, for errors and progress.
        stdin_is_terminal: whether a person would have to type the input.
        environ: the environment.
        clock: returns epoch seconds.
        style: how to set off text on *stdout*.
        client_keywords: the keywords of the client that an application has configured;
            ``None`` if options and variables describe it.
    """

    stdin: BinaryIO
    stdout: TextIO
    stderr: TextIO
    stdin_is_terminal: bool
    environ: Mapping[str, str] = attrs.field(repr=False)
    clock: Callable[[], float]
    style: Style
    client_keywords: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    @classmethod
    def from_process(cls, client_keywords: Mapping[str, Any] | None = None) -> Console:
        """Make a console of the process's streams as they are now."""
        stdin, stdout = sys.stdin, sys.stdout or io.StringIO()
        is_terminal = stdout.isatty()
        return cls(
            stdin=io.BytesIO() if stdin is None else stdin.buffer,
            stdout=stdout,
            stderr=sys.stderr or io.StringIO(),
            stdin_is_terminal=stdin is not None and stdin.isatty(),
            environ=os.environ,
            clock=read_time,
            style=choose_style(
                os.environ,
                is_terminal=is_terminal,
                encoding=stdout.encoding or "utf-8",
                windows=os.name == "nt",
                width=shutil.get_terminal_size().columns,
                has_rich=is_terminal and find_spec("rich") is not None,
            ),
            client_keywords=client_keywords,
        )

    def write(self, text: str) -> None:
        """Write *text* and a newline to standard output, and flush it."""
        self.stdout.write(_replace_unencodable(text, self.stdout) + "\n")
        self.stdout.flush()

    def write_json(self, members: Mapping[str, object]) -> None:
        """Write one JSON object on one line, in ASCII."""
        # json.dumps escapes all else, so no control character reaches a terminal.
        self.write(json.dumps(members))

    def log(self, *lines: str) -> None:
        """Write *lines* to standard error; those of two threads are not mixed."""
        text = "".join(f"{_replace_unencodable(line, self.stderr)}\n" for line in lines)
        # The result still goes to standard output if the reader of errors has left.
        with self._lock, suppress(OSError, ValueError):
            self.stderr.write(text)
            self.stderr.flush()

    def discard_output(self) -> None:
        """Point standard output at the null device, for the interpreter's last flush."""
        _discard(self.stdout)

    def finish_errors(self) -> None:
        """Flush standard error, or point it at the null device if its reader has left.

        The interpreter's last flush would fail, and replace the status of the command by 120.
        """
        try:
            self.stderr.flush()
        except (OSError, ValueError):
            _discard(self.stderr)


def _discard(stream: TextIO) -> None:
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _replace_unencodable(text: str, stream: TextIO) -> str:
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
