"""``auth0-tx exchange``: exchange a token at any tenant; no secret is an argument."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import attrs

from ...events import Event, ExchangeFinished, ExchangeRetried
from ...values import CustomTokenExchangeOptions, TokenExchangeResponse
from ..arguments import Parser
from ..client_options import (
    ACTOR_TOKEN,
    CLIENT_SECRET,
    SIGNING_KEY,
    SUBJECT_TOKEN,
    add_client_options,
    refuse_secrets,
)
from ..console import Console
from ..exchange_options import (
    add_exchange_options,
    missing_secret,
    read_exchange_keywords,
    read_parameters,
)
from ..failures import CommandError
from ..rendering.exchange_report import (
    format_exchange,
    format_retry,
    response_to_json,
)
from ..secret_sources import check_stdin_once, locate, read_secret
from ..signals import run_coroutine

DESCRIPTION = "Exchange an external or legacy token for Auth0 tokens (RFC 8693)."
EPILOG = """\
Secrets are never arguments. Each comes from a file (- for standard input; one newline
at its end is dropped) or, if no file is named, from a variable:

  AUTH0_TX_SUBJECT_TOKEN   or --subject-token-file
  AUTH0_TX_ACTOR_TOKEN     or --actor-token-file
  AUTH0_CLIENT_SECRET      or --client-secret-file
                              --signing-key-file (PEM or JWK, for private_key_jwt)

AUTH0_DOMAIN and AUTH0_CLIENT_ID replace --domain and --client-id."""


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    add_client_options(parser)
    add = parser.add_argument
    add("--subject-token-file", metavar="PATH", help="the token to exchange")
    add_exchange_options(parser)
    add(
        "--async",
        dest="asynchronous",
        action="store_true",
        help="use AsyncServerClient; the outcome is the same",
    )
    add("--show-tokens", action="store_true", help="show the tokens that come back")
    refuse_secrets(parser, SUBJECT_TOKEN, ACTOR_TOKEN)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Exchange the token, and show what came back.

    Raises:
        CommandError: something is missing, or cannot be read.
        CustomTokenExchangeError: the exchange failed.
    """
    check_stdin_once(
        locate(source, arguments)
        for source in (SUBJECT_TOKEN, ACTOR_TOKEN, CLIENT_SECRET, SIGNING_KEY)
    )
    keywords = read_exchange_keywords(arguments, console)
    options = _read_options(arguments, console)
    progress = _Progress(console.log)
    exchange = _exchange_async if arguments.asynchronous else _exchange
    response = exchange({**keywords, "on_event": progress.report}, options)
    if arguments.json:
        members = response_to_json(response, show_tokens=arguments.show_tokens)
        console.write_json(members)
    else:
        finished = progress.finished
        # A client reports the end of each exchange that it performs, before it returns.
        assert finished is not None
        console.write(
            format_exchange(
                response,
                domain=finished.domain,
                seconds=finished.seconds,
                show_tokens=arguments.show_tokens,
                style=console.style,
            )
        )
    return 0


def _read_options(
    arguments: argparse.Namespace, console: Console
) -> CustomTokenExchangeOptions:
    token_type = arguments.subject_token_type
    if token_type is None:
        raise CommandError(
            "the subject token type is missing", hint="pass --subject-token-type URI"
        )
    parameters = read_parameters(arguments)
    subject_token = read_secret(locate(SUBJECT_TOKEN, arguments), console)
    if subject_token is None:
        raise missing_secret(SUBJECT_TOKEN)
    return CustomTokenExchangeOptions(
        subject_token=subject_token,
        subject_token_type=token_type,
        audience=arguments.audience,
        scope=arguments.scope,
        actor_token=read_secret(locate(ACTOR_TOKEN, arguments), console),
        actor_token_type=arguments.actor_token_type,
        organization=arguments.organization,
        authorization_params=parameters or None,
    )


@attrs.define
class _Progress:
    """The subscriber of an exchange: logs retries, and remembers the end."""

    log: Callable[[str], None]
    finished: ExchangeFinished | None = None

    def report(self, event: Event) -> None:
        """Receive an event; the client calls it."""
        if isinstance(event, ExchangeRetried):
            self.log(format_retry(event))
        elif isinstance(event, ExchangeFinished):
            self.finished = event


def _exchange(
    keywords: dict[str, Any], options: CustomTokenExchangeOptions
) -> TokenExchangeResponse:
    # Imported here, as requests takes longer to import than `--help` takes to run.
    from ...client import ServerClient

    with ServerClient(**keywords) as client:
        return client.custom_token_exchange(options)


def _exchange_async(
    keywords: dict[str, Any], options: CustomTokenExchangeOptions
) -> TokenExchangeResponse:
    from ...aio import AsyncServerClient

    async def exchange() -> TokenExchangeResponse:
        async with AsyncServerClient(**keywords) as client:
            return await client.custom_token_exchange(options)

    return run_coroutine(exchange())
