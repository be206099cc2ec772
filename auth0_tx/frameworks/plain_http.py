"""The warning about ``Secure`` cookies on a response that goes over plain http.

A browser drops such a cookie without a word, except on its own machine, and the user who has
just logged in is a stranger again: a login loop whose cause no log shows (RFC 6265bis section
5.7, step 9).  So the first such cookie of a process is logged.

A proxy that ends TLS passes the request on over plain http, and the browser keeps the cookie.
Frameworks learn of it by a setting of theirs.  Where that is missing, the proxy's own header
fields tell; they may be forged, but nothing is at stake here except a line of the log.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

log: logging.Logger = logging.getLogger("auth0_tx.session")

# How each framework learns that a proxy ends TLS, by the package that its requests are of.
_PROXY_SETTINGS = {
    "aiohttp": "add the middleware XForwardedRelaxed of aiohttp-remotes",
    "django": "set SECURE_PROXY_SSL_HEADER",
    "rest_framework": "set SECURE_PROXY_SSL_HEADER",
    "starlette": "run uvicorn with --proxy-headers and --forwarded-allow-ips",
    "werkzeug": "wrap app.wsgi_app in werkzeug.middleware.proxy_fix.ProxyFix",
}

_WARNING = (
    "a session cookie is Secure, and the request came over plain http: browsers drop the "
    "cookie, and the user stays logged out. Serve the application over https. If a proxy does, "
    "have it send X-Forwarded-Proto, and %s. In development, open the application at "
    "localhost, or set SessionPolicy(cookie_secure=False)"
)

# Counts the occasions: the step is atomic, so that of several threads one logs.
_occasions = itertools.count()


def warn_of_plain_http(request: Any) -> None:
    """Log a warning, once in a process, if a browser drops the ``Secure`` cookies of a response.

    Args:
        request: the request to which the cookies are set, of any framework.
    """
    if _is_plain_http(request) and next(_occasions) == 0:
        packages = (kind.__module__.partition(".")[0] for kind in type(request).__mro__)
        settings = (_PROXY_SETTINGS.get(package) for package in packages)
        setting = next(filter(None, settings), "tell the framework of it")
        log.warning(_WARNING, setting)


def _is_plain_http(request: Any) -> bool:
    headers: Any = getattr(request, "headers", None)
    # A test's own request has no host, perhaps, and no browser behind it.
    host = headers.get("Host") if hasattr(headers, "get") else None
    if not host or _read_scheme(request) not in ("http", "ws"):
        return False
    forwarded = str(headers.get("Forwarded", "")).lower().replace('"', "")
    protocol = str(headers.get("X-Forwarded-Proto", "")).partition(",")[0].strip()
    is_forwarded_https = (
        protocol.lower() in ("https", "wss") or "proto=https" in forwarded
    )
    return not (is_forwarded_https or _is_this_machine(host))


def _read_scheme(request: Any) -> object:
    # Starlette's requests have it in the scope alone; Django's under ASGI have both, and the
    # attribute is the one that knows of proxies.
    scheme = getattr(request, "scheme", None)
    if scheme is None:
        scope = getattr(request, "scope", None)
        scheme = scope.get("scheme") if isinstance(scope, Mapping) else None
    return scheme


def _is_this_machine(host: str) -> bool:
    """Return whether *host* is one whose http browsers trust (W3C Secure Contexts 3.1)."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        if name == "localhost" or name.endswith(".localhost"):
            return True
        return ip_address(name).is_loopback
    except ValueError:
        # A name, or nothing that a browser sends.
        return False
