"""The process's streams: whole lines, safe characters, and readers who leave."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auth0_tx.cli.console import Console


class Broken(io.StringIO):
    """A stream whose reader has left."""

    def write(self, text: str, /) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def with_streams(
    patch: pytest.MonkeyPatch, stdout: object, stderr: object = None
) -> Console:
    """Return the console of a process with these streams."""
    patch.setattr(sys, "stdin", None)
    patch.setattr(sys, "stdout", stdout)
    patch.setattr(sys, "stderr", stderr)
    return Console.from_process()


def test_closed_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose streams are closed reads nothing, and its output is lost."""
    console = with_streams(monkeypatch, None)
    console.write("text")
    console.log("text")
    console.discard_output()

    assert (b"", False) == (console.stdin.read(), console.stdin_is_terminal)


def test_narrow_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A character that the encoding lacks is escaped, and never an error."""
    octets = io.BytesIO()
    console = with_streams(monkeypatch, io.TextIOWrapper(octets, "ascii", newline=""))
    console.write("Zoë └─")

    assert b"Zo\\xeb \\u2514\\u2500\n" == octets.getvalue()


def test_json_is_one_line_of_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON escapes every character that could affect a terminal."""
    stdout = io.StringIO()
    with_streams(monkeypatch, stdout).write_json({"a": "\x1b\n\u202eë"})

    assert '{"a": "\\u001b\\n\\u202e\\u00eb"}\n' == stdout.getvalue()


def test_nobody_reads_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a reader of errors, what is logged is lost without harm."""
    console = with_streams(monkeypatch, io.StringIO(), Broken())

    console.log("text")


def test_discarded_output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Discarded output goes nowhere, not even what is still to be flushed."""
    path = tmp_path / "out"
    with path.open("w") as file:
        console = with_streams(monkeypatch, file)
        file.write("left over")
        console.discard_output()

    assert "" == path.read_text()


def test_repr_has_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A console does not print the environment, where secrets are."""
    monkeypatch.setenv("AUTH0_CLIENT_SECRET", "needle-in-the-environment")

    assert "needle" not in repr(with_streams(monkeypatch, io.StringIO()))


def test_reader_of_errors_that_has_left() -> None:
    """What could not be written for errors does not change the status of the command."""
    program = """if True:
        import os, sys
        from auth0_tx.cli.console import Console
        reader, end = os.pipe()
        os.dup2(end, 2)
        os.close(end)
        os.close(reader)
        console = Console.from_process()
        console.log("nobody reads this")
        console.finish_errors()
        sys.exit(7)
    """
    # Nothing stays in a buffer where there is none.
    environ = {
        name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"
    }
    run = subprocess.run([sys.executable, "-c", program], env=environ, check=False)

    assert 7 == run.returncode
