"""Auth0 in aiohttp.web: an application's clients, bound to each request, and ways in and out."""

from __future__ import annotations

from .clients import CLIENT, auth0_of, setup
from .guards import handle_errors, login_required, refuse_cross_origin
from .routes import auth0_routes, backchannel_logout

__all__ = [
    "CLIENT",
    "auth0_of",
    "auth0_routes",
    "backchannel_logout",
    "handle_errors",
    "login_required",
    "refuse_cross_origin",
    "setup",
]
