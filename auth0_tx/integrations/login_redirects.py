"""The way of a page to the login and back: ``next`` in the login URL's query.

Whoever makes a link to the login page chooses ``next``, so it is followed only to this site.
Otherwise the site's own login would send its users to an attacker's copy of it (RFC 6819
section 4.2.4, open redirectors).
"""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit

NEXT = "next"
"""The parameter of the login URL that has the page to return to."""

_LONGEST = 2_000


def is_local_url(url: str) -> bool:
    r"""Return whether *url* is a path of this site, with or without a query.

    Browsers read a backslash as a slash, and leave tabs and line ends out (WHATWG URL 4.4), so
    ``/\evil.example`` and ``/<tab>/evil.example`` name another host.
    """
    return (
        url.startswith("/")
        and not url.startswith("//")
        and "\\" not in url
        and " " not in url
        and url.isprintable()
        and len(url) <= _LONGEST
    )


def read_next(url: object, default: str = "/") -> str:
    """Return the page to return to after a login.

    Args:
        url: ``next``, as the request has it.
        default: the page if there is none, or it is not of this site.
    """
    return url if isinstance(url, str) and is_local_url(url) else default


def build_login_redirect(login_url: str, page: str) -> str:
    """Return the URL of the login page that leads back to *page*.

    Args:
        login_url: the login page; its own query stays.
        page: path and query of the page that needs a login.
    """
    if not is_local_url(page):
        return login_url
    parts = urlsplit(login_url)
    # Slashes may stay: RFC 3986 section 3.4 allows them in a query, and people read it.
    query = urlencode({NEXT: page}, safe="/")
    query = f"{parts.query}&{query}" if parts.query else query
    return urlunsplit(parts._replace(query=query))
