"""Secrets from a variable, a file or standard input, and never from an argument.

Every user of a machine can list the arguments of its processes, and shells keep them in
their history. A file that is named wins over the variable: it is the more explicit of the
two. No error repeats a path, as what was typed there may have been the secret itself.

A secret is wrapped as soon as it is read, so that no traceback with locals can print it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import BinaryIO

import attrs
from attrs import evolve

from ..secret import SecretBytes, secret
from .console import Console
from .failures import CommandError, format_reason

STDIN = "-"
LONGEST = 1_048_576
"""Bytes of a file that are read: sixteen times what the library accepts as a token.

``--subject-token-file /dev/zero`` must end with an error and not with the memory.
"""


@attrs.frozen
class Source:
    """Where one secret may come from.

    Attributes:
        what: what the secret is, in words.
        option: the option that names a file.
        path: the file that it names, ``-`` for standard input.
        variable: the variable that may contain it instead, if there is one.
    """

    what: str
    option: str
    path: str | None = attrs.field(default=None, repr=False)
    variable: str | None = None

    @property
    def ways(self) -> str:
        """How to pass the secret, as a hint."""
        file = f"{self.option} PATH (- for standard input)"
        return (
            f"set {self.variable}, or pass {file}" if self.variable else f"pass {file}"
        )


def locate(source: Source, arguments: argparse.Namespace) -> Source:
    """Return *source* with the path that was passed for its option."""
    name = source.option.removeprefix("--").replace("-", "_")
    return evolve(source, path=getattr(arguments, name))


def check_stdin_once(sources: Iterable[Source]) -> None:
    """Check that at most one secret is read from standard input.

    Raises:
        CommandError: there are two; the second would be read as empty.
    """
    options = [source.option for source in sources if source.path == STDIN]
    if len(options) > 1:
        raise CommandError(f"standard input cannot be both {' and '.join(options)}")


def read_secret(source: Source, console: Console) -> str | None:
    """Read a secret from the named file, else from the variable.

    Returns:
        The secret, or ``None`` if there is neither.

    Raises:
        CommandError: the file cannot be read, or is not text.
    """
    if source.path is not None:
        return read_text(source.option, source.path, console)
    if source.variable is None:
        return None
    value: str | None = secret(console.environ.get(source.variable))
    return value


def read_text(what: str, path: str, console: Console) -> str:
    """Read the text of a file, without the newline that ends it.

    Args:
        what: how an error refers to the file.
        path: the file, or ``-`` for standard input.
        console: provides the standard input.

    Raises:
        CommandError: the file cannot be read, or is not text.
    """
    octets, reason = _read_octets(path, console.stdin)
    if reason is None and len(octets) > LONGEST:
        reason = f"it is longer than {LONGEST:,} bytes"
    if reason is None:
        try:
            return _strip_newline(octets.decode("utf-8"))
        except UnicodeDecodeError:
            reason = "it is not UTF-8 text"
    raise CommandError(f"cannot read {what}: {reason}")


def _strip_newline(text: str) -> str:
    # Editors and `echo` end a file with a newline. More white space is likely a mistake,
    # which the library reports; to strip it would send a token that nobody issued.
    newline = next((end for end in ("\r\n", "\n") if text.endswith(end)), "")
    stripped: str = secret(text.removesuffix(newline))
    return stripped


def _read_octets(path: str, stdin: BinaryIO) -> tuple[bytes, str | None]:
    # The reason is returned: the system's error contains the path, and an exception raised
    # here would carry it as its context.
    try:
        if path == STDIN:
            return SecretBytes(stdin.read(LONGEST + 1)), None
        with open(path, "rb") as file:
            return SecretBytes(file.read(LONGEST + 1)), None
    except (OSError, ValueError) as error:
        return b"", format_reason(error)
