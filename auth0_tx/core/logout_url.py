"""The URL that ends a browser's session at Auth0 (its ``/v2/logout`` endpoint)."""

from __future__ import annotations

import re
from urllib.parse import urlencode, urlsplit

from .domains import issuer_url
from .problems import Problem, text_rule


def logout_url(domain: str, client_id: str, return_to: str | None) -> str:
    """Give the URL to send the browser to.

    Args:
        domain: the tenant's, as normalised.
        client_id: the application's id, whose Allowed Logout URLs count.
        return_to: where Auth0 sends the browser afterwards.

    Raises:
        InvalidInputError: *return_to* is no http or https URL.
    """
    parameters = {"client_id": client_id}
    if return_to is not None:
        rule = text_rule(return_to) or web_url_rule(return_to)
        if rule is not None:
            raise Problem("return_to", rule).error()
        parameters["returnTo"] = return_to
    return f"{issuer_url(domain)}v2/logout?{urlencode(parameters)}"


def web_url_rule(url: str) -> str | None:
    """Give the rule that *url* breaks as an absolute URL of the web, or ``None``."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "must be an absolute URL"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return "must be an absolute URL that starts with https:// or http://"
    # RFC 3986 section 3.2.2 lets a name have "&" and its like; no host on the web does.
    if not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", parts.hostname):
        return "must be an absolute URL with the name or address of a host"
    # RFC 3986 section 3.2.2: behind an address in brackets there is a port, or nothing.
    if parts.netloc.rpartition("]")[2][:1] not in ("", ":") and "]" in parts.netloc:
        return "must be an absolute URL"
    # RFC 3986 section 3.2.1 lets a user stand before the host; here it only deceives.
    if "@" in parts.netloc or "\\" in url or " " in url:
        return "must be an absolute URL without a user, a backslash or a space"
    return None
