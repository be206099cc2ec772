"""``AUTH0_TX_STATE_STORE="session"``: login sessions in the Redis of Flask-Session.

Flask saves its session as a whole when a request is over, and the last of two requests wins.  A
refresh token is spent once, so what is kept there would be lost now and then.  A login session
has a key of its own beside Flask's session instead, in the same Redis.  Flask's own cookie, and
what else Flask-Session can use, cannot compare and set in one step.
"""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.sessions import SecureCookieSessionInterface

from ...errors import ConfigurationError
from ...secret import Unpicklable
from ...stores import RedisStore


class FlaskSessionRedis(Unpicklable):
    """A ``RedisStore`` on the Redis client that Flask-Session has.

    It is looked for when a session is first needed: ``Session(app)`` may come after
    ``Auth0TX(app)``.

    Args:
        app: the application.

    Raises:
        ConfigurationError: there is no such client, and none to come.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._found: RedisStore | None = None
        may_come = "SESSION_TYPE" in app.config
        if not (
            may_come and type(app.session_interface) is SecureCookieSessionInterface
        ):
            self.find_store()

    def __repr__(self) -> str:
        return f"FlaskSessionRedis({self._app.name!r})"

    def get(self, key: str) -> Any:
        """Return what is stored under *key* and has not expired, or ``None``."""
        return self.find_store().get(key)

    def set(self, key: str, value: bytes, *, ttl: float, expected: bytes | None) -> Any:
        """Store *value* for *ttl* seconds if *expected* is what is stored now."""
        return self.find_store().set(key, value, ttl=ttl, expected=expected)

    def delete(self, key: str, *, expected: bytes | None = None) -> Any:
        """Delete what is stored under *key*; with *expected*, only if it is that value."""
        return self.find_store().delete(key, expected=expected)

    def add_to_index(self, label: str, key: str, *, ttl: float) -> Any:
        """Remember *key* under *label*, for at least *ttl* seconds."""
        return self.find_store().add_to_index(label, key, ttl=ttl)

    def read_index(self, label: str) -> Any:
        """Return the keys under *label*, from the one that was added first to the last."""
        return self.find_store().read_index(label)

    def remove_from_index(self, label: str, keys: Any) -> Any:
        """Forget *keys* under *label*; keys added meanwhile stay."""
        return self.find_store().remove_from_index(label, keys)

    def find_store(self) -> RedisStore:
        """Return the store.

        Raises:
            ConfigurationError: Flask-Session has no Redis client.
        """
        if self._found is None:
            self._found = RedisStore(_find_redis(self._app))
        return self._found


def _find_redis(app: Flask) -> Any:
    """Return the Redis client of the application's session interface.

    Raises:
        ConfigurationError: it has none.
    """
    interface = app.session_interface
    # Flask-Session 0.6 renamed it.
    client = getattr(interface, "client", None) or getattr(interface, "redis", None)
    try:
        from redis import Redis
    except ImportError:
        pass
    else:
        if isinstance(client, Redis):
            return client
    raise ConfigurationError(
        "AUTH0_TX_STATE_STORE 'session' needs Flask-Session with SESSION_TYPE 'redis'; this "
        f"application's sessions are kept by {type(interface).__name__}",
        parameter="state_store",
        hint="Leave AUTH0_TX_STATE_STORE out, and sessions are in encrypted cookies of their "
        "own; or set it to a RedisStore.",
    )
