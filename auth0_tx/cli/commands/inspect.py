"""``auth0-tx inspect``: decode a token, and say that it was not verified."""

from __future__ import annotations

import argparse

from ...secret import secret
from ..arguments import Parser, refuse_option
from ..console import Console
from ..failures import CommandError
from ..rendering.token_reading import read_token
from ..rendering.token_report import format_token, token_to_json
from ..secret_sources import STDIN, read_text

VARIABLE = "AUTH0_TX_TOKEN"

DESCRIPTION = (
    "Decode a token and show its header, claims, times and acting parties.\n"
    "Nothing is verified and nothing is sent."
)
EPILOG = (
    f"The token comes from FILE, else from the variable {VARIABLE}, else from\n"
    "standard input. It is never an argument, as others can list those."
)


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="a file that contains the token; - for standard input",
    )
    instead = f"pass a file, pass - for standard input, or set {VARIABLE}"
    refuse_option(parser, "--token", instead)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Decode the token.

    Raises:
        CommandError: there is none, or its file cannot be read.
    """
    token = read_token(_read_input(arguments.file, console))
    now = console.clock()
    if arguments.json:
        console.write_json(token_to_json(token, now))
    else:
        console.write(format_token(token, now, console.style))
    return 0


def _read_input(file: str | None, console: Console) -> str:
    if file is None and VARIABLE in console.environ:
        text: str = secret(console.environ[VARIABLE])
        where = VARIABLE
    elif file in (None, STDIN):
        if file is None and console.stdin_is_terminal:
            # Waiting for a person to type a token would look like a hang.
            hint = f"pass a file, pass - for standard input, or set {VARIABLE}"
            raise CommandError("no token was passed", hint=hint)
        text, where = read_text("standard input", STDIN, console), "standard input"
    else:
        text, where = _read_file(file, console), "the file"
    if not text.strip():
        raise CommandError(f"{where} is empty")
    return text


def _read_file(path: str, console: Console) -> str:
    try:
        return read_text("the file", path, console)
    except CommandError as error:
        # A token in the place of a file name is the most likely mistake.
        hint = (
            "the argument is a file's name, not a token; pass the token in a file, on "
            f"standard input, or in {VARIABLE}"
        )
        raise CommandError(error.message, hint=hint) from None
