"""What the environment says of proxies, read alike in both worlds, and only when asked."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def environment_proxy(url: str) -> str | None:
    """Give the proxy that the environment names for *url* (``HTTPS_PROXY``, ``NO_PROXY``)."""
    parts = urlsplit(url)
    if parts.hostname is None or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
