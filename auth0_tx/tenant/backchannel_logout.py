"""Back-channel logout: posts a logout token to an application.

OpenID Connect Back-Channel Logout 1.0, as Auth0 has it. This is the only module in
which the tenant is the client of a connection. It connects to this machine alone: a
test with a wrong URL must not send tokens to somebody else's server.
"""

from __future__ import annotations

import ipaddress
import ssl
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import SplitResult, urlencode, urlsplit

from .http_messages import FORM
from .state import LogEvent, LogType, TenantState

_SUCCEEDED: LogType = "oidc_backchannel_logout_succeeded"
_FAILED: LogType = "oidc_backchannel_logout_failed"


def send_backchannel_logout(
    state: TenantState,
    client_id: str,
    token: str,
    *,
    user_id: str | None,
    ca_file: str | None,
    checks_certificate: bool,
    timeout: float,
) -> int:
    """Post ``token`` to the application, log it, and return the answer's status.

    Args:
        state: The tenant.
        client_id: The application.
        token: The logout token.
        user_id: The user, for the log.
        ca_file: A CA trusted beside the system's; ``None`` for none.
        checks_certificate: Whether the application's certificate is checked.
        timeout: How many seconds each step may take.

    Raises:
        ValueError: The application has no such URI, or one of another machine.
        OSError: The application cannot be reached.
    """
    application = state.applications.get(client_id)
    if application is None or application.backchannel_logout_uri is None:
        raise ValueError("the application has no backchannel_logout_uri")
    parts = urlsplit(application.backchannel_logout_uri)
    if parts.scheme not in ("http", "https") or not _is_loopback(parts.hostname or ""):
        raise ValueError("backchannel_logout_uri must be http or https on loopback")
    connection = _connect(parts, ca_file, checks_certificate, timeout)
    answer = "no answer"
    # Back-Channel Logout 1.0 section 2.8: 200 says that it succeeded. Some frameworks
    # turn an empty 200 into 204, which is accepted too.
    succeeded = False
    try:
        status = _post_token(connection, parts, token)
        answer, succeeded = f"status {status}", status in (200, 204)
    finally:
        # A failure to connect is logged, too.
        connection.close()
        state.logs.append(
            LogEvent(
                type=_SUCCEEDED if succeeded else _FAILED,
                date=state.clock(),
                client_id=client_id,
                user_id=user_id,
                description="" if succeeded else answer,
            )
        )
    return status


def _post_token(connection: HTTPConnection, parts: SplitResult, token: str) -> int:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    body = urlencode({"logout_token": token}).encode()
    connection.request("POST", target, body, {"Content-Type": FORM})
    response = connection.getresponse()
    response.read()
    return response.status


def _connect(
    parts: SplitResult, ca_file: str | None, checks_certificate: bool, timeout: float
) -> HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "http":
        return HTTPConnection(host, parts.port, timeout=timeout)
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    if not checks_certificate:
        # In this order: CERT_NONE is refused while the host name is checked.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(host, parts.port, timeout=timeout, context=context)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # RFC 6761 6.3: names under localhost are loopback as well.
        return host == "localhost" or host.endswith(".localhost")
