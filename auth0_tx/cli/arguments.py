"""Reading the command line: argparse, with no word of it ever repeated.

What was typed in the wrong place may be a secret, so a refusal names the option and the
rule, and never the value.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ..version import __version__
from .failures import UsageError

EXIT_STATUS = (
    "Exit status: 0 for success, 1 where the operation failed, 2 where an argument,\n"
    "or a file or variable it names, cannot be used."
)

_OPTION = re.compile(r"--[a-z][a-z-]{0,30}").fullmatch
_PARAMETER = re.compile(r"([A-Za-z0-9_.~-]{1,128})=(.*)", re.S).fullmatch


class Parser(argparse.ArgumentParser):
    """An argument parser that raises where argparse would end the process."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **settings,
        )

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Read *words*.

        Raises:
            HelpAsked: they ask for help, or the version.
            UsageError: they cannot be used.
        """
        arguments, extra = self.parse_known_args(words)
        if extra:
            option = extra[0].partition("=")[0]
            self.error(
                f"there is no option {option}"
                if _OPTION(option)
                else "there is an argument too many (not repeated: it may be a secret)"
            )
        return arguments

    def error(self, message: str) -> NoReturn:
        """Refuse, without the value that argparse quotes of an option without one."""
        option, ignored, _ = message.partition(": ignored explicit argument")
        raise UsageError(
            f"{option}: takes no value" if ignored else message,
            hint=f"see {self.prog} --help",
        )

    def print_help(self, file: object = None) -> NoReturn:
        """Give the help to who parses, whose it is to write."""
        raise HelpAsked(self.format_help().rstrip())


class HelpAsked(Exception):
    """The words ask for *text*, and for nothing else."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Version(argparse.Action):
    """The option that asks for the version."""

    def __call__(self, *_: object) -> NoReturn:
        """Give the version to who parses."""
        raise HelpAsked(f"auth0-tx {__version__}")


class Refused(argparse.Action):
    """An option that is here to say why it is not."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> NoReturn:
        """Refuse it, whatever its value."""
        raise UsageError(
            f"{option_string} is not taken: a secret on the command line shows in the "
            "list of processes and stays in the shell's history",
            hint=str(self.metavar),
        )


def refuse_option(parser: Parser, option: str, instead: str) -> None:
    """Make *option* say, where it is tried, why not, and what to use *instead*."""
    parser.add_argument(
        option, nargs="?", action=Refused, metavar=instead, help=argparse.SUPPRESS
    )


def top_parser(commands: Mapping[str, str]) -> Parser:
    """Make the parser of the words up to the subcommand."""
    listed = "\n".join(f"  {name:<10}{text}" for name, text in commands.items())

    def command(word: str) -> str:
        if word in commands:
            return word
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(commands)}")

    parser = Parser(
        prog="auth0-tx",
        usage="auth0-tx [-h] [--version] command ...",
        description="Exchange any external or legacy token for Auth0 tokens.\n\n"
        f"commands:\n{listed}",
        epilog="See auth0-tx COMMAND --help for each.",
    )
    parser.add_argument(
        "--version",
        action=Version,
        nargs=0,
        help="show the version and exit",
    )
    parser.add_argument(
        "command", nargs="?", type=command, help=argparse.SUPPRESS, metavar="command"
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def command_parser(name: str, description: str, epilog: str) -> Parser:
    """Make the parser of a subcommand; its module adds the arguments."""
    parser = Parser(
        prog=f"auth0-tx {name}",
        description=description,
        epilog=f"{epilog}\n\n{EXIT_STATUS}" if epilog else EXIT_STATUS,
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object on standard output"
    )
    return parser


def port(word: str) -> int:
    """Read a TCP port; 0 stands for any that is free."""
    if word.isascii() and word.isdigit() and len(word) <= 5 and int(word) <= 65_535:
        return int(word)
    raise argparse.ArgumentTypeError("must be a port, 0 to 65535")


def seconds(word: str) -> float:
    """Read a positive number of seconds."""
    try:
        number = float(word)
    except ValueError:
        number = 0.0
    # Also false for NaN; a year is as good as for ever.
    if 0 < number <= 31_536_000:
        return number
    raise argparse.ArgumentTypeError("must be a positive number of seconds")


def parameter(word: str) -> tuple[str, str]:
    """Read ``name=value``."""
    match = _PARAMETER(word)
    if match is None:
        raise argparse.ArgumentTypeError("must be name=value")
    return match[1], match[2]
