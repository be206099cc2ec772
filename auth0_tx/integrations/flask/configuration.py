"""An application's clients, made from its settings.

``AUTH0_TX_CLIENTS`` has the settings of clients beside the default one, by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import attrs
from flask import Flask

from ...client import ServerClient
from ...errors import ConfigurationError
from ...secret import conceal
from ...session_values import UserClaims
from ..settings import (
    DEFAULT,
    add_defaults,
    check_keywords,
    check_session_cookies,
    make_unknown_client_error,
    to_keywords,
    use_host_keys,
)
from .session_redis import FlaskSessionRedis

EXTENSION = "auth0_tx"
_PREFIX = "AUTH0_TX_"

# Auth0's own samples have these names; all other settings have our prefix.
_SHARED = ("DOMAIN", "CLIENT_ID", "CLIENT_SECRET", "SECRET")

# Settings with our prefix that are the extension's, and not a client's.
_OF_THE_EXTENSION = ("CLIENTS", "LOGIN_URL", "LOGIN_VIEW")


class LoginLink(Protocol):
    """Another login of the application, which begins and ends with that of a client."""

    def begin_request(self) -> None:
        """Note that a request begins."""
        ...

    def begin_login(self, claims: UserClaims) -> None:
        """Log a user in there, or raise an error if that is refused."""
        ...

    def end_login(self) -> AbstractContextManager[None]:
        """Log the user out there, after the client did."""
        ...


@attrs.define(eq=False)
class ConfiguredClient:
    """A client, and the keywords that it was made with.

    Attributes:
        client: the client.
        keywords: what it was made with, for the commands.
        link: another login that follows the client's, or ``None``.
    """

    client: ServerClient
    keywords: dict[str, Any] = attrs.field(repr=False)
    link: LoginLink | None = None


@attrs.frozen
class LoginPage:
    """The page that logs users in, if there is one.

    Attributes:
        url: its URL, or ``None``.
        view: its endpoint, or ``None``.
    """

    url: str | None = None
    view: str | None = None


@attrs.frozen(eq=False)
class ExtensionState:
    """The extension's part of one application.

    Attributes:
        clients: the application's clients by name, the default one included.
        login_page: the page that logs users in.
    """

    clients: dict[str, ConfiguredClient]
    login_page: LoginPage

    def keeps_sessions(self) -> bool:
        """Return whether any of the clients keeps login sessions."""
        return any(found.client.session_cookie for found in self.clients.values())

    def get_client(self, name: str | None = None) -> ConfiguredClient:
        """Return the client *name*, or the default one.

        Raises:
            ConfigurationError: the application has no client of that name.
        """
        found = self.clients.get(name or DEFAULT)
        if found is None:
            raise make_unknown_client_error(
                "this application", name or DEFAULT, self.clients
            )
        return found


def make_state(
    app: Flask,
    given: Mapping[str, Any],
    clients: Mapping[str, Mapping[str, Any]],
    login_page: LoginPage,
) -> ExtensionState:
    """Make an application's clients.

    Args:
        app: the application.
        given: the extension's own keywords for the default client, which win over settings.
        clients: its keywords for other clients, by name, which win likewise.
        login_page: its login page, which wins likewise.

    Raises:
        ConfigurationError: a setting breaks a rule, is unknown or missing.
    """
    default = _read_default(app, given)
    keywords = {DEFAULT: default}
    configured = conceal(app.config.get(f"{_PREFIX}CLIENTS") or {})
    if not isinstance(configured, Mapping):
        raise ConfigurationError(
            f"{_PREFIX}CLIENTS must be a dictionary of clients", parameter="clients"
        )
    for name in {**configured, **clients}:
        own = {
            **_read_client(app, name, configured.get(name, {})),
            **_read_client(app, name, clients.get(name, {})),
        }
        keywords[name] = add_defaults(name, own, default)
        check_keywords(keywords[name], f"{_PREFIX}CLIENTS[{name!r}][{{!r}}]")
    made = {
        name: ConfiguredClient(ServerClient(**own), own)
        for name, own in keywords.items()
    }
    check_session_cookies(
        {name: found.client.session_cookie for name, found in made.items()}
    )
    return ExtensionState(made, _choose_login_page(app, login_page))


def _choose_login_page(app: Flask, given: LoginPage) -> LoginPage:
    if given == LoginPage():
        given = LoginPage(
            app.config.get(f"{_PREFIX}LOGIN_URL"),
            app.config.get(f"{_PREFIX}LOGIN_VIEW"),
        )
    if given.url and given.view:
        raise ConfigurationError(
            f"{_PREFIX}LOGIN_URL and {_PREFIX}LOGIN_VIEW exclude each other",
            parameter="login_url",
        )
    return given


def _read_default(app: Flask, given: Mapping[str, Any]) -> dict[str, Any]:
    own = {
        name.removeprefix(_PREFIX): conceal(value) if isinstance(value, str) else value
        for name, value in app.config.items()
        if name.startswith(_PREFIX)
        and name.removeprefix(_PREFIX) not in _OF_THE_EXTENSION
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
    _replace_short_forms(app, keywords)
    if "secret" not in keywords:
        keywords["secret"] = _read_secret_keys(app)
    check_keywords(keywords, "AUTH0_{}")
    return keywords


def _read_client(app: Flask, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a client beside the default one, named in either case."""
    if not isinstance(settings, Mapping):
        raise ConfigurationError(
            f"{_PREFIX}CLIENTS[{name!r}] must be a dictionary of settings",
            parameter="clients",
        )
    capitals = {str(keyword).upper(): value for keyword, value in settings.items()}
    keywords = to_keywords(capitals, f"{_PREFIX}CLIENTS[{name!r}][{{!r}}]")
    _replace_short_forms(app, keywords)
    return keywords


def _replace_short_forms(app: Flask, keywords: dict[str, Any]) -> None:
    if keywords.get("state_store") == "session":
        keywords["state_store"] = FlaskSessionRedis(app)


def _read_secret_keys(app: Flask) -> list[str] | None:
    keys = [app.secret_key, *(app.config.get("SECRET_KEY_FALLBACKS") or ())]
    # Flask also takes bytes; our secrets are text, and latin-1 keeps each octet.
    texts = [
        key.decode("latin-1") if isinstance(key, bytes) else key for key in keys if key
    ]
    return use_host_keys(texts, "AUTH0_SECRET")
