"""Which proxy a request goes through, and what the proxy is told: alike in both worlds."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ..secret import SecretStr


def environment_proxy(url: str) -> str | None:
    """Return the proxy that the environment names for *url*.

    It is read at each request, from ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, and only
    if the client or the application's session trusts the environment.
    """
    parts = urlsplit(url)
    if parts.hostname is None or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    # It may hold a password, which must not print.
    return SecretStr(proxy) if proxy else None


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
