"""Reading the command line: argparse, without its habit of quoting what was typed.

Whatever was typed in the wrong place may be a secret, and error output ends up in CI logs.
So an error names the option and the rule, never the value: the subclass below rewrites the
messages in which argparse quotes a word, and the converters' messages do not contain theirs.
Options that would take a secret exist only to say why they are not supported.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ..core.wire.problems import MOST_RATE
from ..version import __version__
from .failures import CommandError

EXIT_STATUS = (
    "Exit status: 0 on success, 1 if the operation failed, 2 if an argument, or a file\n"
    "or variable that it names, cannot be used."
)

# Only what is plainly a misspelt option is quoted: "--eyJhbGci..." is a token.
_OPTION = re.compile(r"--[a-z][a-z-]{0,30}").fullmatch
_PARAMETER = re.compile(r"([A-Za-z0-9_.~-]{1,128})=(.*)", re.S).fullmatch


class Parser(argparse.ArgumentParser):
    """An argument parser that raises where argparse would end the process."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            # An abbreviation that works today is ambiguous after the next new option, and
            # `--subject-token X` must not be read as `--subject-token-file X`.
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **settings,
        )

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse *words*.

        Raises:
            HelpRequest: they ask for help, or for the version.
            CommandError: they break a rule of the command line.
        """
        arguments, extra = self.parse_known_args(words)
        if extra:
            option = extra[0].partition("=")[0]
            self.error(
                f"unrecognized option {option}"
                if _OPTION(option)
                else "unexpected argument (not shown: it may be a secret)"
            )
        return arguments

    def error(self, message: str) -> NoReturn:
        """Raise an error, without the value that argparse quotes for a flag."""
        option, ignored, _ = message.partition(": ignored explicit argument")
        raise CommandError(
            f"{option}: does not take a value" if ignored else message,
            hint=f"see {self.prog} --help",
        )

    def print_help(self, file: object = None) -> NoReturn:
        """Hand the help to the caller: only the console writes."""
        raise HelpRequest(self.format_help().rstrip())


class HelpRequest(Exception):
    """The words ask for help or the version, which is *text*."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class VersionOption(argparse.Action):
    """The option that asks for the version."""

    def __call__(self, *_: object) -> NoReturn:
        """Hand the version to the caller."""
        raise HelpRequest(f"auth0-tx {__version__}")


class RefusedOption(argparse.Action):
    """An option that exists only to say why it is not supported."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> NoReturn:
        """Raise an error, whatever the value is."""
        raise CommandError(
            f"{option_string} is not supported: a secret on the command line is visible in "
            "the process list and stays in the shell's history",
            hint=str(self.metavar),
        )


def refuse_option(parser: Parser, option: str, instead: str) -> None:
    """Add *option* as one that is refused, with what to use *instead* as the hint."""
    parser.add_argument(
        option, nargs="?", action=RefusedOption, metavar=instead, help=argparse.SUPPRESS
    )


def top_parser(commands: Mapping[str, str]) -> Parser:
    """Make the parser of the words up to the subcommand's name."""
    listed = "\n".join(f"  {name:<15}{text}" for name, text in commands.items())

    # Not argparse's `choices`, whose error quotes the word.
    def parse_command(word: str) -> str:
        if word in commands:
            return word
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(commands)}")

    parser = Parser(
        prog="auth0-tx",
        usage="auth0-tx [-h] [--version] command ...",
        description="Exchange any external or legacy token for Auth0 tokens.\n\n"
        f"commands:\n{listed}",
        epilog="auth0-tx COMMAND --help describes each command.",
    )
    parser.add_argument(
        "--version",
        action=VersionOption,
        nargs=0,
        help="show the version and exit",
    )
    parser.add_argument(
        "command",
        nargs="?",
        type=parse_command,
        help=argparse.SUPPRESS,
        metavar="command",
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def command_parser(name: str, description: str, epilog: str) -> Parser:
    """Make the parser of a subcommand, to which its module adds the arguments."""
    parser = Parser(
        prog=f"auth0-tx {name}",
        description=description,
        epilog=f"{epilog}\n\n{EXIT_STATUS}" if epilog else EXIT_STATUS,
    )
    parser.add_argument(
        "--json", action="store_true", help="write one JSON object to standard output"
    )
    return parser


def parse_port(word: str) -> int:
    """Parse a TCP port; 0 stands for any free one."""
    # int() would also take "٣", " 1 " and "1_0".
    if word.isascii() and word.isdigit() and len(word) <= 5 and int(word) <= 65_535:
        return int(word)
    raise argparse.ArgumentTypeError("must be a port, 0 to 65535")


def parse_seconds(word: str) -> float:
    """Parse a positive number of seconds, a year at most."""
    # Larger numbers overflow the timeouts of sockets.
    return _parse_positive(word, 31_536_000, "must be a positive number of seconds")


def parse_count(word: str) -> int:
    """Parse a positive whole number, below 10,000."""
    if word.isascii() and word.isdigit() and len(word) <= 4 and int(word) > 0:
        return int(word)
    raise argparse.ArgumentTypeError("must be a whole number, 1 to 9999")


def parse_rate(word: str) -> float:
    """Parse a positive number of operations in a second."""
    return _parse_positive(word, MOST_RATE, "must be a positive number")


def _parse_positive(word: str, most: float, rule: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = 0.0
    # Also false for NaN.
    if 0 < number <= most:
        return number
    raise argparse.ArgumentTypeError(rule)


def parse_parameter(word: str) -> tuple[str, str]:
    """Parse ``name=value``; the value may contain further equals signs."""
    match = _PARAMETER(word)
    if match is None:
        raise argparse.ArgumentTypeError("must be name=value")
    return match[1], match[2]
