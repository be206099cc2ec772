"""``flask auth0-tx …``: the commands of ``auth0-tx``, with the application's settings."""

from __future__ import annotations

import sys

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext

from ...cli import main

commands: AppGroup = AppGroup(
    "auth0-tx", help="Check the settings, exchange and read tokens."
)

_PASSED_ON = {"ignore_unknown_options": True, "help_option_names": []}


def _command(name: str, text: str) -> None:
    @commands.command(name, help=text, context_settings=_PASSED_ON)
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    @with_appcontext
    def run(words: tuple[str, ...]) -> None:
        keywords = current_app.extensions["auth0_tx"].keywords
        sys.exit(main([name, *words], keywords))


_command("doctor", "Find out what keeps exchanges from working.")
_command("exchange", "Exchange a token, from a file or a variable.")
_command("inspect", "Decode a token, without verifying it.")
