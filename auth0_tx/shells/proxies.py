"""Which proxy a request goes through, and what the proxy is told: alike in both worlds.

A proxy comes from ``proxy=``, the environment or the application's session, and all three
are held to one rule (``core.wire.proxies``).  Only ``proxy=`` is known when the client is
made.  The environment and a session can change, so they are read at each request.
"""

from __future__ import annotations

import os
from base64 import b64encode
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ..core.wire.proxies import check_proxy
from ..errors import ConfigurationError
from ..secret import SecretMapping, SecretStr


def environment_proxy(url: str) -> str | None:
    """Return the proxy that the environment names for *url*.

    It is read at each request, from ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, and only
    if the client or the application's session trusts the environment.

    Raises:
        ConfigurationError: it is not the URL of an HTTP proxy.
    """
    source, proxy = _read_environment(url)
    return None if proxy is None else require_proxy(proxy, source)


def _read_environment(url: str) -> tuple[str, SecretStr | None]:
    """Return the name of the variable that has the proxy for *url*, and its value."""
    parts = urlsplit(url)
    if parts.hostname is None or proxy_bypass(parts.netloc):
        return "", None
    # They may hold passwords, which must not print.
    proxies = SecretMapping(getproxies())
    proxy = SecretStr(proxies.get(parts.scheme) or proxies.get("all") or "")
    return name_variable(parts.scheme), proxy or None


def name_variable(scheme: str) -> str:
    """Return the name of the variable that has the proxy for a scheme, or for all."""
    lower = f"{scheme if getproxies().get(scheme) else 'all'}_proxy"
    # Python prefers the name in lower case.  Windows and macOS have proxies elsewhere, too.
    return lower if os.environ.get(lower) else lower.upper()


def require_proxy(proxy: str, source: str) -> SecretStr:
    """Return *proxy* as ``proxy=`` takes it.

    Variables often leave the scheme out, and every program then assumes ``http://``.

    Args:
        proxy: the value, which may hold a password.
        source: where it is from, for the message.

    Raises:
        ConfigurationError: it is not the URL of an HTTP proxy.
    """
    full = _complete(proxy)
    rule = check_proxy(full)
    if rule is not None:
        raise ConfigurationError(f"{source} {rule}", parameter="proxy")
    return full


def find_proxy_rule(proxy: str) -> str | None:
    """Return the rule that a variable's value breaks as a proxy, or ``None``."""
    return check_proxy(_complete(proxy))


def _complete(proxy: str) -> SecretStr:
    scheme, separator, rest = str(proxy).rpartition("://")
    return SecretStr(f"{scheme.lower() if separator else 'http'}://{rest}")


def split_credentials(proxy: str) -> tuple[str, dict[str, SecretStr]]:
    """Split a proxy's URL into the URL without credentials, and the headers that have them.

    The HTTP libraries take credentials in the URL, and keep them in locals that print.
    """
    parts = urlsplit(proxy)
    if not parts.username:
        return proxy, {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    # Latin-1, as requests and aiohttp encode it: RFC 7617 section 2 leaves it open.
    header = SecretStr("Basic " + b64encode(pair.encode("latin-1")).decode())
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host).geturl(), {"Proxy-Authorization": header}
