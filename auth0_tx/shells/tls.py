"""TLS contexts: one for the life of a client, made from nothing but what it was told.

Reading a bundle of public CAs takes tens of milliseconds, so it is done once, not for each
connection.
"""

from __future__ import annotations

import os
import ssl

from ..core.configuration import Verify
from ..errors import ConfigurationError

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def check_verify(verify: object) -> None:
    """Refuse what could not verify a server.

    Raises:
        ConfigurationError: *verify* turns verification off, or is no bundle.
    """
    rule = None
    if isinstance(verify, ssl.SSLContext):
        if verify.verify_mode is not ssl.CERT_REQUIRED or not verify.check_hostname:
            rule = "must be a context that verifies the server and its name"
    elif isinstance(verify, (str, os.PathLike)):
        if not os.path.exists(verify):
            rule = "must be the path of an existing CA bundle"
    elif verify is not True:
        rule = "must be True, the path of a CA bundle, or an ssl.SSLContext"
    if rule is not None:
        raise ConfigurationError(f"verify {rule}", parameter="verify")


def tls_context(verify: Verify, trust_env: bool) -> ssl.SSLContext:
    """Make the context that a client's connections share.

    Args:
        verify: whom to trust; an explicit bundle or context beats the environment.
        trust_env: whether a bundle named in the environment is used in place of certifi's.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    if verify is True:
        verify = _default_bundle(trust_env)
    path = os.fspath(verify)  # type: ignore[arg-type]
    if os.path.isdir(path):
        context = ssl.create_default_context(capath=path)
    else:
        context = ssl.create_default_context(cafile=path)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _default_bundle(trust_env: bool) -> str:
    if trust_env:
        for name in _BUNDLES:
            path = os.environ.get(name)
            if path:
                return path
    import certifi

    return certifi.where()


def is_permanent(error: BaseException | None) -> bool:
    """Tell whether a failure is TLS saying no, rather than a connection that broke."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, ssl.SSLError):
            return not isinstance(
                error,
                (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError),
            ) and not isinstance(error, TimeoutError) and "timed out" not in str(error)
        error = _inner(error)
    return False


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
