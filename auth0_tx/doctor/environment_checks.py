"""What the environment would say to an HTTP library, and whether it is listened to. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..core.configuration import Settings
from .verdict import Verdict

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def checked_environment(
    settings: Settings, environ: Mapping[str, str]
) -> Iterator[Verdict]:
    """Check what proxies, CA bundles and ``~/.netrc`` mean for the client."""
    yield _proxy(settings, environ)
    yield _bundle(settings, environ)
    yield _netrc(settings, environ)


def proxy_of(settings: Settings, environ: Mapping[str, str]) -> bool:
    """Tell whether requests go by way of a proxy."""
    if settings.proxy is not None:
        return True
    return settings.trust_env and any(environ.get(name) for name in _PROXIES)


def _proxy(settings: Settings, environ: Mapping[str, str]) -> Verdict:
    named = next((name for name in _PROXIES if environ.get(name)), None)
    if settings.proxy is not None:
        return Verdict("proxy", "ok", "the client's own proxy is used")
    if named is None:
        return Verdict("proxy", "ok", "none is named, and none is used")
    if settings.trust_env:
        return Verdict("proxy", "ok", f"that of {named} is used, as trust_env says")
    return Verdict(
        "proxy",
        "warning",
        f"{named} is set, and not listened to",
        "where the network needs the proxy, give proxy= or trust_env=True",
    )


def _bundle(settings: Settings, environ: Mapping[str, str]) -> Verdict:
    named = next((name for name in _BUNDLES if environ.get(name)), None)
    if settings.verify is not True:
        return Verdict("CA certificates", "ok", "those that verify= gives")
    if named is None:
        return Verdict("CA certificates", "ok", "the public ones, of certifi")
    if settings.trust_env:
        return Verdict("CA certificates", "ok", f"those of {named}, as trust_env says")
    return Verdict(
        "CA certificates",
        "warning",
        f"{named} is set, and not listened to",
        "where a CA of your own signs, give verify= its bundle",
    )


def _netrc(settings: Settings, environ: Mapping[str, str]) -> Verdict:
    home = environ.get("HOME", "")
    path = Path(environ.get("NETRC") or Path(home) / ".netrc")
    host = (settings.domain or "").removeprefix("http://").rpartition(":")[0]
    host = host or settings.domain or ""
    try:
        text = path.read_text(errors="replace") if home or environ.get("NETRC") else ""
    except OSError:
        text = ""
    words = text.split()
    if host and any(
        word == "machine" and words[at + 1 : at + 2] == [host]
        for at, word in enumerate(words)
    ):
        return Verdict(
            "netrc",
            "warning",
            "~/.netrc has an entry for the tenant: it is never used here",
            "other programs would send it in place of the client's credentials",
        )
    return Verdict("netrc", "ok", "nothing there is for the tenant")
