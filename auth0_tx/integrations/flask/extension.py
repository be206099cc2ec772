"""The extension: one client for each application, and what it has of the current request."""

from __future__ import annotations

from typing import Any

import attrs
from flask import Blueprint, Flask, Response, current_app, g, request, session
from werkzeug.local import LocalProxy

from ...client import ServerClient
from ...errors import Auth0Error, BackchannelLogoutError, ConfigurationError
from ...frameworks.cookies import commit, expect_commit, get_state
from ...secret import conceal
from ...values import (
    LoginWithCustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeResult,
)
from ..error_answers import answer_for
from ..request_client import RequestAuth0
from .commands import commands
from .configuration import keywords_for
from .session_store import FlaskSessionStore, is_ours

EXTENSION = "auth0_tx"
_IN_G = "_auth0_tx"


@attrs.frozen(eq=False)
class _State:
    """What one application has of the extension."""

    client: ServerClient
    keywords: dict[str, Any] = attrs.field(repr=False)


class FlaskRequestAuth0(RequestAuth0):
    """The client, bound to the current request."""

    def login(
        self, options: LoginWithCustomTokenExchangeOptions
    ) -> LoginWithCustomTokenExchangeResult:
        """Log a user in; where Flask's session has the login, it has nothing else by then."""
        result = super().login(options)
        if isinstance(self.client._context.settings.state_store, FlaskSessionStore):
            # Fixation: what was there before is another visitor's, for all we know.
            ours = {key: each for key, each in session.items() if is_ours(key)}
            regenerate = getattr(current_app.session_interface, "regenerate", None)
            if regenerate is not None:
                regenerate(session)
            session.clear()
            session.update(ours)
        return result


class Auth0TX:
    """Give a Flask application a client, and its views ``current_auth0``.

    Settings are read by :meth:`init_app`: ``AUTH0_DOMAIN``, ``AUTH0_CLIENT_ID``,
    ``AUTH0_CLIENT_SECRET`` and ``AUTH0_SECRET``, and ``AUTH0_TX_`` with the name of any other
    keyword of ``ServerClient``.  Without a secret, sessions are sealed with keys that are
    derived from ``SECRET_KEY``; ``SECRET_KEY_FALLBACKS`` still open them.  Session cookies that
    a view causes are set on whatever response it gives, an error's too.

    Args:
        app: the application; or call :meth:`init_app` later, for as many as there are.
        **keywords: keywords of ``ServerClient``, which win over settings.
    """

    def __init__(self, app: Flask | None = None, **keywords: Any) -> None:
        self._keywords = {name: conceal(each) for name, each in keywords.items()}
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set up an application.

        Raises:
            ConfigurationError: a setting breaks a rule, or is unknown.
        """
        keywords = keywords_for(app, self._keywords)
        state = _State(ServerClient(**keywords), keywords)
        app.extensions[EXTENSION] = state
        app.before_request(_begin)
        app.after_request(_commit)
        app.cli.add_command(commands)

    def client_of(self, app: Flask) -> ServerClient:
        """Give an application's client."""
        return _state_of(app).client

    def backchannel_logout(self, url: str = "/backchannel-logout") -> Blueprint:
        """Make a blueprint that ends sessions when Auth0 says so.

        Args:
            url: the path of the Back-Channel Logout URI of your application at Auth0.
        """
        blueprint = Blueprint("auth0_tx", __name__)

        @blueprint.post(url)
        def backchannel_logout() -> Response:
            # OpenID Connect Back-Channel Logout 1.0 section 2.8.
            answer = Response(status=200, headers={"Cache-Control": "no-store"})
            token = request.form.get("logout_token", "")
            try:
                _state_of(current_app).client.handle_backchannel_logout(
                    token, _store_options()
                )
            except BackchannelLogoutError as error:
                answer.status_code = answer_for(error).status
            return answer

        return blueprint

    def handle_errors(self, app: Flask) -> None:
        """Answer errors of this library that a view does not catch, as an API would.

        The status says whose affair it is, and the body no more than that.
        """
        app.register_error_handler(Auth0Error, _answer)


def _state_of(app: Flask) -> _State:
    state: _State | None = app.extensions.get(EXTENSION)
    if state is None:
        raise ConfigurationError(
            "this application has no Auth0TX: call init_app() with it", parameter="app"
        )
    return state


def _store_options() -> dict[str, Any]:
    # The request itself, and not the proxy of the moment.
    return {"request": request._get_current_object()}  # type: ignore[attr-defined]


def _of_this_request() -> RequestAuth0:
    bound: RequestAuth0 | None = g.get(_IN_G)
    if bound is None:
        state = _state_of(current_app._get_current_object())  # type: ignore[attr-defined]
        bound = FlaskRequestAuth0(
            state.client, _store_options(), request.headers.get("Authorization")
        )
        setattr(g, _IN_G, bound)
    return bound


current_auth0: RequestAuth0 = LocalProxy(_of_this_request)  # type: ignore[assignment]
"""Auth0 for the current request: its user, its session, and tokens of theirs."""


def _begin() -> None:
    expect_commit(request)


def _commit(response: Response) -> Response:
    commit(response, get_state(request))
    return response


def _answer(error: Auth0Error) -> tuple[dict[str, str], int, dict[str, str]]:
    answer = answer_for(error)
    return answer.body, answer.status, {**answer.headers, "Cache-Control": "no-store"}
