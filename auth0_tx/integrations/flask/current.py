"""The clients of the application, bound to the request that is served.

Theory of operation.  The request itself keeps what is its own: ``flask.g`` belongs to the
application context, which several requests may share, one user's after another's.  When a
request begins, it is noted which application's clients serve it, so that another application's
context, pushed meanwhile, does not change them.  The bound client itself is made anew each time
that it is asked for: it has no state, and a request that referred to an object which refers to
the request would have to wait for the garbage collector.

Cookies wait for the response.  ``after_request`` functions run in the reverse order of their
registration; the one here is put where it runs last, so that those of the application may still
read and change the session.  Flask runs them for error pages too, so a refresh token that was
rotated before a view failed still reaches the browser.
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from inspect import isgenerator
from typing import Any

from flask import (
    Flask,
    Request,
    Response,
    current_app,
    request,
    request_started,
    session,
    stream_with_context,
)
from werkzeug.local import LocalProxy

from ...errors import Auth0Error, ConfigurationError
from ...frameworks.cookies import commit, expect_commit, get_state
from ...session_values import (
    LoginWithCustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeResult,
    UserClaims,
)
from ..request_client import RequestAuth0
from .configuration import EXTENSION, ConfiguredClient, ExtensionState
from .session_redis import FlaskSessionRedis

# Attributes of a request: its application's clients, and whether one was asked for.
_SERVED_BY = "_auth0_tx_state"
_WAS_BOUND = "_auth0_tx_was_bound"


class FlaskRequestAuth0(RequestAuth0):
    """A client of the application, bound to the current request."""

    def __init__(self, configured: ConfiguredClient, request: Request) -> None:
        """Bind a client to a request.

        Args:
            configured: the client.
            request: the request itself, as the proxy would be another request's later.
        """
        authorization = request.headers.get("Authorization")
        super().__init__(configured.client, {"request": request}, authorization)
        self._link = configured.link
        store = configured.keywords.get("state_store")
        if isinstance(store, FlaskSessionRedis):
            # Before a login spends a token, which would be lost if there is no such store.
            store.find_store()

    def login(
        self, options: LoginWithCustomTokenExchangeOptions
    ) -> LoginWithCustomTokenExchangeResult:
        """Exchange a token, log its user in, and renew Flask's session.

        With Flask-Session, whoever knew the id of the visitor's session cannot use it any
        more.  Flask's session keeps its content, unless another user was logged in.

        Raises:
            LoginRefusedError: Flask-Login is connected, and the application does not let the
                user in.
            CustomTokenExchangeError: the exchange failed.
        """
        # An empty session has nothing to renew, and no id that anybody could know.
        previous = self._find_user() if session else None
        result = super().login(options)
        if session:
            regenerate = getattr(current_app.session_interface, "regenerate", None)
            if regenerate is not None:
                regenerate(session)
            if previous not in (None, _name_user(result.state_data["user"])):
                session.clear()
        if self._link is not None:
            try:
                self._link.begin_login(result.state_data["user"])
            except BaseException:
                # Nobody is half logged in.
                with suppress(Auth0Error):
                    super().logout()
                raise
        return result

    def logout(self, *, return_to: str | None = None, revoke: bool = True) -> str:
        """Log the user out; return the URL that ends Auth0's session.

        Args:
            return_to: where Auth0 sends the browser afterwards; one of the application's
                Allowed Logout URLs.
            revoke: whether the session's refresh token is revoked (RFC 7009); if that fails the
                user is logged out all the same.

        Raises:
            ConfigurationError: the client keeps no sessions.
            InvalidInputError: *return_to* is not a URL.
            StoreError: the session could not be deleted from its store; its cookie was.
        """
        with nullcontext() if self._link is None else self._link.end_login():
            return super().logout(return_to=return_to, revoke=revoke)

    def _find_user(self) -> tuple[object, object] | None:
        """Return the user that the browser is logged in as, or ``None``."""
        try:
            user = self.user
        except Auth0Error:
            # Somebody's, as far as anybody knows, and so not the new user's.
            return (None, None)
        return None if user is None else _name_user(user)


def _name_user(user: UserClaims) -> tuple[object, object]:
    return user.get("iss"), user["sub"]


def get_extension_state(app: Flask | None = None) -> ExtensionState:
    """Return the extension's part of an application; by default of the current one.

    Raises:
        ConfigurationError: the application has no ``Auth0TX``.
    """
    app = app or current_app
    state: ExtensionState | None = app.extensions.get(EXTENSION)
    if state is None:
        raise ConfigurationError(
            "this application has no Auth0TX: call init_app() with it", parameter="app"
        )
    return state


def get_serving_state() -> ExtensionState:
    """Return the extension's part of the application that serves the current request."""
    state: ExtensionState | None = getattr(request, _SERVED_BY, None)
    return state or get_extension_state()


def auth0_of(name: str | None = None) -> RequestAuth0:
    """Return a client of the application, bound to the current request.

    Args:
        name: the client's name in ``AUTH0_TX_CLIENTS``; ``None`` for the default client.

    Raises:
        ConfigurationError: the application has no client of that name.
    """
    configured = get_serving_state().get_client(name)
    current: Request = request._get_current_object()  # type: ignore[attr-defined]
    setattr(current, _WAS_BOUND, True)
    return FlaskRequestAuth0(configured, current)


current_auth0: RequestAuth0 = LocalProxy(auth0_of)  # type: ignore[assignment]
"""Auth0 for the current request: its user, session and tokens."""


def serve_requests(app: Flask) -> None:
    """Have the requests of an application served by its clients."""
    # Before all other functions, which may read the session.  Not every test sends the signal.
    request_started.connect(_begin_request, app)
    app.before_request(_begin_request)
    app.after_request_funcs.setdefault(None, []).insert(0, _commit)
    app.context_processor(_add_to_templates)


def _begin_request(_: Flask | None = None, **__: Any) -> None:
    if getattr(request, _SERVED_BY, None) is not None:
        return
    state = get_extension_state()
    setattr(request, _SERVED_BY, state)
    expect_commit(request)
    for configured in state.clients.values():
        if configured.link is not None:
            configured.link.begin_request()


def _commit(response: Response) -> Response:
    state = get_state(request)
    if _may_read_later(response):
        state.was_read = True
    commit(response, state)
    return response


def _may_read_later(response: Response) -> bool:
    """Return whether the body of *response* may yet read the session.

    A stream is made after its header fields were sent, which is too late to keep caches from
    it.  It may use what the view had of the session, or ask for it: Flask's
    ``stream_with_context`` keeps the request for it.
    """
    if not response.is_streamed or response.direct_passthrough:
        return False
    if not get_serving_state().keeps_sessions():
        return False
    if getattr(request, _WAS_BOUND, False):
        return True
    body = response.response
    # The generator that stream_with_context() returns is defined where it is.
    home = stream_with_context.__code__.co_filename
    return isgenerator(body) and body.gi_code.co_filename == home


def _add_to_templates() -> dict[str, Any]:
    # The proxy itself: a template that does not name it reads nothing.
    return {"current_auth0": current_auth0, "auth0_of": auth0_of}
