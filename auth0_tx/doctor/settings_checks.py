"""The checks that send nothing: what is installed, configured, and set in the environment.

All of them look at values that they are given, but for the versions of installed packages
and one file, ``~/.netrc``.
"""

from __future__ import annotations

import platform
import ssl
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..core.configuration import SHORTEST_SECRET, Settings
from ..core.session.cookies import CookieStore
from ..shells.proxies import find_proxy_rule
from ..version import __version__
from .verdict import Verdict

EXTRAS = {
    "celery": "celery",
    "cli": "rich",
    "django": "django",
    "drf": "djangorestframework",
    "fastapi": "fastapi",
    "flask": "flask",
    "otel": "opentelemetry-api",
    "redis": "redis",
    "starlette": "starlette",
}
"""The package that each extra installs."""

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")

# What requests, curl or OpenSSL would use. With trust_env the client reads the first three.
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_BUNDLES_OF_CLIENT = _BUNDLES[:3]


def check_installation() -> Iterator[Verdict]:
    """Report which versions run, and which extras are installed."""
    yield Verdict(
        "installation",
        "ok",
        f"auth0-tx {__version__}, Python {platform.python_version()}, "
        f"{ssl.OPENSSL_VERSION}",
    )
    installed = []
    for extra, package in EXTRAS.items():
        try:
            installed.append(f"{extra} ({package} {version(package)})")
        except PackageNotFoundError:
            continue
    yield Verdict("extras", "ok", ", ".join(installed) or "none")


def check_configuration(settings: Settings) -> Verdict:
    """Check how the client authenticates, and to which tenant."""
    tenant = settings.domain or "the domain that a resolver returns"
    found = f"{settings.client_auth} at {tenant}"
    if settings.client_auth == "none":
        return Verdict(
            "configuration",
            "warning",
            found,
            "a public application does not authenticate: on a server, use a client "
            "secret or a private key",
        )
    if (settings.domain or "").startswith("http://"):
        advice = "use plain http only for a tenant on this machine"
        return Verdict("configuration", "warning", found, advice)
    return Verdict("configuration", "ok", found)


def check_sessions(settings: Settings) -> Verdict:
    """Check what login sessions are encrypted with, if there are any."""
    store = settings.state_store
    if store is None:
        found = "login sessions are off: neither secret nor state_store is set"
        return Verdict("sessions", "skipped", found)
    shortest = min(map(len, settings.secrets), default=None)
    # The client refuses a newest secret this short, and still reads with older ones.
    if shortest is not None and shortest < SHORTEST_SECRET:
        return Verdict(
            "sessions",
            "warning",
            f"an older secret has {shortest} characters",
            "remove it as soon as you can: who guesses it can make sessions with it",
        )
    if isinstance(store, CookieStore) and not settings.session_policy.cookie_secure:
        return Verdict(
            "sessions",
            "warning",
            "the session cookie is also sent over plain http",
            "set cookie_secure in production",
        )
    return Verdict("sessions", "ok", f"encrypted, in {type(store).__name__}")


def check_environment(
    settings: Settings, environ: Mapping[str, str]
) -> Iterator[Verdict]:
    """Check what proxies, CA bundles and ``~/.netrc`` mean for the client.

    The client ignores all of them unless ``trust_env`` is set, while other programs on the
    machine use them. That difference explains most of "it works with curl".
    """
    yield _check_proxy(settings, environ)
    yield _check_bundle(settings, environ)
    yield _check_netrc(settings, environ)


def is_proxied(settings: Settings, environ: Mapping[str, str]) -> bool:
    """Return whether the client's requests go through a proxy."""
    if settings.proxy is not None:
        return True
    return settings.trust_env and _find(_PROXIES, environ) is not None


def _check_proxy(settings: Settings, environ: Mapping[str, str]) -> Verdict:
    variable = _find(_PROXIES, environ)
    if settings.proxy is not None:
        return Verdict("proxy", "ok", "the client's proxy= is used")
    if variable is None:
        return Verdict("proxy", "ok", "none is configured")
    if settings.trust_env:
        rule = find_proxy_rule(environ[variable])
        if rule is not None:
            return Verdict(
                "proxy",
                "failed",
                f"{variable} {rule}",
                f"correct {variable}, or leave out trust_env and pass proxy=",
            )
        found = f"that of {variable} is used, as trust_env is set"
        return Verdict("proxy", "ok", found)
    return Verdict(
        "proxy",
        "warning",
        f"{variable} is set, but the client ignores it",
        "if the network needs the proxy, pass proxy= or trust_env=True",
    )


def _check_bundle(settings: Settings, environ: Mapping[str, str]) -> Verdict:
    if settings.verify is not True:
        return Verdict("CA certificates", "ok", "those that verify= names are trusted")
    if settings.trust_env:
        trusted = _find(_BUNDLES_OF_CLIENT, environ)
        if trusted is not None:
            found = f"those of {trusted} are trusted, as trust_env is set"
            return Verdict("CA certificates", "ok", found)
    variable = _find(_BUNDLES, environ)
    if variable is None:
        return Verdict("CA certificates", "ok", "the public CAs of certifi are trusted")
    return Verdict(
        "CA certificates",
        "warning",
        f"{variable} is set, but the client ignores it",
        "if your own CA signed the tenant's certificate, pass its bundle as verify=",
    )


def _check_netrc(settings: Settings, environ: Mapping[str, str]) -> Verdict:
    home = environ.get("HOME", "")
    path = Path(environ.get("NETRC") or Path(home) / ".netrc")
    host = (settings.domain or "").removeprefix("http://").rpartition(":")[0]
    host = host or settings.domain or ""
    try:
        text = path.read_text(errors="replace") if home or environ.get("NETRC") else ""
    except OSError:
        text = ""
    # Not the netrc module, which refuses a whole file for one unusual line.
    words = text.split()
    if host and any(
        word == "machine" and words[position + 1 : position + 2] == [host]
        for position, word in enumerate(words)
    ):
        return Verdict(
            "netrc",
            "warning",
            "~/.netrc has an entry for the tenant; the client never uses it",
            "other programs, such as requests, may send that entry instead of the client's "
            "credentials",
        )
    return Verdict("netrc", "ok", "no entry for the tenant")


def _find(names: tuple[str, ...], environ: Mapping[str, str]) -> str | None:
    # As everywhere, a variable that is set to nothing counts as not set.
    return next((name for name in names if environ.get(name)), None)
