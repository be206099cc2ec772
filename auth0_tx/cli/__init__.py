"""The ``auth0-tx`` command: which subcommand runs, and how a run ends.

Theory of operation. The words are parsed twice. :func:`top_parser` reads those before the
subcommand's name; then the subcommand's module is imported, and a parser of its own reads
the rest. So ``--help`` and ``inspect`` load no HTTP or JOSE library, and answer at once.

A run ends with an exit status and never with a traceback, which could show a token:

===  ==================================================================================
  0  the operation succeeded
  1  it failed, or the output could not be written; for ``exchange-many``, not every row
     is ``ok``
  2  an argument, or a file or variable that it names, cannot be used
130  Ctrl-C (128 + SIGINT, as shells report it)
143  SIGTERM or SIGHUP (128 + SIGTERM)
===  ==================================================================================

Results go to standard output, errors and progress to standard error. With ``--json`` an
error is also one JSON object on standard output.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from ..errors import Auth0Error
from ..secret import conceal
from .arguments import HelpRequest, command_parser, top_parser
from .console import Console
from .failures import (
    CommandError,
    choose_exit_status,
    error_to_json,
    format_error,
    system_failure,
)
from .signals import Terminated, exit_on_signals

COMMANDS = {
    "demo": "run an exchange, blocking and async, on a local tenant, and show it",
    "doctor": "find out why exchanges fail",
    "exchange": "exchange a token at a tenant of your own",
    "exchange-many": "exchange a file of tokens, each of them once",
    "inspect": "decode a token, without verifying it",
    "tenant": "run a local Auth0 tenant until it is stopped",
}
"""The subcommands, each a module of ``commands``, with their lines in ``--help``."""


def main(
    argv: Sequence[str] | None = None, client_keywords: Mapping[str, Any] | None = None
) -> int:
    """Run the command line; return its exit status.

    Args:
        argv: the words after the program's name; the process's own by default.
        client_keywords: the keywords of a client that an application has configured. They
            replace the options and variables that describe a client: ``flask auth0-tx``
            and ``manage.py auth0_tx`` pass those of their project.
    """
    client_keywords = conceal(client_keywords)
    console = Console.from_process(client_keywords)
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with exit_on_signals():
            return _run(words, console)
    except BrokenPipeError:
        # The reader of our output has left, as `head` does: there is nobody to tell.
        console.discard_output()
        return 1
    except OSError as error:
        # Mostly a full disk behind standard output. Commands handle their own files.
        console.discard_output()
        console.log(*format_error("auth0-tx", system_failure("system error", error)))
        return 1
    except Terminated:
        return 143
    except KeyboardInterrupt:
        return 130
    finally:
        console.finish_errors()


def _run(words: list[str], console: Console) -> int:
    parser = top_parser(COMMANDS)
    try:
        chosen = parser.parse(words)
        if chosen.command is not None:
            return _run_command(chosen.command, chosen.arguments, console)
    except HelpRequest as request:
        console.write(request.text)
        return 0
    except CommandError as error:
        console.log(*format_error(parser.prog, error))
        return choose_exit_status(error)
    console.log(parser.format_help().rstrip())
    return 2


def _run_command(name: str, words: list[str], console: Console) -> int:
    command = import_module(f".commands.{name.replace('-', '_')}", __name__)
    parser = command_parser(name, command.DESCRIPTION, command.EPILOG)
    command.add_arguments(parser)
    as_json = False
    try:
        arguments = parser.parse(words)
        as_json = arguments.json
        status: int = command.run(arguments, console)
        return status
    except (Auth0Error, CommandError) as error:
        if as_json:
            console.write_json({"error": error_to_json(error)})
        console.log(*format_error(parser.prog, error))
        return choose_exit_status(error)
