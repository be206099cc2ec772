"""Trust: which servers a connection may be made with, and the contexts that say so.

A client secret and users' tokens go to whoever TLS lets in.  So one function,
``find_flaw``, says what is wrong with a context, and it is asked three times:

1. when the client is made, about ``verify=`` or the application's ``session=``;
2. before each request, because an application can change a context or a session later;
3. about each connection that a request is about to use, because only a connection shows
   what an adapter, a connector or another thread did in between.

This module has the rules, and the contexts that the client makes itself: one for the life
of a client, made only from the client's own settings.  ``requests_trust`` and
``aiohttp_trust`` ask about an application's session.

Loading a bundle of public CAs takes tens of milliseconds, so it is done once and not for
each connection.  ``requests`` alone would also obey ``REQUESTS_CA_BUNDLE``, ``aiohttp``
``SSL_CERT_FILE``, and both ``SSLKEYLOGFILE``: here the environment counts in both worlds, or
in neither.
"""

from __future__ import annotations

import os
import ssl
import sys
from functools import cache
from typing import Any

from ..core.configuration import Settings
from ..core.wire.domains import issuer_url
from ..errors import ConfigurationError
from .after_fork import leave_alone, register_renewable, renew_if_forked

_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")

_SAFE_VERSIONS = ("TLSv1.2", "TLSv1.3")
"""Versions that a connection may have negotiated (RFC 9325 section 3.1.1)."""


def find_flaw(context: ssl.SSLContext) -> str | None:
    """Return the setting that a context lacks to be trusted, or ``None``."""
    # Without both checks, anyone on the way could answer in the server's place.
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        return "verify_mode=CERT_REQUIRED and check_hostname"
    if not _refuses_old_versions(context):
        return "minimum_version=TLSVersion.TLSv1_2 or higher"
    return None


def find_handshake_flaw(tls: Any) -> str | None:
    """Return why a handshake proves or hides too little, or ``None``.

    Args:
        tls: an ``ssl.SSLSocket`` or ``ssl.SSLObject`` after its handshake, or what urllib3 has
            instead where a proxy is spoken to over TLS.
    """
    if tls.version() not in _SAFE_VERSIONS:
        return "negotiated a version below TLS 1.2"
    # OpenSSL requires a certificate only where the cipher has one: with anonymous ciphers, any
    # server passes the checks of a context.
    if not tls.getpeercert(binary_form=True):
        return "negotiated a cipher without a certificate"
    cipher = tls.cipher()
    if cipher is None or not cipher[2]:
        return "negotiated a cipher without encryption"
    return None


def check_connection(tls: Any, context: ssl.SSLContext) -> None:
    """Check a new connection that the client made, before anything is sent on it.

    Args:
        tls: as for :func:`find_handshake_flaw`.
        context: of the connection.

    Raises:
        ConfigurationError: the application's context does not verify any more, or allows too
            little.
    """
    flaw = find_flaw(context)
    if flaw is not None:
        raise _verify_error(f"must be a context with {flaw}")
    flaw = find_handshake_flaw(tls)
    if flaw is not None:
        raise _verify_error(
            f"must be a context with safe ciphers and versions: it {flaw}"
        )


def _refuses_old_versions(context: ssl.SSLContext) -> bool:
    """Return whether a context negotiates nothing below TLS 1.2 (RFC 9325 section 3.1.1)."""
    lowest = context.minimum_version
    if lowest >= ssl.TLSVersion.TLSv1_2:
        return True
    # What a connection negotiates is checked in any case.
    if lowest == _find_default_minimum():
        return True
    # As was usual before there was a minimum.
    without = ssl.OP_NO_SSLv3 | ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1
    return context.options & without == without


@cache
def _find_default_minimum() -> int:
    """Return the lowest version of a new context.

    Debian and others build Python so that OpenSSL's configuration decides.  Every context
    there says ``MINIMUM_SUPPORTED``, until the application sets something else.
    """
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).minimum_version


class Trust:
    """Which servers a client trusts, and the context that its connections share.

    A bundle is loaded at once.  A wrong path is then an error of the client's keywords, and
    not a failed handshake that looks like an untrusted server.

    Args:
        verify: ``True`` for the public CAs, the path of a bundle, or a context.
        trust_env: whether the environment may name a bundle that replaces certifi's, and a
            file for the keys of connections.

    Raises:
        ConfigurationError: *verify* turns verification off, or is not a bundle.
    """

    def __init__(self, verify: object, trust_env: bool) -> None:
        self._given: ssl.SSLContext | None = None
        self._bundle: str | None = None
        self._trust_env = trust_env
        self._made: ssl.SSLContext | None = None
        if isinstance(verify, ssl.SSLContext):
            self._given = verify
            self.check()
        # An empty path would mean OpenSSL's own CAs, or those of SSL_CERT_FILE.
        elif verify and isinstance(verify, (str, os.PathLike)):
            self._bundle = os.fspath(verify)
            self._made = _make_context(self._bundle, trust_env)
        elif verify is not True:
            raise _verify_error(
                "must be True, the path of a CA bundle, or an ssl.SSLContext"
            )
        register_renewable(self)

    def renew(self) -> None:
        """Have this process make a context of its own.

        A context holds locks of OpenSSL, and a thread of the parent may have held one of
        them during a handshake.  A context that the application gave is used as it is.
        """
        if self._made is not None:
            leave_alone(self._made)
            self._made = None

    def check(self) -> None:
        """Check that the application's context still verifies, if it gave one.

        Raises:
            ConfigurationError: it does not.
        """
        if self._given is not None:
            flaw = find_flaw(self._given)
            if flaw is not None:
                raise _verify_error(f"must be a context with {flaw}")

    def find_environment_bundle(self) -> str | None:
        """Return the bundle that the environment names, if it is trusted and names one."""
        return _read_bundle_variables() if self._trust_env else None

    def load_context(self) -> ssl.SSLContext:
        """Return the context, made at its first use in this process.

        Raises:
            ConfigurationError: the environment names a file that is not a bundle.
        """
        if self._given is not None:
            return self._given
        renew_if_forked()
        if self._made is None:
            bundle = self._bundle or _find_default_bundle(self._trust_env)
            self._made = _make_context(bundle, self._trust_env)
        return self._made


def require_default_trust(verify: object) -> None:
    """Refuse ``verify=`` beside ``session=``, as both would say whom to trust.

    Raises:
        ConfigurationError: *verify* is not ``True``, its default.
    """
    if verify is not True:
        raise _verify_error(
            "does not go with session=, which says itself whom to trust: set session.verify, "
            "or the ssl= of its connector"
        )


def find_url(settings: Settings) -> str:
    """Return the URL of the tenant; ``https://`` if a resolver is to name it."""
    return "https://" if settings.domain is None else issuer_url(settings.domain)


class _ClosingSocket(ssl.SSLSocket):
    """A TLS socket that is closed if its peer leaves before the handshake.

    ``wrap_socket`` asks for the peer's name first.  If there is no peer any more, Python
    before 3.13 raises and leaves the socket open.  The handshake fails as well, and closes it.
    """

    def getpeername(self) -> Any:
        try:
            return super().getpeername()
        except OSError:
            return None


def _make_context(path: str, trust_env: bool) -> ssl.SSLContext:
    # Not ssl.create_default_context, which opens the file that SSLKEYLOGFILE names.  This
    # protocol has both checks on.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    # RFC 9325 section 3.1.1: versions below 1.2 must not be negotiated.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _ClosingSocket
    try:
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
        is_bundle = True
    except (OSError, ValueError):
        # ssl.SSLError, for a file without a certificate, is an OSError too.  Ours is raised
        # outside the handler, so that it has no context, which would only repeat it.
        is_bundle = False
    if not is_bundle:
        raise bundle_error()
    if trust_env:
        _log_keys(context)
    return context


def _log_keys(context: ssl.SSLContext) -> None:
    """Have the keys of connections written where ``SSLKEYLOGFILE`` says, if it does."""
    path = os.environ.get("SSLKEYLOGFILE")
    if not path:
        return
    try:
        context.keylog_filename = path
        is_written = True
    except OSError:
        is_written = False
    if not is_written:
        raise ConfigurationError(
            "SSLKEYLOGFILE must name a file that can be written", parameter="trust_env"
        )


def bundle_error() -> ConfigurationError:
    """Return the error for a path that is not a bundle."""
    return _verify_error("must be the path of an existing CA bundle, in PEM")


def session_error(rule: str) -> ConfigurationError:
    """Return the error for an application's session that breaks *rule*, such as "must ..."."""
    return ConfigurationError(f"session {rule}", parameter="session")


def _verify_error(rule: str) -> ConfigurationError:
    return ConfigurationError(f"verify {rule}", parameter="verify")


def _read_bundle_variables() -> str | None:
    paths = map(os.environ.get, _BUNDLE_VARIABLES)
    return next((path for path in paths if path), None)


def _find_default_bundle(trust_env: bool) -> str:
    path = _read_bundle_variables() if trust_env else None
    if path is not None:
        return path
    # Not at the top: a client with a bundle or a context of its own does not need it.
    import certifi

    return certifi.where()
