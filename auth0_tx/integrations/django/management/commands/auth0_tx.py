"""``manage.py auth0_tx``: the commands of ``auth0-tx``, with the project's settings.

The words after a command's name are for ``auth0-tx``, except Django's own options, which may
stand anywhere: ``manage.py`` reads ``--settings`` and ``--pythonpath`` wherever they are, so they
are taken out here, and so are ``-v``, ``--no-color`` and the others that every command has.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from auth0_tx.cli import main
from auth0_tx.errors import ConfigurationError
from auth0_tx.integrations.django.clients import read_keywords
from auth0_tx.integrations.settings import DEFAULT

_COMMANDS = ("doctor", "exchange", "exchange-many", "inspect")


class Command(BaseCommand):
    """Run a command of ``auth0-tx`` with the project's settings."""

    help = "Check the settings, exchange a token, or read one."
    # The doctor itself reports what is wrong with the settings, with advice.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a command's name, and pass on all words after it."""
        _add_client(parser, DEFAULT)
        parser.add_argument("command", choices=_COMMANDS)
        parser.add_argument("words", nargs=argparse.REMAINDER)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command, and exit with its status."""
        chosen, words = _make_parser().parse_known_args(options["words"])
        command = options["command"]
        try:
            keywords = read_keywords(chosen.client or options["client"])
        except ConfigurationError as error:
            # The settings do not describe a client: a wrong argument, to a command.
            self.stderr.write(f"auth0-tx {command}: {error}")
            sys.exit(2)
        with _set_colors(is_off=options["no_color"] or chosen.no_color):
            status = main([command, *words], keywords)
        if status:
            sys.exit(status)


@contextmanager
def _set_colors(*, is_off: bool) -> Iterator[None]:
    """Turn colours off within the block, as ``auth0-tx`` is told to: by ``NO_COLOR``."""
    before = os.environ.get("NO_COLOR")
    if is_off:
        os.environ["NO_COLOR"] = "1"
    try:
        yield
    finally:
        if is_off and before is None:
            del os.environ["NO_COLOR"]


def _make_parser() -> argparse.ArgumentParser:
    """Return a parser of Django's own options, for words that ``auth0-tx`` has its own of."""
    # Without abbreviations, which could be options of auth0-tx.
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    _add_client(parser, None)
    for option in ("--settings", "--pythonpath"):
        parser.add_argument(option)
    parser.add_argument("-v", "--verbosity")
    for option in ("--no-color", "--force-color", "--traceback", "--skip-checks"):
        parser.add_argument(option, action="store_true")
    return parser


def _add_client(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument(
        "--client",
        default=default,
        metavar="NAME",
        help="the client in AUTH0_TX; 'default' by default",
    )
