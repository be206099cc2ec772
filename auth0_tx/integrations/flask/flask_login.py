"""Flask-Login beside Auth0: its ``current_user`` is the user of Auth0's session.

Theory of operation.  Flask-Login remembers a user's id in Flask's session, and in a cookie of
its own, for as long as those last.  Auth0's session may end before: by a back-channel logout, by
its expiry, or by a logout in another tab.  So the id that Flask-Login remembers is never trusted.
Each request asks Auth0's session who is logged in, and the application for its user.

- ``current_auth0.login()`` calls Flask-Login's ``login_user()``, and ``current_auth0.logout()``
  its ``logout_user()``, so that its signals are sent and ``current_user`` is right at once.
- ``logout_user()`` ends Auth0's session as well, told by Flask-Login's signal.
- ``login_user()`` alone logs nobody in, because it begins no session with Auth0.
- The cookie for "remember me" isn't used: Auth0's session says how long a login lasts.  Flask-Login
  asks nothing else once it sees that cookie, so it is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from flask import Flask, current_app, g, request, session

from ...errors import ConfigurationError, LoginRefusedError
from ...session_values import UserClaims
from .current import auth0_of, get_extension_state

try:
    from flask_login import COOKIE_NAME, current_user, login_user, logout_user
    from flask_login.signals import user_logged_out
except ImportError:
    raise ConfigurationError(
        "flask-login is not installed: pip install flask-login", parameter="flask_login"
    ) from None

__all__ = ["connect_flask_login"]

UserLoader = Callable[[UserClaims], Any]
"""A function that returns the application's user for claims from Auth0, or ``None``."""

# Flask-Login's keys in Flask's session, and its user in an application context.
_KEYS = ("_user_id", "_fresh", "_id", "_remember_seconds")
_REMEMBER = "_remember"
_IN_CONTEXT = "_login_user"

_IS_ENDING = "_auth0_tx_is_ending"


def connect_flask_login(
    app: Flask, load_user: UserLoader, *, client: str | None = None
) -> None:
    """Have Flask-Login's ``current_user`` follow Auth0's session.

    It takes the place of a ``user_loader``.  A ``request_loader`` that the application has set
    before, such as one for API keys, is asked if nobody is logged in.  A login for which
    *load_user* returns ``None`` or an inactive user is refused (``LoginRefusedError``).

    Args:
        app: the application, set up with ``Auth0TX`` and a ``LoginManager``.
        load_user: returns the application's user for claims from Auth0, or ``None``.  Find
            it by ``sub``, which never changes, and not by its e-mail address.
        client: the name of the client whose session counts; ``None`` for the default client.

    Raises:
        ConfigurationError: the application has no ``LoginManager``, or no such client.
    """
    manager = getattr(app, "login_manager", None)
    if manager is None:
        raise ConfigurationError(
            "this application has no LoginManager: call its init_app() before",
            parameter="app",
        )
    configured = get_extension_state(app).get_client(client)
    link = FlaskLoginLink(manager, load_user, client)
    manager.user_loader(link.find_user_by_id)
    manager.request_loader(link.find_user_by_request)
    app.teardown_request(link.end_request)
    # The receiver lives as long as the link, and the link as long as the client.
    configured.link = link
    user_logged_out.connect(link.end_auth0_session, app)


class FlaskLoginLink:
    """The link between a client and a ``LoginManager``."""

    def __init__(self, manager: Any, load_user: UserLoader, client: str | None) -> None:
        """Link a client with a ``LoginManager``."""
        self._manager = manager
        self._load_user = load_user
        self._client = client
        self._load_otherwise = manager.request_callback

    def begin_request(self) -> None:
        """Forget the user of another request within the same application context."""
        g.pop(_IN_CONTEXT, None)
        if _get_remember_cookie() in request.cookies and "_user_id" not in session:
            session[_REMEMBER] = "clear"

    def end_request(self, _: BaseException | None = None) -> None:
        """Forget the user of a request that was made while another one is served."""
        g.pop(_IN_CONTEXT, None)

    def begin_login(self, claims: UserClaims) -> None:
        """Log the application's user in to Flask-Login.

        Raises:
            LoginRefusedError: the application has no such user, or an inactive one.
        """
        user = self._load_user(claims)
        if user is None or not login_user(user):
            raise LoginRefusedError("the application does not let this user in")

    @contextmanager
    def end_login(self) -> Iterator[None]:
        """Log the user out of Flask-Login after Auth0's session has ended, even if that failed."""
        if getattr(request, _IS_ENDING, False):
            yield
            return
        setattr(request, _IS_ENDING, True)
        # Loaded now, for the receivers of Flask-Login's signal.
        with suppress(Exception):
            bool(current_user)
        try:
            yield
        finally:
            try:
                logout_user()
            finally:
                setattr(request, _IS_ENDING, False)

    def end_auth0_session(self, _: Flask, **__: Any) -> None:
        """End Auth0's session: the receiver of Flask-Login's signal."""
        if getattr(request, _IS_ENDING, False):
            return
        setattr(request, _IS_ENDING, True)
        try:
            auth0_of(self._client).logout()
        finally:
            setattr(request, _IS_ENDING, False)

    def find_user_by_id(self, user_id: str) -> Any:
        """Return the user of Auth0's session, whomever Flask-Login remembers."""
        user = self._find_user()
        if user is None or getattr(user, self._manager.id_attribute)() != user_id:
            self._forget()
        return user

    def find_user_by_request(self, request: Any) -> Any:
        """Return the user of Auth0's session, or whom the application finds in a request."""
        user = self._find_user()
        if user is None and self._load_otherwise is not None:
            return self._load_otherwise(request)
        return user

    def _find_user(self) -> Any:
        claims = auth0_of(self._client).user
        return None if claims is None else self._load_user(claims)

    def _forget(self) -> None:
        for key in _KEYS:
            session.pop(key, None)
        if _get_remember_cookie() in request.cookies:
            session[_REMEMBER] = "clear"


def _get_remember_cookie() -> str:
    name: str = current_app.config.get("REMEMBER_COOKIE_NAME", COOKIE_NAME)
    return name
