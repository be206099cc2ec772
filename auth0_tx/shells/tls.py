"""TLS contexts: one for the life of a client, made from nothing but what it was told.

Reading a bundle of public CAs takes tens of milliseconds, so it is done once, not for each
connection.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from typing import Literal, TypeAlias

from ..errors import ConfigurationError

Trust: TypeAlias = "Literal[True] | ssl.SSLContext"
"""Whom a client trusts: the public CAs, or whoever the context says."""

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def trusted(verify: object) -> Trust:
    """Read what a client was told to trust, and refuse what could not verify a server.

    A bundle is read here, so that a file which is none is refused with the client's other
    keywords, and not taken for a server that cannot be trusted.

    Raises:
        ConfigurationError: *verify* turns verification off, or is no bundle.
    """
    if verify is True:
        return True
    if isinstance(verify, ssl.SSLContext):
        if verify.verify_mode is ssl.CERT_REQUIRED and verify.check_hostname:
            return verify
        raise _refused("must be a context that verifies the server and its name")
    if isinstance(verify, (str, os.PathLike)):
        return _context(verify)
    raise _refused("must be True, the path of a CA bundle, or an ssl.SSLContext")


def tls_context(trust: Trust, trust_env: bool) -> ssl.SSLContext:
    """Make the context that a client's connections share.

    Args:
        trust: whom to trust; an explicit context beats the environment.
        trust_env: whether a bundle named in the environment is used in place of certifi's.

    Raises:
        ConfigurationError: the environment names what is no bundle.
    """
    return _context(_default_bundle(trust_env)) if trust is True else trust


def _context(bundle: str | os.PathLike[str]) -> ssl.SSLContext:
    path = os.fspath(bundle)
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
