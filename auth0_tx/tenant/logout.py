"""`GET /v2/logout`: sends the browser back to where it may be sent."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from attrs import evolve

from .http_messages import ReceivedRequest, Reply
from .logs import LogEvent
from .state import TenantState
from .wording import Refused

PATH = "/v2/logout"

_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)


def log_out(state: TenantState, request: ReceivedRequest) -> Reply:
    """Answer a browser that logs out: with a redirect, a plain page, or a refusal."""
    pairs = parse_qsl(request.query, errors="replace")
    query = dict(reversed(pairs))
    client_id, return_to = query.get("client_id"), query.get("returnTo")
    entry = LogEvent(
        type="slo",
        date=state.clock(),
        client_id=client_id,
        ip=request.client_address[0],
    )
    try:
        target = _target(state, client_id, return_to)
    except Refused as refused:
        state.logs.append(evolve(entry, type="flo", description=refused.log))
        # A page for a person; as text, for what is said in it came with the request.
        page = f"{refused.error}: {refused.description}"
        return Reply(refused.status, page.encode(), _TEXT)
    state.logs.append(entry)
    if target is None:
        return Reply(200, b"OK", _TEXT)
    return Reply(302, b"", (("Location", target), ("Cache-Control", "no-store")))


def _target(
    state: TenantState, client_id: str | None, return_to: str | None
) -> str | None:
    allowed = state.settings.allowed_logout_urls
    if client_id is not None:
        application = state.applications.get(client_id)
        if application is None:
            raise state.wording.unknown_logout_client.refused(client_id=client_id)
        allowed = application.allowed_logout_urls
    if return_to is None:
        # Auth0 goes to the first one set for the application.
        return allowed[0] if client_id is not None and allowed else None
    if not any(_matches(return_to, one) for one in allowed):
        raise state.wording.return_to_not_allowed.refused(return_to=return_to)
    return return_to


def _matches(url: str, allowed: str) -> bool:
    """Tell whether *url* is *allowed*, in which a subdomain may be `*`.

    As at Auth0: the scheme and the host in any case, the path exactly, and neither the
    query nor the fragment counts.
    """
    # What else is in a Location header could end it.
    if not re.fullmatch(r"[!-~]+", url):
        return False
    try:
        one, other = urlsplit(url), urlsplit(allowed)
    except ValueError:
        return False
    host = re.escape(other.netloc.lower()).replace(r"\*", r"[a-z0-9-]+")
    return (
        one.scheme == other.scheme
        and re.fullmatch(host, one.netloc.lower()) is not None
        and one.path == other.path
    )
