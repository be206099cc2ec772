"""Requests and responses of the web frameworks, as far as a login session needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.configuration import Settings
    from ..core.session.cookies import Cookies


def find_cookies(settings: Settings) -> Cookies | None:
    """Return the cookies of an application's messages, or ``None`` if no sessions are kept."""
    if settings.state_store is None:
        return None
    # Here and not at the top: a client that only exchanges tokens has no cookies.
    from .cookies import HttpCookies

    return HttpCookies()
