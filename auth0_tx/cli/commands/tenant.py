"""``auth0-tx tenant``: run a local tenant in the foreground, and say how to use it."""

from __future__ import annotations

import argparse
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ...secret import secret
from ..arguments import Parser, parse_port
from ..console import Console
from ..failures import CommandError, format_reason
from ..rendering.tenant_report import (
    ConnectionFacts,
    facts_to_json,
    format_facts,
)

if TYPE_CHECKING:
    from ...tenant import ReceivedRequest, Reply, Tenant

DESCRIPTION = """\
Run a local Auth0 tenant in the foreground: real sockets and TLS, on loopback only.
It prints what a client needs, a snippet to paste, and a line for each request."""
EPILOG = "It runs until Ctrl-C or SIGTERM, and leaves nothing behind."

# Long enough to paste the snippet again tomorrow.
_TOKEN_LIFETIME = 86_400
_POLL_SECONDS = 1.0
_CA_NAME = b"auth0-tx local tenant CA"


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--port",
        metavar="N",
        type=parse_port,
        default=0,
        help="the port; any free one by default",
    )
    parser.add_argument("--no-tls", action="store_true", help="serve plain HTTP")
    parser.add_argument(
        "--ca-file",
        metavar="PATH",
        help="also write the CA's certificate to PATH, for clients to trust",
    )


def wait_forever() -> None:
    """Wait until a signal interrupts it."""
    # In turns: on Windows a wait without a timeout cannot be interrupted by Ctrl-C.
    never = threading.Event()
    while True:
        never.wait(_POLL_SECONDS)


def run(
    arguments: argparse.Namespace,
    console: Console,
    wait: Callable[[], None] = wait_forever,
) -> int:
    """Serve until a signal asks to stop.

    Args:
        arguments: the command's arguments.
        console: where to write.
        wait: returns, or is interrupted, when the tenant is to stop.

    Raises:
        CommandError: the tenant cannot be run with these arguments.
    """
    copy = None if arguments.ca_file is None else Path(arguments.ca_file)
    if arguments.no_tls and copy is not None:
        raise CommandError(
            "--ca-file cannot be used with --no-tls: without TLS there is no CA"
        )
    if copy is not None:
        _check_replaceable(copy)
    # Imported here, as the tenant brings a server and certificates.
    from ..running_tenant import format_request, start_tenant

    def log(request: ReceivedRequest, reply: Reply) -> None:
        console.log(format_request(request, reply))

    tenant = start_tenant(log, port=arguments.port, tls=not arguments.no_tls)
    try:
        if copy is not None:
            _write_ca_file(tenant, copy)
        _announce(tenant, copy, arguments, console)
        wait()
    except KeyboardInterrupt:
        # This is how the command is meant to end, so the exit status is 0.
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
        console.write_json(facts_to_json(facts))
    else:
        console.write(format_facts(facts, console.style))
    console.log("Press Ctrl-C to stop the tenant. Its requests are listed below.")


def _check_replaceable(path: Path) -> None:
    """Check that only the CA file of an earlier tenant would be overwritten.

    A user may take ``--ca-file`` for the bundle to trust, and name the system's own.
    """
    try:
        octets = path.read_bytes()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        reason = format_reason(error)
        raise CommandError(f"cannot read the --ca-file: {reason}") from None
    if not _is_ours(octets):
        raise CommandError(
            "--ca-file names an existing file that auth0-tx did not write; it is not "
            "overwritten",
            hint="the CA's certificate is written there, not read; name a new file",
        )


def _is_ours(octets: bytes) -> bool:
    # One certificate, not a bundle. DER contains the issuer's name as plain bytes.
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
    except OSError as error:
        reason = format_reason(error)
        raise CommandError(f"cannot write the --ca-file: {reason}") from None
