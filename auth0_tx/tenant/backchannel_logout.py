"""Back-channel logout: makes logout tokens, and posts them to an application.

OpenID Connect Back-Channel Logout 1.0, as Auth0 has it. The one place where the tenant
is the client of a connection, and only to this machine.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from .form_pairs import FORM
from .logs import LogEvent, LogType
from .state import TenantState
from .tokens import sign_as_id_token

_EVENT = "http://schemas.openid.net/event/backchannel-logout"
# OpenID Connect Back-Channel Logout 1.0 section 2.4: preferably at most two minutes.
_LIFETIME = 120
_SUCCEEDED: LogType = "oidc_backchannel_logout_succeeded"
_FAILED: LogType = "oidc_backchannel_logout_failed"


def crafted_logout_token(
    state: TenantState,
    client_id: str,
    *,
    user_id: str | None,
    session_id: str | None,
    typ: str,
    changes: Mapping[str, Any],
) -> str:
    """Return a logout token for *client_id*, *changes* put over its claims.

    Args:
        state: The tenant.
        client_id: The application; its algorithm signs.
        user_id: Its `sub`; None for none.
        session_id: Its `sid`; None for none.
        typ: The `typ` in its header.
        changes: Claims to put in; one that is None leaves a claim out.
    """
    now = int(state.clock())
    claims: dict[str, Any] = {
        "iss": state.issuer,
        "sub": user_id,
        "sid": session_id,
        "aud": client_id,
        "iat": now,
        "exp": now + _LIFETIME,
        "jti": state.new_id(),
        "events": {_EVENT: {}},
        **changes,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    return sign_as_id_token(state, client_id, kept, {"typ": typ})


def send_backchannel_logout(
    state: TenantState,
    client_id: str,
    token: str,
    *,
    user_id: str | None,
    ca_file: str | None,
    verified: bool,
    timeout: float,
) -> int:
    """Post *token* to the URI of *client_id*, log it, and return the answer's status.

    Args:
        state: The tenant.
        client_id: The application.
        token: The logout token.
        user_id: For the log.
        ca_file: A CA trusted beside the system's; None for none.
        verified: Whether the certificate is checked at all.
        timeout: How many seconds each step may take.

    Raises:
        ValueError: The application has no such URI, or one of another machine.
        OSError: The application cannot be reached.
    """
    application = state.applications.get(client_id)
    if application is None or application.backchannel_logout_uri is None:
        raise ValueError("the application has no backchannel_logout_uri")
    parts = urlsplit(application.backchannel_logout_uri)
    if parts.scheme not in ("http", "https") or not _is_here(parts.hostname or ""):
        raise ValueError("backchannel_logout_uri must be http or https on loopback")
    connection = _connection(parts, ca_file, verified, timeout)
    answer = "no answer"
    # Back-Channel Logout 2.8: 200 says that it succeeded; 204 is taken for it as well.
    succeeded = False
    try:
        status = _posted(connection, parts, token)
        answer, succeeded = f"status {status}", status in (200, 204)
    finally:
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


def _posted(connection: HTTPConnection, parts: SplitResult, token: str) -> int:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    body = urlencode({"logout_token": token}).encode()
    connection.request("POST", target, body, {"Content-Type": FORM})
    response = connection.getresponse()
    response.read()
    return response.status


def _connection(
    parts: SplitResult, ca_file: str | None, verified: bool, timeout: float
) -> HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "http":
        return HTTPConnection(host, parts.port, timeout=timeout)
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(host, parts.port, timeout=timeout, context=context)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
