"""`auth0-tx doctor`: find out what keeps exchanges from working."""

from __future__ import annotations

import argparse
from typing import Any

from attrs import evolve

from ...doctor import diagnose
from ..arguments import Parser, refuse_option, seconds
from ..console import Console
from ..rendering.doctor_report import doctor_members, doctor_text
from ..secret_sources import check_stdin_once, read_secret
from .exchange import CLIENT_SECRET, SIGNING_KEY, SUBJECT_TOKEN, Sources

DESCRIPTION = """\
Check the way to a tenant, step by step: installation, settings, DNS, TLS, discovery, keys,
clock, the client's credentials, and the profile. Each line says what to do."""
EPILOG = """\
The credentials are proven by one exchange of a token type that no profile has, which the
tenant refuses before any Action runs; --no-probe leaves it out. A subject token that is
given, with its type, is exchanged, and may be spent by it.

Secrets come from files and variables, as for auth0-tx exchange.

A check is ok, a warning, failed, or skipped. The exit status is 1 where one failed; with
--strict also where one is a warning."""


def add_arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("--domain", metavar="D", help="the tenant's, such as tenant.us.auth0.com")
    add("--client-id", metavar="ID", help="the application's")
    add("--client-auth", metavar="M", help="how the client authenticates")
    add("--client-secret-file", metavar="PATH", help="the application's secret")
    add("--signing-key-file", metavar="PATH", help="the application's private key")
    add("--signing-alg", metavar="A", default="RS256", help="RS256 by default")
    add("--subject-token-type", metavar="URI", help="of your Token Exchange Profile")
    add("--subject-token-file", metavar="PATH", help="a token to try the profile with")
    add("--verify", metavar="PATH", help="a CA bundle to trust in place of the public")
    add("--trust-env", action="store_true", help="as the client's trust_env")
    add("--timeout", metavar="S", type=seconds, default=10.0, help="for each check")
    add("--no-probe", action="store_true", help="do not prove the credentials")
    add("--strict", action="store_true", help="let a warning fail the run")
    for source in (SUBJECT_TOKEN, CLIENT_SECRET, SIGNING_KEY):
        refuse_option(parser, source.option.removesuffix("-file"), source.ways)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Make the checks, and show what came of them.

    Raises:
        UsageError: a file cannot be read.
    """
    sources = Sources(
        subject_token=evolve(SUBJECT_TOKEN, path=arguments.subject_token_file),
        actor_token=evolve(SUBJECT_TOKEN, path=None),
        client_secret=evolve(CLIENT_SECRET, path=arguments.client_secret_file),
        signing_key=evolve(SIGNING_KEY, path=arguments.signing_key_file),
    )
    check_stdin_once(sources)
    verdicts = diagnose(
        _keywords(arguments, sources, console),
        subject_token=read_secret(sources.subject_token, console)
        if arguments.subject_token_type
        else None,
        subject_token_type=arguments.subject_token_type,
        probe=not arguments.no_probe,
        seconds=arguments.timeout,
        environ=console.environ,
        clock=console.clock,
    )
    if arguments.json:
        console.write_json(doctor_members(verdicts))
    else:
        console.write(doctor_text(verdicts, console.style))
    fatal = {"failed", "warning"} if arguments.strict else {"failed"}
    return int(any(verdict.level in fatal for verdict in verdicts))


def _keywords(
    arguments: argparse.Namespace, sources: Sources, console: Console
) -> dict[str, Any]:
    if console.configured is not None:
        return dict(console.configured)
    environ = console.environ
    key = read_secret(sources.signing_key, console)
    method = arguments.client_auth
    with_secret = key is None and method not in ("none", "private_key_jwt")
    keywords = {
        "domain": arguments.domain or environ.get("AUTH0_DOMAIN"),
        "client_id": arguments.client_id or environ.get("AUTH0_CLIENT_ID"),
        "client_secret": read_secret(sources.client_secret, console)
        if with_secret
        else None,
        "client_assertion_signing_key": key,
        "client_assertion_signing_alg": arguments.signing_alg,
        "client_auth": method,
        "verify": True if arguments.verify is None else arguments.verify,
        "trust_env": arguments.trust_env,
    }
    # What is missing is the first thing that the doctor says.
    optional = ("domain", "client_id")
    return {
        name: value
        for name, value in keywords.items()
        if value is not None or name not in optional
    }
