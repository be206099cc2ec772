"""`auth0-tx exchange`: exchange a token at any tenant; no secret is an argument."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import evolve

from ...core.wire.client_auth import METHODS, SIGNING_ALGORITHMS
from ...events import Event, ExchangeFinished, ExchangeRetried
from ...secret import conceal
from ...values import CustomTokenExchangeOptions, TokenExchangeResponse
from ..arguments import Parser, parameter, refuse_option, seconds
from ..console import Console
from ..failures import UsageError
from ..rendering.exchange_report import exchange_text, retry_line
from ..rendering.redaction import response_members
from ..secret_sources import Source, check_stdin_once, read_secret
from ..signals import run_coroutine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DESCRIPTION = "Exchange an external or legacy token for Auth0 tokens (RFC 8693)."
EPILOG = """\
Secrets are never arguments. Each comes from a file (- for standard input; one newline
at its end is dropped) or, where no file is named, from a variable:

  AUTH0_TX_SUBJECT_TOKEN   or --subject-token-file
  AUTH0_TX_ACTOR_TOKEN     or --actor-token-file
  AUTH0_CLIENT_SECRET      or --client-secret-file
                              --signing-key-file (PEM or JWK, for private_key_jwt)

AUTH0_DOMAIN and AUTH0_CLIENT_ID stand in for --domain and --client-id."""

SUBJECT_TOKEN = Source(
    "the subject token", "--subject-token-file", variable="AUTH0_TX_SUBJECT_TOKEN"
)
_ACTOR_TOKEN = Source(
    "the actor token", "--actor-token-file", variable="AUTH0_TX_ACTOR_TOKEN"
)
CLIENT_SECRET = Source(
    "the client's secret", "--client-secret-file", variable="AUTH0_CLIENT_SECRET"
)
SIGNING_KEY = Source("the client's private key", "--signing-key-file")

_SECRET_METHODS = ("client_secret_post", "client_secret_basic")


class Sources(NamedTuple):
    """Where the secrets of one exchange may come from."""

    subject_token: Source
    actor_token: Source
    client_secret: Source
    signing_key: Source


def add_arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("--domain", metavar="D", help="the tenant's, such as tenant.us.auth0.com")
    add("--client-id", metavar="ID", help="the application's")
    add("--subject-token-type", metavar="URI", help="of your Token Exchange Profile")
    add("--subject-token-file", metavar="PATH", help="the token to exchange")
    add("--actor-token-type", metavar="URI", help="what the actor token is")
    add("--actor-token-file", metavar="PATH", help="the token of who acts")
    add("--audience", metavar="A", help="the API the access token is for")
    add("--scope", metavar="S", help='such as "openid read:data"')
    add("--organization", metavar="O", help="its id, org_..., or its name")
    add(
        "--param",
        metavar="NAME=VALUE",
        type=parameter,
        action="append",
        default=[],
        help="an extension parameter, for the Action; may be repeated",
    )
    add("--client-auth", metavar="M", help=f"one of {', '.join(METHODS)}")
    add("--client-secret-file", metavar="PATH", help="the application's secret")
    add("--signing-key-file", metavar="PATH", help="the application's private key")
    add(
        "--signing-alg",
        metavar="A",
        default="RS256",
        help=f"one of {', '.join(SIGNING_ALGORITHMS)}; RS256 by default",
    )
    add("--verify", metavar="PATH", help="a CA bundle to trust in place of the public")
    add(
        "--timeout",
        metavar="S",
        type=seconds,
        default=10.0,
        help="seconds for the whole call; 10 by default",
    )
    add(
        "--async",
        dest="asynchronous",
        action="store_true",
        help="use AsyncServerClient; the outcome is the same",
    )
    add("--show-tokens", action="store_true", help="show the tokens that come back")
    for source in (SUBJECT_TOKEN, _ACTOR_TOKEN, CLIENT_SECRET, SIGNING_KEY):
        refuse_option(parser, source.option.removesuffix("-file"), source.ways)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Exchange the token, and show what came back.

    Raises:
        UsageError: something is missing, or cannot be read.
        CustomTokenExchangeError: the exchange failed.
    """
    finished: list[ExchangeFinished] = []
    sources = _sources(arguments)
    check_stdin_once(sources)
    keywords = _keywords(arguments, sources, console)
    options = _options(arguments, sources, console)
    keywords["on_event"] = partial(_told, console, finished.append)
    exchanged = _exchanged_async if arguments.asynchronous else _exchanged
    response = exchanged(keywords, options)
    if arguments.json:
        members = response_members(response, show_tokens=arguments.show_tokens)
        console.write_json(members)
    else:
        console.write(
            exchange_text(
                response,
                domain=finished[0].domain,
                seconds=finished[0].seconds,
                show_tokens=arguments.show_tokens,
                style=console.style,
            )
        )
    return 0


def _sources(arguments: argparse.Namespace) -> Sources:
    return Sources(
        subject_token=evolve(SUBJECT_TOKEN, path=arguments.subject_token_file),
        actor_token=evolve(_ACTOR_TOKEN, path=arguments.actor_token_file),
        client_secret=evolve(CLIENT_SECRET, path=arguments.client_secret_file),
        signing_key=evolve(SIGNING_KEY, path=arguments.signing_key_file),
    )


def _options(
    arguments: argparse.Namespace, sources: Sources, console: Console
) -> CustomTokenExchangeOptions:
    token_type = arguments.subject_token_type
    if token_type is None:
        raise UsageError(
            "the subject token's type is missing", hint="pass --subject-token-type URI"
        )
    parameters = dict(arguments.param)
    if len(parameters) != len(arguments.param):
        raise UsageError("--param: a name is given twice")
    return CustomTokenExchangeOptions(
        subject_token=_needed(sources.subject_token, console),
        subject_token_type=token_type,
        audience=arguments.audience,
        scope=arguments.scope,
        actor_token=read_secret(sources.actor_token, console),
        actor_token_type=arguments.actor_token_type,
        organization=arguments.organization,
        authorization_params=parameters or None,
    )


def _keywords(
    arguments: argparse.Namespace, sources: Sources, console: Console
) -> dict[str, Any]:
    if console.configured is not None:
        return _configured(console.configured, arguments)
    domain = _named(arguments.domain, "domain", "AUTH0_DOMAIN", console)
    client_id = _named(arguments.client_id, "client-id", "AUTH0_CLIENT_ID", console)
    key = read_secret(sources.signing_key, console)
    method = arguments.client_auth or (
        "client_secret_post" if key is None else "private_key_jwt"
    )
    if method in _SECRET_METHODS:
        client_secret: str | None = _needed(sources.client_secret, console)
    elif sources.client_secret.path is not None:
        client_secret = read_secret(sources.client_secret, console)
    else:
        # The variable may be there for another command's sake.
        client_secret = None
    if method == "private_key_jwt" and key is None:
        raise _missing(sources.signing_key)
    return {
        "domain": domain,
        "client_id": client_id,
        "client_secret": client_secret,
        "client_assertion_signing_key": key,
        "client_assertion_signing_alg": arguments.signing_alg,
        "client_auth": method,
        "verify": True if arguments.verify is None else arguments.verify,
        "timeout": arguments.timeout,
    }


def _configured(
    keywords: Mapping[str, Any], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Give an application's own client, without what only its sessions need."""
    left_out = ("session", "state_store", "secret", "legacy_secret", "token_cache")
    own = {name: each for name, each in keywords.items() if name not in left_out}
    return dict(conceal({**own, "timeout": arguments.timeout}))


def _named(value: str | None, option: str, variable: str, console: Console) -> str:
    found = console.environ.get(variable) if value is None else value
    if found is None:
        raise UsageError(f"--{option} is missing", hint=f"pass it, or set {variable}")
    return found


def _needed(source: Source, console: Console) -> str:
    text = read_secret(source, console)
    if text is None:
        raise _missing(source)
    return text


def _missing(source: Source) -> UsageError:
    return UsageError(f"{source.what} is missing", hint=source.ways)


def _told(
    console: Console, finish: Callable[[ExchangeFinished], None], event: Event
) -> None:
    if isinstance(event, ExchangeRetried):
        console.tell(retry_line(event))
    elif isinstance(event, ExchangeFinished):
        finish(event)


def _exchanged(
    keywords: dict[str, Any], options: CustomTokenExchangeOptions
) -> TokenExchangeResponse:
    from ...client import ServerClient

    with ServerClient(**keywords) as client:
        return client.custom_token_exchange(options)


def _exchanged_async(
    keywords: dict[str, Any], options: CustomTokenExchangeOptions
) -> TokenExchangeResponse:
    from ...aio import AsyncServerClient

    async def exchange() -> TokenExchangeResponse:
        async with AsyncServerClient(**keywords) as client:
            return await client.custom_token_exchange(options)

    return run_coroutine(exchange())
