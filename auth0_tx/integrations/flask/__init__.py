"""Auth0 in Flask: an extension, ``current_auth0``, and a store in Flask's own session."""

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
from .session_store import FlaskSessionStore

del _flask

__all__ = ["Auth0TX", "FlaskSessionStore", "auth0_of", "current_auth0"]
