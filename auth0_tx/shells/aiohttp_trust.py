"""Trust in connections of ``aiohttp``: those of the client, and those of a session.

A connector's setting ``ssl`` decides whom it trusts.  An application can change it at any
time, as it can change a context.  ``aiohttp`` keeps no note of a handshake's checks: the
pool has one key for connections that were made before and after such a change.  So a
connection counts as verified if this library saw it made: its context verified before the
handshake, and still does after it.  Connections that the application made for itself are
closed when they come out of the pool, and the next one is taken.
"""

from __future__ import annotations

import ssl
import weakref
from typing import Any

import aiohttp
from aiohttp.connector import Connection

from .tls import check_connection, find_flaw, find_handshake_flaw, session_error

# The TLS objects of connections that were verified in our sight, for all clients that share
# an application's session.
_verified: weakref.WeakSet[Any] = weakref.WeakSet()


def check_connector(connector: object, url: str) -> None:
    """Check that a session's connector verifies the server of *url*, as its settings tell.

    Raises:
        ConfigurationError: it does not.
    """
    # Plain http is for a loopback alone, and has no certificates.
    if not url.startswith("https:"):
        return
    setting = getattr(connector, "_ssl", True)
    if isinstance(setting, ssl.SSLContext):
        flaw = find_flaw(setting)
        if flaw is not None:
            raise session_error(f"must have a connector whose ssl= has {flaw}")
    # A fingerprint names the certificate itself, by SHA-256.
    elif setting is not True and not isinstance(setting, aiohttp.Fingerprint):
        raise session_error(
            "must verify the server: leave out ssl= of its connector, or set it to an "
            "ssl.SSLContext"
        )


def check_own(connection: Connection) -> None:
    """Check a new connection that the client made, before anything is sent on it.

    Raises:
        ConfigurationError: the application's context stopped verifying.
    """
    tls = _get_tls(connection)
    if tls is not None:
        check_connection(tls, tls.context)


class ConnectorTrust:
    """Decides which connections of an application's connector a request may be sent on.

    Args:
        connector: of the session.
        request: of aiohttp, which is about to be sent.
    """

    def __init__(self, connector: object, request: Any) -> None:
        pin = getattr(connector, "_ssl", None)
        self._pin = pin if isinstance(pin, aiohttp.Fingerprint) else None
        self._host = request.host

    def check(self, connection: Connection) -> None:
        """Check a new connection, before anything is sent on it.

        Raises:
            ConfigurationError: its handshake did not verify the server.
        """
        tls = _get_tls(connection)
        flaw = self._find_flaw(connection, tls)
        if flaw is not None:
            raise session_error(f"must verify the server: {flaw}")
        _verified.add(tls)

    def accepts(self, connection: Connection) -> bool:
        """Return whether a connection from the pool was verified, and would be now."""
        tls = _get_tls(connection)
        return tls in _verified and self._find_flaw(connection, tls) is None

    def _find_flaw(self, connection: Connection, tls: Any) -> str | None:
        """Return the check that a connection's handshake lacked, or ``None``."""
        if tls is None:
            return "its connector made a connection without TLS"
        flaw = find_handshake_flaw(tls)
        if flaw is not None:
            return f"its connector {flaw}"
        if self._pin is not None and not self._is_pinned(connection):
            return "its connector made a connection to another certificate than its own"
        if self._pin is None and find_flaw(tls.context) is not None:
            return "its connector made a connection without a verified certificate"
        if (tls.server_hostname or "").rstrip(".") != self._host.rstrip("."):
            return "its connector compares no host name, or another one"
        return None

    def _is_pinned(self, connection: Connection) -> bool:
        assert self._pin is not None
        try:
            # aiohttp looks at a new connection alone.
            self._pin.check(connection.transport)  # type: ignore[arg-type]
        except aiohttp.ServerFingerprintMismatch:
            return False
        return True


def _get_tls(connection: Connection) -> Any:
    """Return the TLS object of a connection, or ``None`` if it has none."""
    get_extra_info = getattr(connection.transport, "get_extra_info", None)
    return None if get_extra_info is None else get_extra_info("ssl_object")
