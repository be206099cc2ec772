"""`auth0-tx tenant`: run a local tenant in the foreground, and say how to use it."""

from __future__ import annotations

import argparse
import ssl
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...secret import secret
from ..arguments import Parser, port
from ..console import Console
from ..failures import UsageError, system_reason
from ..rendering.tenant_report import (
    ConnectionFacts,
    facts_members,
    facts_text,
    log_line,
)

if TYPE_CHECKING:
    from ...tenant import ReceivedRequest, Reply, Tenant

DESCRIPTION = """\
Run a local Auth0 tenant in the foreground: real sockets and TLS, on loopback only.
It prints what a client needs, a snippet to paste, and a line for each request."""
EPILOG = "It runs until Ctrl-C or SIGTERM, and keeps nothing."

_TOKEN_LIFETIME = 86_400
_POLL_SECONDS = 1.0
_CA_NAME = b"auth0-tx local tenant CA"


def add_arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "--port",
        metavar="N",
        type=port,
        default=0,
        help="the port; one that is free by default",
    )
    parser.add_argument("--no-tls", action="store_true", help="serve plain HTTP")
    parser.add_argument(
        "--ca-file",
        metavar="PATH",
        help="also write the CA's certificate to PATH, for clients to trust",
    )


def until_interrupted() -> None:
    """Wait for ever; Windows hears of Ctrl-C only between two waits."""
    never = threading.Event()
    while True:
        never.wait(_POLL_SECONDS)


def run(
    arguments: argparse.Namespace,
    console: Console,
    wait: Callable[[], None] = until_interrupted,
) -> int:
    """Serve until told to stop.

    Args:
        arguments: what was asked for.
        console: where to say it.
        wait: returns, or is interrupted, when the tenant is to stop.

    Raises:
        UsageError: the tenant cannot be had as asked for.
    """
    copy = None if arguments.ca_file is None else Path(arguments.ca_file)
    if arguments.no_tls and copy is not None:
        raise UsageError("--ca-file does not go with --no-tls: there is no CA")
    if copy is not None:
        _check_replaceable(copy)
    from ..running_tenant import started_tenant

    told = partial(_log, console)
    tenant = started_tenant(told, port=arguments.port, tls=not arguments.no_tls)
    try:
        if copy is not None:
            _write_ca_file(tenant, copy)
        _announce(tenant, copy, arguments, console)
        wait()
    except KeyboardInterrupt:
        # The one way in which this command is meant to end.
        pass
    finally:
        tenant.close()
    return 0


def _announce(
    tenant: Tenant, copy: Path | None, arguments: argparse.Namespace, console: Console
) -> None:
    facts = ConnectionFacts(
        issuer=tenant.issuer,
        domain=tenant.domain,
        ca_file=tenant.ca_file if copy is None else str(copy.absolute()),
        client_id=tenant.client_id,
        client_secret=secret(tenant.client_secret),
        subject_token=secret(
            tenant.subject_token("auth0|alice", expires_in=_TOKEN_LIFETIME)
        ),
    )
    if arguments.json:
        console.write_json(facts_members(facts))
    else:
        console.write(facts_text(facts, console.style))
    console.tell("Ctrl-C stops the tenant; its requests follow.")


def _log(console: Console, request: ReceivedRequest, reply: Reply) -> None:
    from ..running_tenant import error_code

    console.tell(
        log_line(request.method, request.path, reply.status, error_code(reply))
    )


def _check_replaceable(path: Path) -> None:
    """Refuse to write over anything but the CA file of an earlier tenant."""
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        failure = UsageError(f"--ca-file cannot be used: {system_reason(error)}")
    else:
        if _is_ours(found):
            return
        failure = UsageError(
            "--ca-file names a file that no tenant wrote; it is not written over",
            hint="the CA's certificate is written there, not read; name a new file",
        )
    raise failure


def _is_ours(octets: bytes) -> bool:
    # A certificate holds the names of its authority as they are.
    if octets.count(b"-----BEGIN ") != 1:
        return False
    try:
        return _CA_NAME in ssl.PEM_cert_to_DER_cert(octets.decode("ascii").strip())
    except ValueError:
        return False


def _write_ca_file(tenant: Tenant, path: Path) -> None:
    assert tenant.ca_file is not None
    try:
        path.write_bytes(Path(tenant.ca_file).read_bytes())
        return
    except OSError as error:
        failure = UsageError(f"--ca-file cannot be written: {system_reason(error)}")
    raise failure
