"""`auth0-tx inspect`: decode a token, and say that it was not verified."""

from __future__ import annotations

import argparse

from ...secret import secret
from ..arguments import Parser, refuse_option
from ..console import Console
from ..failures import UsageError
from ..rendering.token_reading import read_token
from ..rendering.token_report import token_members, token_text
from ..secret_sources import STDIN, read_text

VARIABLE = "AUTH0_TX_TOKEN"

DESCRIPTION = (
    "Decode a token and show its header, claims, times and acting parties.\n"
    "Nothing is verified and nothing is sent."
)
EPILOG = (
    f"The token comes from FILE, else from the variable {VARIABLE}, else from\n"
    "standard input; never from the command line, which others can read."
)


def add_arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="the token's file; - for standard input"
    )
    instead = f"pass a file, standard input, or {VARIABLE}"
    refuse_option(parser, "--token", instead)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Decode the token.

    Raises:
        UsageError: there is none, or its file cannot be read.
    """
    token = read_token(_token(arguments.file, console))
    now = console.clock()
    if arguments.json:
        console.write_json(token_members(token, now))
    else:
        console.write(token_text(token, now, console.style))
    return 0


def _token(file: str | None, console: Console) -> str:
    if file is None and VARIABLE in console.environ:
        text: str = secret(console.environ[VARIABLE])
        where = VARIABLE
    elif file in (None, STDIN):
        if file is None and console.stdin_is_terminal:
            raise UsageError(
                "there is no token", hint=f"pass a file, or -, or set {VARIABLE}"
            )
        text, where = read_text("standard input", STDIN, console), "standard input"
    else:
        text, where = _from_file(file, console), "the file"
    if not text.strip():
        raise UsageError(f"{where} is empty")
    return text


def _from_file(path: str, console: Console) -> str:
    try:
        return read_text("the file", path, console)
    except UsageError as error:
        reason = error.message
    # A token in the place of a file name is the likeliest mistake of all.
    hint = f"a token itself is not taken here; pass it by a file, - or {VARIABLE}"
    raise UsageError(reason, hint=hint)
