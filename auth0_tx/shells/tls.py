"""TLS contexts: one for the life of a client, made only from the client's own settings.

Loading a bundle of public CAs takes tens of milliseconds, so it is done once and not for
each connection.  ``requests`` alone would also obey ``REQUESTS_CA_BUNDLE``, and ``aiohttp``
``SSL_CERT_FILE``: here the environment counts in both worlds, or in neither.
"""

from __future__ import annotations

import os
import ssl
from typing import Any

from ..errors import ConfigurationError
from .after_fork import leave_alone, register_renewable, renew_if_forked

_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class Trust:
    """Which servers a client trusts, and the context that its connections share.

    A bundle is loaded at once.  A wrong path is then an error of the client's keywords, and
    not a failed handshake that looks like an untrusted server.

    Args:
        verify: ``True`` for the public CAs, the path of a bundle, or a context.
        trust_env: whether a bundle named in the environment replaces certifi's.

    Raises:
        ConfigurationError: *verify* turns verification off, or is not a bundle.
    """

    def __init__(self, verify: object, trust_env: bool) -> None:
        self._given: ssl.SSLContext | None = None
        self._bundle: str | None = None
        self._trust_env = trust_env
        self._made: ssl.SSLContext | None = None
        if isinstance(verify, ssl.SSLContext):
            # Without both checks, anyone on the way could answer in the server's place.
            if verify.verify_mode is not ssl.CERT_REQUIRED or not verify.check_hostname:
                raise _verify_error(
                    "must be a context with verify_mode=CERT_REQUIRED and check_hostname"
                )
            self._given = verify
        elif isinstance(verify, (str, os.PathLike)):
            self._bundle = os.fspath(verify)
            self._made = _make_context(self._bundle)
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
            self._made = _make_context(bundle)
        return self._made


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


def _make_context(path: str) -> ssl.SSLContext:
    try:
        if os.path.isdir(path):
            context = ssl.create_default_context(capath=path)
        else:
            context = ssl.create_default_context(cafile=path)
    except (OSError, ValueError):
        # ssl.SSLError, for a file without a certificate, is an OSError too.  Ours is raised
        # outside the handler, so that it has no context, which would only repeat it.
        context = None
    if context is None:
        raise _verify_error("must be the path of an existing CA bundle, in PEM")
    # RFC 9325 section 3.1.1: versions below 1.2 must not be negotiated.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _ClosingSocket
    return context


def _verify_error(rule: str) -> ConfigurationError:
    return ConfigurationError(f"verify {rule}", parameter="verify")


def _find_default_bundle(trust_env: bool) -> str:
    if trust_env:
        for name in _BUNDLE_VARIABLES:
            path = os.environ.get(name)
            if path:
                return path
    # Not at the top: a client with a bundle or a context of its own does not need it.
    import certifi

    return certifi.where()
