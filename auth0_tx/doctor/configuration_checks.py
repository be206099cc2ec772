"""What the settings say. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.configuration import Settings
from ..core.session.cookies import CookieStore
from .verdict import Verdict

_SHORTEST_SECRET = 32


def checked_configuration(settings: Settings) -> Verdict:
    """Say what client it is."""
    where = settings.domain or "a resolver's domains"
    found = f"{settings.client_auth} at {where}"
    if settings.client_auth == "none":
        return Verdict(
            "configuration",
            "warning",
            found,
            "a public application proves nothing: use a secret or a key on a server",
        )
    if (settings.domain or "").startswith("http://"):
        return Verdict(
            "configuration", "warning", found, "plain http is for this machine alone"
        )
    return Verdict("configuration", "ok", found)


def checked_session(settings: Settings) -> Iterator[Verdict]:
    """Check what login sessions are sealed with, where there are any."""
    store = settings.state_store
    if store is None:
        yield Verdict(
            "sessions", "skipped", "no secret and no state_store: none are kept"
        )
        return
    shortest = min(map(len, settings.secrets), default=None)
    if shortest is not None and shortest < _SHORTEST_SECRET:
        yield Verdict(
            "sessions",
            "warning",
            f"a secret has {shortest} characters",
            f"make it {_SHORTEST_SECRET} random ones: it seals every session",
        )
    elif isinstance(store, CookieStore) and not settings.session_policy.cookie_secure:
        yield Verdict(
            "sessions",
            "warning",
            "the session's cookie is sent over plain http too",
            "set cookie_secure in production",
        )
    else:
        kind = type(store).__name__
        yield Verdict("sessions", "ok", f"sealed, in {kind}")
