"""Login sessions inside Flask's own session."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from flask import current_app, session
from flask.sessions import SecureCookieSessionInterface

from ..host_session_store import LARGEST_COOKIE, HostSessionStore


class FlaskSessionStore(HostSessionStore):
    """Keep a login session in ``flask.session``, wherever that is kept.

    With Flask-Session that is a store on the server.  Flask's own cookie has little room: a
    session that does not fit is refused before anybody is logged in.  A session can only be
    found through its browser, so Auth0 cannot end one: for back-channel logout keep sessions
    in ``RedisStore``.
    """

    host = "Flask"
    shared_stores = "RedisStore"
    too_large_hint = (
        "keep sessions in a store on the server, such as RedisStore, or use Flask-Session "
        "for Flask's own."
    )

    def _get_session(self) -> MutableMapping[str, Any]:
        return session

    def _is_too_large(self, session: MutableMapping[str, Any]) -> bool:
        interface = current_app.session_interface
        if not isinstance(interface, SecureCookieSessionInterface):
            return False
        signer = interface.get_signing_serializer(current_app)
        if signer is None:
            return False
        # A browser counts the name of the cookie, too.
        name = interface.get_cookie_name(current_app)
        return len(signer.dumps(dict(session))) + len(name) > LARGEST_COOKIE
