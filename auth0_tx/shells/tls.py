"""TLS contexts: one for the life of a client, made from nothing but what it was told.

Reading a bundle of public CAs takes tens of milliseconds, so it is done once, not for each
connection.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from typing import Any

from ..errors import ConfigurationError
from .after_fork import leave_alone, register_renewable, renew_if_forked

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class Trust:
    """Whom a client trusts, and the context that its connections share.

    A bundle is read at once, so that a file which is none is refused with the client's
    other keywords, and not taken for a server that cannot be trusted.

    Args:
        verify: ``True`` for the public CAs, the path of a bundle, or a context.
        trust_env: whether a bundle named in the environment is used in place of certifi's.

    Raises:
        ConfigurationError: *verify* turns verification off, or is no bundle.
    """

    def __init__(self, verify: object, trust_env: bool) -> None:
        self._given: ssl.SSLContext | None = None
        self._bundle: str | None = None
        self._trust_env = trust_env
        self._made: ssl.SSLContext | None = None
        if isinstance(verify, ssl.SSLContext):
            if verify.verify_mode is not ssl.CERT_REQUIRED or not verify.check_hostname:
                raise _refused(
                    "must be a context that verifies the server and its name"
                )
            self._given = verify
        elif isinstance(verify, (str, os.PathLike)):
            self._bundle = os.fspath(verify)
            self._made = _context(self._bundle)
        elif verify is not True:
            raise _refused(
                "must be True, the path of a CA bundle, or an ssl.SSLContext"
            )
        register_renewable(self)

    def renew(self) -> None:
        """Have this process make a context of its own.

        One holds locks of OpenSSL's, and a thread of the parent may have held one of them
        in a handshake.  A context that the application gave is used as it is.
        """
        if self._made is not None:
            leave_alone(self._made)
            self._made = None

    def context(self) -> ssl.SSLContext:
        """Give the context, made at its first use in this process.

        Raises:
            ConfigurationError: the environment names what is no bundle.
        """
        if self._given is not None:
            return self._given
        renew_if_forked()
        if self._made is None:
            self._made = _context(self._bundle or _default_bundle(self._trust_env))
        return self._made


class _ClosedWithItsPeer(ssl.SSLSocket):
    """A socket whose handshake, and nothing before it, finds out that the peer is gone.

    ``wrap_socket`` looks for the peer first, and before Python 3.13 leaves the socket open
    when there is none; a handshake that fails closes it.
    """

    def getpeername(self) -> Any:
        try:
            return super().getpeername()
        except OSError:
            return None


def _context(path: str) -> ssl.SSLContext:
    try:
        if os.path.isdir(path):
            context = ssl.create_default_context(capath=path)
        else:
            context = ssl.create_default_context(cafile=path)
    except (OSError, ValueError):
        # ssl.SSLError, for a file without a certificate, is an OSError too.
        context = None
    if context is None:
        raise _refused("must be the path of an existing CA bundle, in PEM")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _ClosedWithItsPeer
    return context


def _refused(rule: str) -> ConfigurationError:
    return ConfigurationError(f"verify {rule}", parameter="verify")


def _default_bundle(trust_env: bool) -> str:
    if trust_env:
        for name in _BUNDLES:
            path = os.environ.get(name)
            if path:
                return path
    import certifi

    return certifi.where()


def is_permanent(error: BaseException) -> bool:
    """Tell whether a failure is TLS saying no, rather than a connection that broke."""
    for each in causes(error):
        if isinstance(each, ssl.SSLError):
            return (
                not isinstance(
                    each,
                    (
                        ssl.SSLEOFError,
                        ssl.SSLZeroReturnError,
                        ssl.SSLSyscallError,
                        # asyncio's "not yet", in whose handler a reset was raised.
                        ssl.SSLWantReadError,
                        ssl.SSLWantWriteError,
                    ),
                )
                and not isinstance(each, TimeoutError)
                and "timed out" not in str(each)
            )
    return False


def causes(error: BaseException) -> Iterator[BaseException]:
    """Give a failure, and what the HTTP libraries wrapped in it, from the outside in."""
    seen: set[int] = set()
    inner: BaseException | None = error
    while inner is not None and id(inner) not in seen:
        yield inner
        seen.add(id(inner))
        inner = _inner(inner)


def _inner(error: BaseException) -> BaseException | None:
    """Give what an HTTP library wrapped: as its cause, its reason or its argument."""
    for inner in (
        getattr(error, "reason", None),
        *error.args[:1],
        getattr(error, "certificate_error", None),
        error.__cause__,
        error.__context__,
    ):
        if isinstance(inner, BaseException):
            return inner
    return None
