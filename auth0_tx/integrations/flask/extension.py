"""The Flask extension: an application's clients, its ways in and out, and its commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, Response, request

from ...client import ServerClient
from ...errors import Auth0Error, BackchannelLogoutError
from ...secret import conceal
from ..error_answers import answer_for
from .commands import commands
from .configuration import EXTENSION, make_state
from .current import auth0_of, get_extension_state, serve_requests


class Auth0TX:
    """Add clients to a Flask application, and ``current_auth0`` to its views and templates.

    :meth:`init_app` reads the settings ``AUTH0_DOMAIN``, ``AUTH0_CLIENT_ID``,
    ``AUTH0_CLIENT_SECRET`` and ``AUTH0_SECRET``, and ``AUTH0_TX_`` with the name of any other
    keyword of ``ServerClient``.  Without a secret, sessions are sealed with keys derived from
    ``SECRET_KEY``; ``SECRET_KEY_FALLBACKS`` still open them.  Session cookies are set on any
    response of a view, also if it fails.

    Args:
        app: the application; or call :meth:`init_app` later, for any number of them.
        clients: keywords of ``ServerClient`` for further clients, by name, which win over
            those of the setting ``AUTH0_TX_CLIENTS``.  A client has the default client's
            keywords where it has none of its own, but not its credentials.
        **keywords: keywords of ``ServerClient``, which win over settings.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        clients: Mapping[str, Mapping[str, Any]] | None = None,
        **keywords: Any,
    ) -> None:
        # Wrapped at once, so that a traceback with locals of this frame shows no secret.
        self._keywords = {name: conceal(value) for name, value in keywords.items()}
        self._clients = conceal(clients or {})
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set up an application.

        Raises:
            ConfigurationError: a setting breaks a rule, or is unknown.
        """
        app.extensions[EXTENSION] = make_state(app, self._keywords, self._clients)
        serve_requests(app)
        app.cli.add_command(commands)

    def client_of(self, app: Flask, name: str | None = None) -> ServerClient:
        """Return a client of an application.

        Args:
            app: the application.
            name: the client's name; ``None`` for the default client.

        Raises:
            ConfigurationError: the application was not set up, or has no such client.
        """
        return get_extension_state(app).get_client(name).client

    def backchannel_logout(
        self, url: str = "/backchannel-logout", *, client: str | None = None
    ) -> Blueprint:
        """Return a blueprint that ends sessions when Auth0 asks for it.

        Args:
            url: the path of the Back-Channel Logout URI of your application at Auth0.
            client: the name of the client that is this application; ``None`` for the default
                client.
        """
        blueprint = Blueprint("_".join(filter(None, ("auth0_tx", client))), __name__)

        @blueprint.post(url)
        def backchannel_logout() -> Response:
            # OpenID Connect Back-Channel Logout 1.0 section 2.8: 200, or 400 if the token
            # does not hold, and no cache may keep either.
            answer = Response(status=200, headers={"Cache-Control": "no-store"})
            token = conceal(request.form.get("logout_token", ""))
            auth0 = auth0_of(client)
            try:
                auth0.client.handle_backchannel_logout(token, auth0.store_options)
            except BackchannelLogoutError as error:
                answer.status_code = answer_for(error).status
            return answer

        return blueprint

    def handle_errors(self, app: Flask) -> None:
        """Answer errors of this library that a view does not catch, as an API would.

        The status says who can do something about it; the body gives no detail.
        """
        app.register_error_handler(Auth0Error, _answer_error)


def _answer_error(error: Auth0Error) -> tuple[dict[str, str], int, dict[str, str]]:
    answer = answer_for(error)
    return answer.body, answer.status, {**answer.headers, "Cache-Control": "no-store"}
