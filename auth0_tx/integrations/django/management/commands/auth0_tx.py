"""``manage.py auth0_tx``: the commands of ``auth0-tx``, with the project's settings."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from auth0_tx.cli import main
from auth0_tx.integrations.django.clients import read_keywords

_COMMANDS = ("doctor", "exchange", "inspect")


class Command(BaseCommand):
    """Run a command of ``auth0-tx`` with the project's settings."""

    help = "Check the settings, exchange a token, or read one."
    # The doctor itself reports what is wrong with the settings, with advice.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a command's name, and pass on all words after it."""
        parser.add_argument("command", choices=_COMMANDS)
        parser.add_argument("words", nargs=argparse.REMAINDER)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command, and exit with its status."""
        status = main([options["command"], *options["words"]], read_keywords())
        if status:
            sys.exit(status)
