"""``auth0-tx doctor``: find out why exchanges fail, and what to do about it.

The checks are those of :mod:`auth0_tx.doctor`; this command reads the settings, shows the
verdicts and turns them into an exit status.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...doctor import Level, Verdict, diagnose
from ..arguments import Parser, parse_seconds
from ..client_options import (
    CLIENT_SECRET,
    SIGNING_KEY,
    SUBJECT_TOKEN,
    add_client_options,
    read_client_keywords,
    refuse_secrets,
)
from ..console import Console
from ..rendering.style import Style
from ..rendering.text import make_printable
from ..secret_sources import check_stdin_once, locate, read_secret

DESCRIPTION = """\
Check the way to a tenant, step by step: installation, settings, DNS, TLS, discovery, keys,
clock, the client's credentials, and the profile. Each failed check says what to do."""
EPILOG = """\
The credentials are checked with one exchange of a token type that no profile has. The
tenant refuses it before any Action runs; --no-probe leaves it out. A subject token that is
passed together with its type is exchanged, which may use it up.

Secrets come from files and variables, as for auth0-tx exchange.

A check is ok, a warning, failed, or skipped. The exit status is 1 if a check failed; with
--strict also if one is a warning."""

# Failures stand out also where there is no colour.
_SIGNS: dict[Level, str] = {
    "ok": "ok",
    "warning": "warning",
    "failed": "FAILED",
    "skipped": "skipped",
}


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    add_client_options(parser)
    add = parser.add_argument
    add(
        "--subject-token-type",
        metavar="URI",
        help="the type in your Token Exchange Profile",
    )
    add("--subject-token-file", metavar="PATH", help="a token to try the profile with")
    add(
        "--trust-env",
        action="store_true",
        help="use the proxy and the CA bundle of the environment",
    )
    add(
        "--timeout",
        metavar="S",
        type=parse_seconds,
        default=10.0,
        help="seconds for each check; 10 by default",
    )
    add("--no-probe", action="store_true", help="do not check the credentials")
    add("--strict", action="store_true", help="exit with 1 on a warning too")
    refuse_secrets(parser, SUBJECT_TOKEN)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Run the checks, and show their verdicts.

    Raises:
        CommandError: a file cannot be read.
    """
    check_stdin_once(
        locate(source, arguments)
        for source in (SUBJECT_TOKEN, CLIENT_SECRET, SIGNING_KEY)
    )
    subject_token = None
    # Without its type a token cannot be exchanged. It may be in the variable only for
    # auth0-tx exchange, so that is not an error.
    if arguments.subject_token_type is not None:
        subject_token = read_secret(locate(SUBJECT_TOKEN, arguments), console)
    verdicts = diagnose(
        _read_keywords(arguments, console),
        subject_token=subject_token,
        subject_token_type=arguments.subject_token_type,
        probe=not arguments.no_probe,
        seconds=arguments.timeout,
        environ=console.environ,
        clock=console.clock,
    )
    if arguments.json:
        console.write_json(verdicts_to_json(verdicts))
    else:
        console.write(format_verdicts(verdicts, console.style))
    fatal = {"failed", "warning"} if arguments.strict else {"failed"}
    return int(any(verdict.level in fatal for verdict in verdicts))


def format_verdicts(verdicts: Sequence[Verdict], style: Style) -> str:
    """Format the verdicts: a line for each, its advice below it, and a count of levels."""
    paint = {
        "ok": style.good,
        "warning": style.warning,
        "failed": style.bad,
        "skipped": style.faint,
    }
    column = max(len(verdict.check) for verdict in verdicts)
    lines = []
    for verdict in verdicts:
        sign = paint[verdict.level](_SIGNS[verdict.level].ljust(7))
        check = verdict.check.ljust(column)
        lines.append(f"{sign}  {check}  {make_printable(verdict.found)}")
        if verdict.advice:
            advice = style.faint(make_printable(verdict.advice))
            lines.append(" " * (column + 11) + advice)
    counts = Counter(verdict.level for verdict in verdicts)
    summary = [f"{counts[level]} {level}" for level in _SIGNS if counts[level]]
    return "\n".join([*lines, "", ", ".join(summary)])


def verdicts_to_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return what ``--json`` shows: ``checks``, and ``ok`` unless one failed."""
    return {
        "ok": all(verdict.level != "failed" for verdict in verdicts),
        "checks": [
            {
                "check": verdict.check,
                "level": verdict.level,
                "found": verdict.found,
                "advice": verdict.advice,
            }
            for verdict in verdicts
        ],
    }


def _read_keywords(arguments: argparse.Namespace, console: Console) -> dict[str, Any]:
    if console.client_keywords is not None:
        return dict(console.client_keywords)
    keywords = read_client_keywords(arguments, console)
    # Left out if missing: the doctor then reports which of the two is not configured.
    for name in ("domain", "client_id"):
        if keywords[name] is None:
            del keywords[name]
    return {**keywords, "trust_env": arguments.trust_env}
