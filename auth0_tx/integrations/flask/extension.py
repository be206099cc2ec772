"""The Flask extension: an application's client, ``current_auth0``, and ``flask auth0-tx``.

``before_request`` notes that cookies wait for the response, and ``after_request`` sets them.
Flask runs the latter for error pages too, so a refresh token that was rotated before a view
failed still reaches the browser.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import attrs
import click
from flask import Blueprint, Flask, Response, current_app, g, request, session
from flask.cli import AppGroup, with_appcontext
from werkzeug.local import LocalProxy

from ...cli import main
from ...client import ServerClient
from ...errors import Auth0Error, BackchannelLogoutError, ConfigurationError
from ...frameworks.cookies import commit, expect_commit, get_state
from ...secret import conceal
from ...values import (
    LoginWithCustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeResult,
)
from ..error_answers import answer_for
from ..host_session_store import is_login_key
from ..request_client import RequestAuth0
from ..settings import check_keywords, to_keywords, use_host_keys
from .session_store import FlaskSessionStore

EXTENSION = "auth0_tx"
_PREFIX = "AUTH0_TX_"
_IN_G = "_auth0_tx"

# Auth0's own samples have these names; all other settings have our prefix.
_SHARED = ("DOMAIN", "CLIENT_ID", "CLIENT_SECRET", "SECRET")


@attrs.frozen(eq=False)
class _State:
    """The extension's part of one application.

    Attributes:
        client: the application's client.
        keywords: what it was made with, for the commands.
    """

    client: ServerClient
    keywords: dict[str, Any] = attrs.field(repr=False)


class FlaskRequestAuth0(RequestAuth0):
    """The application's client, bound to the current request."""

    def login(
        self, options: LoginWithCustomTokenExchangeOptions
    ) -> LoginWithCustomTokenExchangeResult:
        """Exchange a token, and log its user in.

        If Flask's session keeps the login, everything else is removed from it.
        """
        result = super().login(options)
        if isinstance(_get_state().keywords.get("state_store"), FlaskSessionStore):
            # Session fixation: what was there before may be another visitor's, who could
            # still know the session's id.
            login = {name: session[name] for name in session if is_login_key(name)}
            regenerate = getattr(current_app.session_interface, "regenerate", None)
            if regenerate is not None:
                regenerate(session)
            session.clear()
            session.update(login)
        return result


class Auth0TX:
    """Add a client to a Flask application, and ``current_auth0`` to its views.

    :meth:`init_app` reads the settings ``AUTH0_DOMAIN``, ``AUTH0_CLIENT_ID``,
    ``AUTH0_CLIENT_SECRET`` and ``AUTH0_SECRET``, and ``AUTH0_TX_`` with the name of any other
    keyword of ``ServerClient``.  Without a secret, sessions are sealed with keys derived from
    ``SECRET_KEY``; ``SECRET_KEY_FALLBACKS`` still open them.  Session cookies are set on any
    response of a view, also if it fails.

    Args:
        app: the application; or call :meth:`init_app` later, for any number of them.
        **keywords: keywords of ``ServerClient``, which win over settings.
    """

    def __init__(self, app: Flask | None = None, **keywords: Any) -> None:
        # Wrapped at once, so that a traceback with locals of this frame shows no secret.
        self._keywords = {name: conceal(value) for name, value in keywords.items()}
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set up an application.

        Raises:
            ConfigurationError: a setting breaks a rule, or is unknown.
        """
        keywords = _read_settings(app, self._keywords)
        app.extensions[EXTENSION] = _State(ServerClient(**keywords), keywords)
        app.before_request(_expect_commit)
        app.after_request(_commit)
        app.cli.add_command(commands)

    def client_of(self, app: Flask) -> ServerClient:
        """Return an application's client."""
        return _get_state(app).client

    def backchannel_logout(self, url: str = "/backchannel-logout") -> Blueprint:
        """Return a blueprint that ends sessions when Auth0 asks for it.

        Args:
            url: the path of the Back-Channel Logout URI of your application at Auth0.
        """
        blueprint = Blueprint("auth0_tx", __name__)

        @blueprint.post(url)
        def backchannel_logout() -> Response:
            # OpenID Connect Back-Channel Logout 1.0 section 2.8: 200, or 400 if the token
            # does not hold, and no cache may keep either.
            answer = Response(status=200, headers={"Cache-Control": "no-store"})
            token = request.form.get("logout_token", "")
            try:
                _get_state().client.handle_backchannel_logout(token, _store_options())
            except BackchannelLogoutError as error:
                answer.status_code = answer_for(error).status
            return answer

        return blueprint

    def handle_errors(self, app: Flask) -> None:
        """Answer errors of this library that a view does not catch, as an API would.

        The status says who can do something about it; the body gives no detail.
        """
        app.register_error_handler(Auth0Error, _answer_error)


def _read_settings(app: Flask, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of an application's client.

    Args:
        app: the application.
        given: the extension's own keywords, which win.

    Raises:
        ConfigurationError: a setting breaks a rule, is unknown or missing.
    """
    own = {
        name.removeprefix(_PREFIX): conceal(value) if isinstance(value, str) else value
        for name, value in app.config.items()
        if name.startswith(_PREFIX)
    }
    shared = {
        name: conceal(app.config[f"AUTH0_{name}"])
        for name in _SHARED
        if app.config.get(f"AUTH0_{name}") is not None
    }
    keywords = {
        **to_keywords(shared, "AUTH0_{}"),
        **to_keywords(own, _PREFIX + "{}"),
        **given,
    }
    if keywords.get("state_store") == "session":
        keywords["state_store"] = FlaskSessionStore()
    if "secret" not in keywords:
        keywords["secret"] = _read_secret_keys(app)
    check_keywords(keywords, "AUTH0_{}")
    return keywords


def _read_secret_keys(app: Flask) -> list[str] | None:
    keys = [app.secret_key, *(app.config.get("SECRET_KEY_FALLBACKS") or ())]
    # Flask also takes bytes; our secrets are text, and latin-1 keeps each octet.
    texts = [
        key.decode("latin-1") if isinstance(key, bytes) else key for key in keys if key
    ]
    return use_host_keys(texts, "AUTH0_SECRET")


def _get_state(app: Flask | None = None) -> _State:
    app = app or current_app
    state: _State | None = app.extensions.get(EXTENSION)
    if state is None:
        raise ConfigurationError(
            "this application has no Auth0TX: call init_app() with it", parameter="app"
        )
    return state


def _store_options() -> dict[str, Any]:
    # The request itself: the proxy would be another request's later.
    return {"request": request._get_current_object()}  # type: ignore[attr-defined]


def _bind_to_request() -> RequestAuth0:
    bound: RequestAuth0 | None = g.get(_IN_G)
    if bound is None:
        bound = FlaskRequestAuth0(
            _get_state().client, _store_options(), request.headers.get("Authorization")
        )
        setattr(g, _IN_G, bound)
    return bound


current_auth0: RequestAuth0 = LocalProxy(_bind_to_request)  # type: ignore[assignment]
"""Auth0 for the current request: its user, session and tokens."""


def _expect_commit() -> None:
    expect_commit(request)


def _commit(response: Response) -> Response:
    commit(response, get_state(request))
    return response


def _answer_error(error: Auth0Error) -> tuple[dict[str, str], int, dict[str, str]]:
    answer = answer_for(error)
    return answer.body, answer.status, answer.headers


commands: AppGroup = AppGroup(
    "auth0-tx", help="Check the settings, exchange and read tokens."
)

# The words are the command's own, ``--help`` included.
_PASSED_ON = {"ignore_unknown_options": True, "help_option_names": []}


def _add_command(name: str, text: str) -> None:
    @commands.command(name, help=text, context_settings=_PASSED_ON)
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    @with_appcontext
    def run(words: tuple[str, ...]) -> None:
        sys.exit(main([name, *words], _get_state().keywords))


_add_command("doctor", "Find out what keeps exchanges from working.")
_add_command("exchange", "Exchange a token, from a file or a variable.")
_add_command("inspect", "Decode a token, without verifying it.")
