"""The `auth0-tx` command: which subcommand runs, and how a run ends.

Nothing heavy is imported before a subcommand needs it, and no run ends in a traceback:
0 is success, 1 a failure of the operation, 2 an argument that cannot be used.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from attrs import evolve

from ..errors import Auth0Error
from ..secret import conceal
from .arguments import HelpAsked, command_parser, top_parser
from .console import Console
from .failures import UsageError, error_lines, error_members, exit_status, of_system
from .signals import Terminated, ended_by_signals

COMMANDS = {
    "demo": "run an exchange, blocking and async, on a local tenant, and show it",
    "doctor": "find out what keeps exchanges from working",
    "exchange": "exchange a token at a tenant of your own",
    "inspect": "decode a token, without verifying it",
    "tenant": "run a local Auth0 tenant until it is stopped",
}
"""The subcommands, each a module of `commands`, and what `--help` says of them."""


def main(
    argv: Sequence[str] | None = None, configured: Mapping[str, Any] | None = None
) -> int:
    """Run the command line; return its exit status.

    Args:
        argv: the words after the program's name; the process's own by default.
        configured: the keywords of a client that an application has configured, in place
            of options and variables.
    """
    configured = conceal(configured)
    console = evolve(Console.of_process(), configured=configured)
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with ended_by_signals():
            return _dispatched(words, console)
    except BrokenPipeError:
        # Whoever read our output has left, as `head` does; nobody is there to be told.
        console.abandon_output()
        return 1
    except OSError as error:
        console.abandon_output()
        console.tell(*error_lines("auth0-tx", of_system("cannot go on", error)))
        return 1
    except Terminated:
        return 143
    except KeyboardInterrupt:
        return 130


def _dispatched(words: list[str], console: Console) -> int:
    parser = top_parser(COMMANDS)
    try:
        chosen = parser.parse(words)
        if chosen.command is not None:
            return _run(chosen.command, chosen.arguments, console)
    except HelpAsked as asked:
        console.write(asked.text)
        return 0
    except UsageError as error:
        console.tell(*error_lines(parser.prog, error))
        return exit_status(error)
    console.tell(parser.format_help().rstrip())
    return 2


def _run(name: str, words: list[str], console: Console) -> int:
    command = import_module(f".commands.{name}", __name__)
    parser = command_parser(name, command.DESCRIPTION, command.EPILOG)
    command.add_arguments(parser)
    as_json = False
    failure: Auth0Error | UsageError
    try:
        arguments = parser.parse(words)
        as_json = arguments.json
        status: int = command.run(arguments, console)
        return status
    except (Auth0Error, UsageError) as error:
        failure = error
    if as_json:
        console.write_json({"error": error_members(failure)})
    console.tell(*error_lines(parser.prog, failure))
    return exit_status(failure)
