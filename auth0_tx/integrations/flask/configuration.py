"""An application's settings, as keywords of its client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask

from ...core.configuration import configure
from ...errors import ConfigurationError
from ...secret import conceal
from ..settings_values import keywords_of
from .session_store import FlaskSessionStore

_OURS = "AUTH0_TX_"

# What Auth0's own samples call so.
_SHARED = ("DOMAIN", "CLIENT_ID", "CLIENT_SECRET", "SECRET")


def keywords_for(app: Flask, given: Mapping[str, Any]) -> dict[str, Any]:
    """Give the keywords of an application's client.

    Args:
        app: the application.
        given: what the extension was given, which wins.

    Raises:
        ConfigurationError: a setting is unknown, or needed and not there.
    """
    settings = {
        name.removeprefix(_OURS): conceal(value) if isinstance(value, str) else value
        for name, value in app.config.items()
        if name.startswith(_OURS)
    }
    shared = {
        name: conceal(app.config[f"AUTH0_{name}"])
        for name in _SHARED
        if app.config.get(f"AUTH0_{name}") is not None
    }
    keywords = {
        **keywords_of(shared, "AUTH0_{}"),
        **keywords_of(settings, _OURS + "{}"),
        **given,
    }
    if keywords.get("state_store") == "session":
        keywords["state_store"] = FlaskSessionStore()
    if "secret" not in keywords:
        keywords["secret"] = _secret_keys(app)
    for name in ("domain", "client_id"):
        if name not in keywords:
            raise ConfigurationError(f"AUTH0_{name.upper()} is missing", parameter=name)
    # Every rule, before there is a client.
    configure(**{name: each for name, each in keywords.items() if name != "session"})
    return keywords


def _secret_keys(app: Flask) -> list[str] | None:
    keys = [app.secret_key, *(app.config.get("SECRET_KEY_FALLBACKS") or ())]
    texts = [
        each.decode("latin-1") if isinstance(each, bytes) else each
        for each in keys
        if each
    ]
    found: list[str] | None = conceal(texts) or None
    return found
