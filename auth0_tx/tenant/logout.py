"""``GET /v2/logout``: sends the browser back to where it may be sent.

The allow-list is the point: a logout that returned to any URL would be an open redirect
(RFC 9700 4.11), with which a phishing page can borrow Auth0's good name.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from attrs import evolve

from .http_messages import ReceivedRequest, Reply
from .state import LogEvent, TenantState
from .wording import RequestRefused

PATH = "/v2/logout"

_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)


def answer_logout(state: TenantState, request: ReceivedRequest) -> Reply:
    """Answer a browser that logs out: with a redirect, a plain page, or a refusal."""
    pairs = parse_qsl(request.query, errors="replace")
    # Of a repeated parameter the first counts.
    query = dict(reversed(pairs))
    client_id, return_to = query.get("client_id"), query.get("returnTo")
    entry = LogEvent(
        type="slo",
        date=state.clock(),
        client_id=client_id,
        ip=request.client_address[0],
    )
    try:
        target = _find_target(state, client_id, return_to)
    except RequestRefused as refused:
        state.logs.append(evolve(entry, type="flo", description=refused.log))
        # A page for a person. As plain text, since it repeats a part of the request: as
        # HTML it would run the script of whoever made the link.
        page = f"{refused.error}: {refused.description}"
        return Reply(refused.status, page.encode(), _TEXT)
    state.logs.append(entry)
    if target is None:
        return Reply(200, b"OK", _TEXT)
    return Reply(302, b"", (("Location", target), ("Cache-Control", "no-store")))


def _find_target(
    state: TenantState, client_id: str | None, return_to: str | None
) -> str | None:
    allowed = state.settings.allowed_logout_urls
    if client_id is not None:
        application = state.applications.get(client_id)
        if application is None:
            raise state.wording.unknown_logout_client.to_exception(client_id=client_id)
        allowed = application.allowed_logout_urls
    if return_to is None:
        # Auth0 goes to the first URL that is set for the application.
        return allowed[0] if client_id is not None and allowed else None
    if not any(_is_match(return_to, pattern) for pattern in allowed):
        raise state.wording.return_to_not_allowed.to_exception(return_to=return_to)
    return return_to


def _is_match(url: str, pattern: str) -> bool:
    """Return whether ``url`` matches ``pattern``, in which a subdomain may be ``*``.

    As at Auth0: the scheme and the host in any case, the path exactly, and neither the
    query nor the fragment counts.
    """
    # A line break in a Location header would end it, and begin a header of the
    # attacker's choice.
    if not re.fullmatch(r"[!-~]+", url):
        return False
    try:
        parts, allowed = urlsplit(url), urlsplit(pattern)
    except ValueError:
        return False
    host = re.escape(allowed.netloc.lower()).replace(r"\*", r"[a-z0-9-]+")
    return (
        parts.scheme == allowed.scheme
        and re.fullmatch(host, parts.netloc.lower()) is not None
        and parts.path == allowed.path
    )
