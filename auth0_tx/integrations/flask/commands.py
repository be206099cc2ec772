"""``flask auth0-tx``: the commands of ``auth0-tx``, with the application's settings."""

from __future__ import annotations

import sys

import click
from flask.cli import AppGroup, with_appcontext

from ...cli import main
from ...errors import ConfigurationError
from .current import get_extension_state

# The words are the command's own, ``--help`` included.
_PASSED_ON = {"ignore_unknown_options": True, "help_option_names": []}

commands: AppGroup = AppGroup(
    "auth0-tx",
    help="Check the settings, exchange and read tokens.",
    # Without a callback, click has nothing to tell of the option.
    callback=lambda client: None,
    params=[
        click.Option(
            ["--client"],
            metavar="NAME",
            help="Which of AUTH0_TX_CLIENTS; the default client without it.",
        )
    ],
)


def _add_command(name: str, text: str) -> None:
    @commands.command(name, help=text, context_settings=_PASSED_ON)
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    @click.pass_context
    @with_appcontext
    def run(context: click.Context, words: tuple[str, ...]) -> None:
        client = context.parent.params["client"] if context.parent else None
        try:
            configured = get_extension_state().get_client(client)
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from None
        sys.exit(main([name, *words], configured.keywords))


_add_command("doctor", "Find out what keeps exchanges from working.")
_add_command("exchange", "Exchange a token, from a file or a variable.")
_add_command("exchange-many", "Exchange a file of tokens, each of them once.")
_add_command("inspect", "Decode a token, without verifying it.")
