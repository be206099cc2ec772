"""Logins and logouts that are posted, by the form of a page or by a script.

A login posts ``subject_token``, and ``next`` if its user goes on to a certain page.  A form is
answered with a redirect.  A script would follow that and show nobody the page, so it gets 204
after a login, and after a logout the URL to which it has to send the browser.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ..secret import SecretMapping, secret
from ..session_values import LoginWithCustomTokenExchangeOptions
from .error_answers import ErrorAnswer
from .login_redirects import NEXT, read_next

OptionsMaker: TypeAlias = Callable[[str], LoginWithCustomTokenExchangeOptions]
"""A function that makes the options of a login from the token that was posted."""

SUBJECT_TOKEN = "subject_token"
"""The field of the token that is exchanged."""

INVALID_LOGIN = ErrorAnswer(status=400, error="invalid_request")
"""The answer to a login that posts no token."""


def is_json(content_type: str | None) -> bool:
    """Return whether a request's ``Content-Type`` field says that its body is JSON."""
    media_type = (content_type or "").partition(";")[0]
    return media_type.strip().lower() == "application/json"


def is_script(
    *, content_type: str | None, accept: str | None, fetch_mode: str | None
) -> bool:
    """Return whether a script or another program posts, and not the form of a page.

    Args:
        content_type: the request's ``Content-Type`` field, or ``None``.
        accept: its ``Accept`` field, or ``None``.
        fetch_mode: its ``Sec-Fetch-Mode`` field, or ``None``; browsers say with it who asks.
    """
    accept = (accept or "").lower()
    return (
        is_json(content_type)
        or fetch_mode not in (None, "navigate")
        or ("json" in accept and "text/html" not in accept)
    )


def read_fields(posted: object) -> Mapping[str, str]:
    """Return the texts among the fields of a form or a JSON object; nothing of anything else.

    They are wrapped, as a traceback of the login with locals would show the token.
    """
    fields = posted if isinstance(posted, Mapping) else {}
    return SecretMapping(
        {name: secret(text) for name, text in fields.items() if isinstance(text, str)}
    )


def parse_fields(body: bytes) -> Mapping[str, str]:
    """Return the texts among the members of a JSON object; nothing of anything else."""
    posted: Any
    try:
        posted = json.loads(body)
    except (ValueError, RecursionError):
        posted = None
    return read_fields(posted)


def choose_next(posted: Mapping[str, str], query: object, default: str) -> str:
    """Return the page after a login.

    Args:
        posted: the fields that were posted.
        query: ``next`` in the query of the URL, which counts if none was posted.
        default: the page if neither is a page of this site.
    """
    return read_next(posted.get(NEXT) or query, default)


def get_route_name(route: str, client: str | None) -> str:
    """Return the name of an included route, such as ``auth0_login`` or ``auth0_orders_login``.

    Args:
        route: the route: ``login``, ``logout`` or ``backchannel_logout``.
        client: the name of its client; ``None`` for the default client.
    """
    return "_".join(filter(None, ("auth0", client, route)))


def describe_logout(url: str) -> dict[str, str]:
    """Return what a script is told after a logout: the URL that ends Auth0's own session."""
    return {"logout_url": url}
