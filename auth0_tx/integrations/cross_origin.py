"""Requests that a page of another site makes a browser send (CSRF).

A login by a posted token needs no cookie, so ``SameSite`` doesn't protect it: another site could
post its own user's token, and the visitor would go on as that user (RFC 6749 section 10.12).  A
browser says where a request comes from, in fields that no script can set: ``Sec-Fetch-Site``
(W3C Fetch Metadata) to https and localhost, ``Origin`` with each POST.  Only a browser can be
made to send another site's request, and all send one of the two, so a request without both is
a program's own.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from .error_answers import ErrorAnswer, log

CROSS_ORIGIN = ErrorAnswer(status=403, error="cross_origin_request")
"""The answer to a request that a page of another origin made a browser send."""


def refuse_other_origin(
    *,
    host: str | None,
    origin: str | None,
    fetch_site: str | None,
    trusted_origins: Collection[str] = (),
) -> ErrorAnswer | None:
    """Return the answer to a request that a page of another origin made, and log it.

    Args:
        host: as for :func:`is_cross_origin`, and so are the others.
        origin: the request's ``Origin`` field, or ``None``.
        fetch_site: its ``Sec-Fetch-Site`` field, or ``None``.
        trusted_origins: other origins whose pages may send it.

    Returns:
        The answer, or ``None`` for a request that may go on.
    """
    if not is_cross_origin(
        host=host,
        origin=origin,
        fetch_site=fetch_site,
        trusted_origins=trusted_origins,
    ):
        return None
    log.warning("refused a request that a page of another origin made")
    return CROSS_ORIGIN


def is_cross_origin(
    *,
    host: str | None,
    origin: str | None,
    fetch_site: str | None,
    trusted_origins: Collection[str] = (),
) -> bool:
    """Return whether a browser sent a request for a page of another origin.

    Ask for requests that change something, such as a POST; links to pages come from anywhere.

    Args:
        host: the request's ``Host`` field, or ``None``.
        origin: its ``Origin`` field, or ``None``.
        fetch_site: its ``Sec-Fetch-Site`` field, or ``None``.
        trusted_origins: other origins whose pages may send it, such as
            ``https://login.example.com``.
    """
    if origin is not None and origin in trusted_origins:
        return False
    if fetch_site is not None:
        # "none" is the user's own doing.  "same-site" is not enough: another host of the
        # domain, such as one that shows what users upload, must not log anybody in.
        return fetch_site not in ("same-origin", "none")
    if origin is None:
        return False
    # The schemes are not compared: behind a proxy that ends TLS, the application doesn't know
    # its own.  "null", the origin of a sandboxed page, has no host.
    try:
        return host is None or urlsplit(origin).netloc.lower() != host.lower()
    except ValueError:
        return True
