"""Login sessions inside Flask's own session, sealed: that is signed, and anybody can read it."""

from __future__ import annotations

from flask import current_app, session
from flask.sessions import SecureCookieSessionInterface

from ...errors import CustomTokenExchangeErrorCode as Code
from ...errors import StoreError
from ...secret import Unpicklable

_PREFIX = "auth0_tx:"

_LARGEST_COOKIE = 4_000
"""Characters, with some to spare: browsers drop a cookie of more than 4,096 without a word."""


def is_ours(key: str) -> bool:
    """Tell whether *key* of Flask's session is a login session's."""
    return key.startswith(_PREFIX)


class FlaskSessionStore(Unpicklable):
    """Keep a login session in ``flask.session``, whatever keeps that.

    With Flask-Session that is a store on the server's side.  In Flask's own cookie there is
    room for little: what does not fit is refused before anybody is logged in.  A session is
    found through its browser alone, so Auth0 cannot end one: for back-channel logout keep
    sessions in ``RedisStore``.
    """

    def get(self, key: str) -> bytes | None:
        """Give what is stored under *key* for this browser."""
        value = session.get(_PREFIX + key)
        return value.encode("latin-1") if isinstance(value, str) else None

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value*, where *expected* is what this browser's session has now.

        Raises:
            StoreError: it does not fit into the cookie that Flask keeps sessions in.
        """
        if self.get(key) != expected:
            return False
        session[_PREFIX + key] = value.decode("latin-1")
        if _is_too_large():
            self.delete(key)
            raise StoreError(
                "the session does not fit into Flask's cookie",
                Code.SESSION_TOO_LARGE,
                hint="keep sessions in a store of your server's, such as RedisStore, or "
                "Flask's own with Flask-Session.",
            )
        return True

    def delete(self, key: str, *, expected: bytes | None = None) -> None:
        """Delete what is stored under *key*; with *expected*, only where it is that."""
        if expected is None or self.get(key) == expected:
            session.pop(_PREFIX + key, None)

    def add_to_index(self, label: str, key: str, *, ttl: float) -> None:
        """Do nothing: from outside, a browser's session is not to be found."""

    def take_index(self, label: str) -> list[str]:
        """Refuse: sessions of other browsers are out of reach.

        Raises:
            StoreError: always.
        """
        raise StoreError(
            "sessions in Flask's own session cannot be ended by Auth0",
            hint="for back-channel logout keep sessions in RedisStore.",
        )


def _is_too_large() -> bool:
    interface = current_app.session_interface
    if not isinstance(interface, SecureCookieSessionInterface):
        return False
    signer = interface.get_signing_serializer(current_app)
    if signer is None:
        return False
    written = signer.dumps(dict(session))
    return len(written) + len(interface.get_cookie_name(current_app)) > _LARGEST_COOKIE
