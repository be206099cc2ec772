"""The options of an exchange and of its client, for ``exchange`` and ``exchange-many``."""

from __future__ import annotations

import argparse
from typing import Any

from ..secret import conceal
from .arguments import Parser, parse_parameter, parse_seconds
from .client_options import (
    CLIENT_SECRET,
    SECRET_METHODS,
    SIGNING_KEY,
    read_client_keywords,
)
from .console import Console
from .failures import CommandError
from .secret_sources import Source


def add_exchange_options(parser: Parser) -> None:
    """Declare the options that describe an exchange, but for its tokens."""
    add = parser.add_argument
    add(
        "--subject-token-type",
        metavar="URI",
        help="the type in your Token Exchange Profile",
    )
    add("--actor-token-type", metavar="URI", help="the type of the actor token")
    add("--actor-token-file", metavar="PATH", help="the token of the acting party")
    add("--audience", metavar="A", help="the API that the access token is for")
    add("--scope", metavar="S", help='such as "openid read:data"')
    add("--organization", metavar="O", help="its ID (org_...) or its name")
    add(
        "--param",
        metavar="NAME=VALUE",
        type=parse_parameter,
        action="append",
        default=[],
        help="an extension parameter, for the Action; may be repeated",
    )
    add(
        "--timeout",
        metavar="S",
        type=parse_seconds,
        default=10.0,
        help="seconds for an exchange, from its start to its end; 10 by default",
    )


def read_parameters(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the extension parameters.

    Raises:
        CommandError: two have the same name.
    """
    parameters = dict(arguments.param)
    if len(parameters) != len(arguments.param):
        raise CommandError("--param: the same name is used twice")
    return parameters


def read_exchange_keywords(
    arguments: argparse.Namespace, console: Console
) -> dict[str, Any]:
    """Return the keywords of the client that exchanges.

    Raises:
        CommandError: one is missing, or cannot be read.
    """
    if console.client_keywords is not None:
        # Sessions, and the stores of another world (an async store in an async project),
        # have no part in an exchange. A cached result would prove nothing.
        unused = ("session", "state_store", "secret", "legacy_secret", "token_cache")
        configured = {
            name: value
            for name, value in console.client_keywords.items()
            if name not in unused
        }
        return dict(conceal({**configured, "timeout": arguments.timeout}))
    keywords = read_client_keywords(arguments, console)
    method = keywords["client_auth"]
    if keywords["domain"] is None:
        raise CommandError("--domain is missing", hint="pass it, or set AUTH0_DOMAIN")
    if keywords["client_id"] is None:
        hint = "pass it, or set AUTH0_CLIENT_ID"
        raise CommandError("--client-id is missing", hint=hint)
    # The library would name its keywords; here the user needs the options.
    if method in SECRET_METHODS and keywords["client_secret"] is None:
        raise missing_secret(CLIENT_SECRET)
    if method == "private_key_jwt" and keywords["client_assertion_signing_key"] is None:
        raise missing_secret(SIGNING_KEY)
    return {**keywords, "timeout": arguments.timeout}


def missing_secret(source: Source) -> CommandError:
    """Make the failure of a run whose secret was not passed."""
    return CommandError(f"{source.what} is missing", hint=source.ways)
