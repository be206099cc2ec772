"""The way of a page to the login and back: ``next`` in the login URL's query.

Whoever makes a link to the login page chooses ``next``, so it is followed only to this site.
Otherwise the site's own login would send its users to an attacker's copy of it (RFC 6819
section 4.2.4, open redirectors).
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

from .error_answers import LOGIN_REQUIRED, ErrorAnswer, wants_page

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
    if isinstance(url, str) and is_local_url(url):
        # Plain text: a header of WSGI is a ``str`` itself (PEP 3333), and posted fields are wrapped.
        return str(url)
    return default


def choose_login_redirect(
    answer: ErrorAnswer,
    find_login_url: Callable[[], str | None],
    page: str,
    *,
    method: str,
    accept: str | None,
    fetch_mode: str | None,
) -> str | None:
    """Return where a request is redirected that lacks a login, or ``None`` to send *answer*.

    Args:
        answer: the answer to the request.
        find_login_url: returns the login page, or ``None`` if the application has none.
        page: path and query of the request.
        method: the request's method.
        accept: its ``Accept`` field, or ``None``.
        fetch_mode: its ``Sec-Fetch-Mode`` field, or ``None``.
    """
    if answer.error != LOGIN_REQUIRED or not wants_page(method, accept, fetch_mode):
        return None
    login_url = find_login_url()
    # A login page that itself needs a login would be redirected to itself for ever.
    if login_url is None or is_login_page(login_url, page):
        return None
    return build_login_redirect(login_url, page)


def is_login_page(login_url: str, page: str) -> bool:
    """Return whether *page* is the login page of the same site."""
    parts = urlsplit(login_url)
    return not parts.netloc and unquote(parts.path) == unquote(page.partition("?")[0])


def format_page(path: str, query: bytes) -> str:
    """Return the path and the query of a request, as a browser sends them.

    Args:
        path: the path, without percent-encoding.
        query: the query, as it came.
    """
    path = quote(path, safe="/:@!$&'()*+,;=~")
    return f"{path}?{query.decode('latin-1')}" if query else path


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
