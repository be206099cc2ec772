"""Trust in an application's ``requests.Session``: in its settings, and in each connection.

Three places decide whom a session trusts: ``session.verify``, the settings of the adapter's
pools, and the code of the adapter, which may change either.  The first two are read before
each request, so that nobody connects in vain.  But the connection has the last word, because
``urllib3`` notes on it which checks its handshake passed:

1. A connection from the pool is taken only if it was verified.  The application may have
   made it while ``session.verify`` was off, and ``verify=None`` and ``verify=True`` share a
   pool.  A connection that was made with other settings than the pool has now is closed too.
2. A new connection that is not verified is closed before anything is sent, and the call
   ends with a ``ConfigurationError``.

For that the request goes through a stand-in for the application's pool, which has the same
connections.  The application's own pool is left as it is.  The stand-in also notes when a
request begins to leave, so that a handshake that fails is told from a response that is lost.

An adapter that does not connect through ``urllib3`` is not looked into: it is handed
``session.verify``, which must verify.  Libraries that play responses in tests are such.
"""

from __future__ import annotations

import os
import ssl
from functools import cache, partial
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.utils import resolve_proxies, select_proxy
from urllib3 import HTTPConnectionPool

from ..errors import ConfigurationError
from ..secret import SecretMapping, SecretStr
from .deadline_adapter import current_call
from .proxies import name_variable, require_proxy
from .response_readers import make_noting
from .tls import bundle_error, find_flaw, find_handshake_flaw, session_error

_SETTINGS = ("ca_certs", "ca_cert_dir", "assert_hostname", "assert_fingerprint")
"""Settings that ``requests`` changes on a pool at each request, and connections copy."""

_SHA_256 = 64
"""Hexadecimal digits of a fingerprint by SHA-256; urllib3 takes MD5 and SHA-1, too."""


def check_session(session: requests.Session, url: str) -> None:
    """Check that a session verifies the server of *url*, as far as its settings tell.

    Raises:
        ConfigurationError: it does not.
    """
    # Plain http is for a loopback alone, and has no certificates.
    if not url.startswith("https:"):
        return
    if not _is_verifying(session.verify):
        raise session_error(
            "must verify the server: set session.verify to True, or to the path of a CA "
            "bundle"
        )
    try:
        adapter = session.get_adapter(url)
    except requests.exceptions.InvalidSchema:
        adapter = None
    if adapter is None:
        raise session_error("must have an adapter for https://")
    context = _find_context(adapter)
    flaw = find_flaw(context) if isinstance(context, ssl.SSLContext) else None
    if flaw is not None:
        raise session_error(f"must have an adapter whose ssl_context has {flaw}")


def _find_context(adapter: BaseAdapter) -> object:
    """Return the context that an adapter was made with, or ``None``."""
    manager = getattr(adapter, "poolmanager", None)
    settings = getattr(manager, "connection_pool_kw", None) or {}
    return settings.get("ssl_context")


def _is_verifying(verify: object) -> bool:
    """Return whether ``requests`` verifies with *verify*; anything empty turns it off."""
    if verify is True:
        return True
    if not isinstance(verify, (str, os.PathLike)):
        return False
    return bool(verify) and os.path.exists(verify)


def choose_bundle(
    session: requests.Session, adapter: BaseAdapter, bundle: str | None
) -> Any:
    """Return the *verify* for the session's adapter.

    Args:
        session: of the application, checked before.
        adapter: of the session.
        bundle: named by an environment that the client trusts; the session's own bundle, or
            its adapter's context, counts more.

    Raises:
        ConfigurationError: *bundle* does not exist.
    """
    verify: Any = session.verify
    if verify is True and bundle is not None and _find_context(adapter) is None:
        if not os.path.exists(bundle):
            raise bundle_error()
        return bundle
    # As text, by which urllib3 tells pools apart.  Plain http verifies nothing.
    return os.fspath(verify) if isinstance(verify, os.PathLike) else verify


def find_session_proxies(
    session: requests.Session, prepared: requests.PreparedRequest
) -> dict[str, str]:
    """Return the proxies of an application's session for one request.

    SOCKS is allowed here, as the session's own adapter speaks it.

    Raises:
        ConfigurationError: the session or the environment names something else.
    """
    url = str(prepared.url)
    found = SecretMapping(resolve_proxies(prepared, session.proxies, session.trust_env))
    proxy = select_proxy(url, found)
    if not proxy:
        return {}
    proxy = SecretStr(proxy) if isinstance(proxy, str) else proxy
    scheme = urlsplit(url).scheme
    source = (
        "session.proxies"
        if proxy in session.proxies.values()
        else name_variable(scheme)
    )
    if isinstance(proxy, str) and proxy.lower().startswith("socks"):
        if find_spec("socks") is None:
            raise ConfigurationError(
                f"{source} needs PySocks: pip install requests[socks]",
                parameter="proxy",
            )
    else:
        proxy = require_proxy(proxy, source)
    return {scheme: proxy}


def watch_connections(adapter: HTTPAdapter, url: str) -> None:
    """Have an adapter note when a request leaves, and only on a connection that is verified.

    Args:
        adapter: a copy of the session's adapter, made for one request.
        url: where the request goes.
    """
    parts = urlsplit(url)
    # Plain http is for a loopback alone, and has no certificates.
    host = parts.hostname if parts.scheme == "https" else None
    find_pool = adapter.get_connection_with_tls_context
    adapter.get_connection_with_tls_context = partial(  # type: ignore[method-assign]
        _find_watched_pool, find_pool, host
    )


def _find_watched_pool(
    find_pool: Any, host: str | None, *args: Any, **kwargs: Any
) -> Any:
    pool = find_pool(*args, **kwargs)
    if not isinstance(pool, HTTPConnectionPool):
        raise session_error("must have an adapter whose pools are urllib3's")
    kind: Any = type(pool)
    stand_in: Any = object.__new__(_make_stand_in(kind))
    vars(stand_in).update(vars(pool))
    stand_in._given, stand_in._host = pool, host
    current_call.is_watched = True
    return stand_in


class _WatchedPool(HTTPConnectionPool):
    """Stands in for a pool of the session, and lends verified connections alone."""

    # Kept alive, as urllib3 closes the connections of a pool that is freed.
    _given: Any
    # For which a connection must be verified, if at all.
    _host: str | None
    _made: Any = None

    @property
    def pool(self) -> Any:  # type: ignore[override]
        # Of the application's pool, so that it is gone once that is closed.
        return self._given.pool

    def _new_conn(self) -> Any:
        self._made = super()._new_conn()
        return self._made

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        if (
            self._host is not None
            and connection is not self._made
            and not self._accepts(connection)
        ):
            connection.close()
            connection = self._new_conn()
        # For this request alone: the connection is the application's.
        connection.response_class = make_noting(type(connection).response_class)
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            vars(conn).pop("response_class", None)
        super()._put_conn(conn)

    def _accepts(self, connection: Any) -> bool:
        """Return whether a connection was verified, and by the settings of the pool."""
        return (
            not connection.is_closed
            and _find_flaw(connection, self._host) is None
            and all(
                getattr(connection, name, None) == getattr(self, name, None)
                for name in _SETTINGS
            )
        )

    def _validate_conn(self, conn: Any) -> None:
        """Connect, and check the connection right before the request is written to it."""
        if conn.is_closed:
            conn.connect()
        flaw = None if self._host is None else _find_flaw(conn, self._host)
        if flaw is not None:
            conn.close()
            raise session_error(f"must verify the server: {flaw}")
        super()._validate_conn(conn)
        current_call.sent = True


@cache
def _make_stand_in(kind: Any) -> Any:
    """Return a class of pools that stands in for *kind*, with the changes of its own."""
    return type(f"Watched{kind.__name__}", (_WatchedPool, kind), {})


def _find_flaw(connection: Any, host: str | None) -> str | None:
    """Return the check that a connection's handshake lacked, or ``None``."""
    if not getattr(connection, "is_verified", False):
        return "its adapter made a connection without a verified certificate"
    fingerprint = getattr(connection, "assert_fingerprint", None)
    if fingerprint is not None:
        # The certificate itself is named, and urllib3 compares no host then.
        if len(fingerprint.replace(":", "")) != _SHA_256:
            return "its adapter pins a certificate, but not by SHA-256"
    else:
        names = (
            getattr(connection, "assert_hostname", None),
            getattr(connection, "server_hostname", None),
        )
        if any(name is not None and not _is_name(name, host) for name in names):
            return "its adapter compares no host name, or another one"
    sock = getattr(connection, "sock", None)
    if not hasattr(sock, "version"):
        # Responses that are played in tests come without a socket for TLS.
        return None
    flaw = find_handshake_flaw(sock)
    return None if flaw is None else f"its adapter {flaw}"


def _is_name(name: object, host: str | None) -> bool:
    return isinstance(name, str) and name.lower().rstrip(".") == host
