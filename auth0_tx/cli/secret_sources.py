"""Secrets from where they belong: a variable, a file, standard input; no argument.

No refusal repeats a path: what was typed there may have been the secret itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

import attrs

from ..secret import SecretBytes, secret
from .console import Console
from .failures import UsageError, system_reason

STDIN = "-"
LONGEST = 1_048_576
"""Bytes of a file that are read; the library refuses a token at a sixteenth of it."""


@attrs.frozen
class Source:
    """Where one secret may come from.

    Attributes:
        what: what it is, in words.
        option: the option that names a file.
        path: what was given for it.
        variable: the variable that may hold it instead, if one may.
    """

    what: str
    option: str
    path: str | None = attrs.field(default=None, repr=False)
    variable: str | None = None

    @property
    def ways(self) -> str:
        """Say how to give it."""
        file = f"{self.option} PATH (- for standard input)"
        return (
            f"set {self.variable}, or pass {file}" if self.variable else f"pass {file}"
        )


def check_stdin_once(sources: Iterable[Source]) -> None:
    """Refuse two secrets from the one standard input.

    Raises:
        UsageError: there are two.
    """
    options = [source.option for source in sources if source.path == STDIN]
    if len(options) > 1:
        raise UsageError(f"standard input cannot be both {' and '.join(options)}")


def read_secret(source: Source, console: Console) -> str | None:
    """Read a secret: from the file if one is named, else from the variable, else None.

    Raises:
        UsageError: the file cannot be read, or is no text.
    """
    if source.path is not None:
        return read_text(source.option, source.path, console)
    if source.variable is None:
        return None
    found: str | None = secret(console.environ.get(source.variable))
    return found


def read_text(what: str, path: str, console: Console) -> str:
    """Read the text of a file, without the newline that ends it.

    Args:
        what: what the file is named by, for a refusal.
        path: the file, or ``-`` for standard input.
        console: has the standard input.

    Raises:
        UsageError: the file cannot be read, or is no text.
    """
    octets, reason = _octets(path, console.stdin)
    if reason is None and len(octets) > LONGEST:
        reason = f"longer than {LONGEST:,} bytes"
    if reason is None:
        try:
            return _without_newline(octets.decode("utf-8"))
        except UnicodeDecodeError:
            reason = "not UTF-8 text"
    raise UsageError(f"{what} cannot be used: {reason}")


def _without_newline(text: str) -> str:
    # One newline belongs to the file; any other white space to the secret.
    newline = next((end for end in ("\r\n", "\n") if text.endswith(end)), "")
    kept: str = secret(text.removesuffix(newline))
    return kept


def _octets(path: str, stdin: BinaryIO) -> tuple[bytes, str | None]:
    try:
        if path == STDIN:
            return SecretBytes(stdin.read(LONGEST + 1)), None
        with open(path, "rb") as file:
            return SecretBytes(file.read(LONGEST + 1)), None
    except (OSError, ValueError) as error:
        return b"", system_reason(error)
