"""Secrets from a variable, a file or standard input."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pytest

from auth0_tx.cli.console import Console
from auth0_tx.cli.failures import CommandError
from auth0_tx.cli.rendering.style import Style
from auth0_tx.cli.secret_sources import (
    LONGEST,
    Source,
    check_stdin_once,
    read_secret,
    read_text,
)


def console(stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> Console:
    """Return a console with this standard input and environment."""
    return Console(
        stdin=io.BytesIO(stdin),
        stdout=io.StringIO(),
        stderr=io.StringIO(),
        stdin_is_terminal=False,
        environ=environ or {},
        clock=lambda: 0.0,
        style=Style(),
    )


def source(path: str | None = None, variable: str | None = "A_TOKEN") -> Source:
    """Return a source for a token."""
    return Source("the token", "--token-file", path, variable)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"abc", "abc"),
        (b"abc\n", "abc"),
        (b"abc\r\n", "abc"),
        (b"abc\n\n", "abc\n"),
        (b"abc\r", "abc\r"),
        (b"abc\r\r\n", "abc\r"),
        (b" abc \n", " abc "),
        (b"abc\t", "abc\t"),
        (b"", ""),
    ],
)
def test_one_newline(tmp_path: Path, octets: bytes, text: str) -> None:
    """One newline at the end is dropped; the library judges the rest."""
    path = tmp_path / "token"
    path.write_bytes(octets)

    assert text == read_secret(source(str(path)), console())
    assert text == read_text("x", "-", console(octets))


def test_file_before_variable() -> None:
    """A file that is named counts more than a variable that happens to be there."""
    assert "in" == read_secret(source("-"), console(b"in", {"A_TOKEN": "env"}))


def test_variable() -> None:
    """Without a file the variable counts, also when it is empty."""
    assert "env" == read_secret(source(), console(environ={"A_TOKEN": "env"}))
    assert "" == read_secret(source(), console(environ={"A_TOKEN": ""}))


def test_neither() -> None:
    """Without either, there is no secret."""
    assert read_secret(source(), console()) is None
    assert read_secret(source(variable=None), console()) is None


def test_secrets_do_not_print(tmp_path: Path) -> None:
    """A secret is wrapped from the moment it is read."""
    path = tmp_path / "token"
    path.write_text("needle")

    assert "<redacted>" == repr(read_secret(source(str(path)), console()))
    assert "<redacted>" == repr(
        read_secret(source(), console(environ={"A_TOKEN": "needle"}))
    )
    assert "needle" not in repr(source("needle"))


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"\xff\xfea", "it is not UTF-8 text"),
        (b"a" * (LONGEST + 1), "it is longer than"),
    ],
)
def test_no_text(octets: bytes, reason: str) -> None:
    """A file that is not text, or is endless, is refused."""
    with pytest.raises(CommandError, match=f"cannot read the token: {reason}"):
        read_text("the token", "-", console(octets))


@pytest.mark.parametrize("path", ["needle/needle", "needle\0", "needle" * 1000])
def test_no_file(path: str) -> None:
    """A file that cannot be opened is refused without its name."""
    with pytest.raises(CommandError, match="cannot read the token: ") as caught:
        read_text("the token", path, console())

    assert "needle" not in caught.value.message
    assert caught.value.__context__ is None


def test_directory(tmp_path: Path) -> None:
    """A directory is refused."""
    with pytest.raises(CommandError, match="cannot read the token: Is a directory"):
        read_text("the token", str(tmp_path), console())


def test_stdin_twice() -> None:
    """Standard input can be one secret only."""
    second = Source("the secret", "--secret-file", "-")

    check_stdin_once([source("-"), source("x"), source()])
    with pytest.raises(CommandError, match="both --token-file and --secret-file"):
        check_stdin_once([source("-"), second])


@pytest.mark.parametrize(
    ("variable", "ways"),
    [
        ("A_TOKEN", "set A_TOKEN, or pass --token-file PATH (- for standard input)"),
        (None, "pass --token-file PATH (- for standard input)"),
    ],
)
def test_ways(variable: str | None, ways: str) -> None:
    """The hint names every way to pass a secret."""
    assert ways == source(variable=variable).ways
