"""The Flask extension: an application's clients, its ways in and out, and its commands."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from flask import Blueprint, Flask

from ...client import ServerClient
from ...core.wire.redirects import check_return_to
from ...errors import Auth0Error
from ...secret import Unpicklable, conceal
from ..posted_logins import OptionsMaker
from .blueprints import (
    add_backchannel_logout,
    add_login,
    add_logout,
    make_blueprint,
)
from .commands import commands
from .configuration import EXTENSION, LoginPage, make_state
from .current import get_extension_state, serve_requests
from .guards import answer_error


class Auth0TX(Unpicklable):
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
        login_url: the page that logs users in; the setting ``AUTH0_TX_LOGIN_URL`` by default.
        login_view: its endpoint instead; the setting ``AUTH0_TX_LOGIN_VIEW`` by default.
        **keywords: keywords of ``ServerClient``, which win over settings.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        clients: Mapping[str, Mapping[str, Any]] | None = None,
        login_url: str | None = None,
        login_view: str | None = None,
        **keywords: Any,
    ) -> None:
        # Wrapped at once, so that a traceback with locals of this frame shows no secret.
        keywords = {name: conceal(value) for name, value in keywords.items()}
        clients = conceal(clients)
        self._keywords, self._clients = keywords, clients or {}
        self._login_page = LoginPage(login_url, login_view)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set up an application.

        Raises:
            ConfigurationError: a setting breaks a rule, or is unknown.
        """
        app.extensions[EXTENSION] = make_state(
            app, self._keywords, self._clients, self._login_page
        )
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

    def routes(
        self,
        make_options: OptionsMaker | None = None,
        *,
        login: str = "/login",
        logout: str = "/logout",
        backchannel_logout: str = "/backchannel-logout",
        next_url: str = "/",
        return_to: str | None = None,
        trusted_origins: Collection[str] = (),
        client: str | None = None,
    ) -> Blueprint:
        """Return a blueprint ``auth0`` with routes for login, logout and back-channel logout.

        All answer to POST alone.  A form that posts ``subject_token``, and ``next`` perhaps, is
        redirected to ``next``, or to the URL that ends Auth0's own session.  A script that posts
        JSON, or calls ``fetch``, gets 204 after a login and ``{"logout_url": ...}`` after a
        logout.  The first two refuse requests that a browser sends for a page of another site
        (403).

        Args:
            make_options: makes the options of a login from the token that was posted; ``None``
                for no login.
            login: the path of the login.
            logout: the path of the logout.
            backchannel_logout: the path of your Back-Channel Logout URI.
            next_url: the page after a login that names none.
            return_to: where Auth0 sends the browser after a logout; one of the application's
                Allowed Logout URLs.
            trusted_origins: other origins whose pages may log in and out, such as
                ``https://login.example.com``.
            client: the name of the client; the blueprint of ``orders`` is ``auth0_orders``.

        Raises:
            InvalidInputError: *return_to* is not a URL.
        """
        check_return_to(return_to)
        blueprint = make_blueprint("auth0", client)
        if make_options is not None:
            add_login(
                blueprint,
                login,
                make_options,
                next_url=next_url,
                trusted_origins=trusted_origins,
                client=client,
            )
        add_logout(
            blueprint,
            logout,
            return_to=return_to,
            trusted_origins=trusted_origins,
            client=client,
        )
        add_backchannel_logout(blueprint, backchannel_logout, client)
        return blueprint

    def backchannel_logout(
        self, url: str = "/backchannel-logout", *, client: str | None = None
    ) -> Blueprint:
        """Return a blueprint that ends sessions when Auth0 asks for it.

        Args:
            url: the path of the Back-Channel Logout URI of your application at Auth0.
            client: the name of the client that is this application; ``None`` for the default
                client.
        """
        blueprint = make_blueprint("auth0_tx", client)
        add_backchannel_logout(blueprint, url, client)
        return blueprint

    def handle_errors(self, app: Flask) -> None:
        """Answer errors of this library that a view does not catch.

        The status says who can do something about it; the body gives no detail.  A browser that
        opens a page without being logged in is redirected to the login page.
        """
        app.register_error_handler(Auth0Error, answer_error)
