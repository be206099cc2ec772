"""Auth0 in Flask: an extension, ``current_auth0``, and ``login_required``."""

from __future__ import annotations

try:
    import flask as _flask
except ImportError:
    from ...errors import ConfigurationError

    raise ConfigurationError(
        "flask is not installed: pip install 'auth0-tx[flask]'", parameter="flask"
    ) from None

from .current import auth0_of, current_auth0
from .extension import Auth0TX
from .guards import (
    get_next_url,
    login_not_required,
    login_required,
    require_login,
    same_origin_required,
)

del _flask

__all__ = [
    "Auth0TX",
    "auth0_of",
    "current_auth0",
    "get_next_url",
    "login_not_required",
    "login_required",
    "require_login",
    "same_origin_required",
]
