"""The options and variables that describe a client, for ``exchange`` and ``doctor``.

Both commands read them here, so that the doctor examines the client with which ``exchange``
would send. An application's own keywords (``flask auth0-tx``, ``manage.py auth0_tx``)
replace all of them; the commands look at ``Console.client_keywords`` first.
"""

from __future__ import annotations

import argparse
from typing import Any

from ..core.wire.client_auth import METHODS, SIGNING_ALGORITHMS
from .arguments import Parser, refuse_option
from .console import Console
from .secret_sources import Source, locate, read_secret

SUBJECT_TOKEN = Source(
    "the subject token", "--subject-token-file", variable="AUTH0_TX_SUBJECT_TOKEN"
)
ACTOR_TOKEN = Source(
    "the actor token", "--actor-token-file", variable="AUTH0_TX_ACTOR_TOKEN"
)
CLIENT_SECRET = Source(
    "the client secret", "--client-secret-file", variable="AUTH0_CLIENT_SECRET"
)
# No variable: a private key has several lines, and belongs in a file with narrow permissions.
SIGNING_KEY = Source("the client's private key", "--signing-key-file")

SECRET_METHODS = ("client_secret_post", "client_secret_basic")


def add_client_options(parser: Parser) -> None:
    """Declare the options that describe a client."""
    add = parser.add_argument
    add(
        "--domain",
        metavar="D",
        help="the tenant's domain, such as tenant.us.auth0.com",
    )
    add("--client-id", metavar="ID", help="the application's client ID")
    add("--client-auth", metavar="M", help=f"one of {', '.join(METHODS)}")
    add("--client-secret-file", metavar="PATH", help="the application's secret")
    add("--signing-key-file", metavar="PATH", help="the application's private key")
    add(
        "--signing-alg",
        metavar="A",
        default="RS256",
        help=f"one of {', '.join(SIGNING_ALGORITHMS)}; RS256 by default",
    )
    add(
        "--verify",
        metavar="PATH",
        help="a CA bundle to trust instead of the public CAs",
    )
    refuse_secrets(parser, CLIENT_SECRET, SIGNING_KEY)


def refuse_secrets(parser: Parser, *sources: Source) -> None:
    """Refuse the options that would take a secret itself, such as ``--client-secret``."""
    for source in sources:
        refuse_option(parser, source.option.removesuffix("-file"), source.ways)


def read_client_keywords(
    arguments: argparse.Namespace, console: Console
) -> dict[str, Any]:
    """Read the keywords of ``ServerClient``; what is missing is ``None``.

    Raises:
        CommandError: a file cannot be read.
    """
    environ = console.environ
    key = read_secret(locate(SIGNING_KEY, arguments), console)
    method = arguments.client_auth or (
        "client_secret_post" if key is None else "private_key_jwt"
    )
    source = locate(CLIENT_SECRET, arguments)
    client_secret = None
    # A secret that the method does not use is left out if it is only in the variable, which
    # may be set for other commands. One from a file is passed on, for the library to refuse.
    if method in SECRET_METHODS or source.path is not None:
        client_secret = read_secret(source, console)
    return {
        "domain": _prefer_option(arguments.domain, environ.get("AUTH0_DOMAIN")),
        "client_id": _prefer_option(
            arguments.client_id, environ.get("AUTH0_CLIENT_ID")
        ),
        "client_secret": client_secret,
        "client_assertion_signing_key": key,
        "client_assertion_signing_alg": arguments.signing_alg,
        "client_auth": method,
        "verify": True if arguments.verify is None else arguments.verify,
    }


def _prefer_option(option: str | None, variable: str | None) -> str | None:
    # An option that is empty is a mistake for the library to report: to fall back on the
    # variable would send a token to a tenant that nobody named.
    return variable if option is None else option
