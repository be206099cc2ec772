"""A framework's settings as keyword arguments of a client.

A setting has the name of the keyword in capitals, so a new keyword of the clients is a setting
of every host without a line here.

A site may have several clients, one for each of its applications at Auth0.  One is the default
client; the others have names.  Each keeps its sessions in a cookie of its own: under one name,
a login with one client would replace the session of the other.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from ..core.configuration import Settings, check_secret, configure
from ..errors import ConfigurationError
from ..secret import conceal
from ..values import CachePolicy, RetryPolicy, SessionPolicy

_POLICIES = {
    "cache_policy": CachePolicy,
    "retry": RetryPolicy,
    "session_policy": SessionPolicy,
}
_REQUIRED = ("domain", "client_id")

DEFAULT = "default"
"""The name of the default client."""

# Part of a cookie's name, so its length is bounded as well.
_is_client_name = re.compile(r"[a-z][a-z0-9_]{0,49}").fullmatch

# What proves who an application is, or was: never another application's.
_CREDENTIALS = frozenset(
    {
        "client_id",
        "client_secret",
        "client_assertion_signing_key",
        "client_assertion_signing_alg",
        "client_auth",
        "legacy_secret",
    }
)


def to_keywords(settings: Mapping[str, Any], template: str) -> dict[str, Any]:
    """Return the keyword arguments of a client.

    Args:
        settings: values by keyword in capitals.  A policy may be a mapping of its fields.
        template: how an error shows a setting's name, such as ``AUTH0_TX[{}]``.

    Raises:
        ConfigurationError: a name is not a keyword of the clients, or not in capitals.
    """
    known = frozenset(inspect.signature(configure).parameters)
    keywords = {}
    for name, value in settings.items():
        keyword = name.lower()
        if keyword not in known or name != name.upper():
            names = ", ".join(sorted(keyword.upper() for keyword in known))
            raise ConfigurationError(
                f"{template.format(name)} is not a setting; the settings are {names}",
                parameter=name,
            )
        if keyword in _POLICIES and isinstance(value, Mapping):
            value = _to_policy(keyword, value, template.format(name))
        keywords[keyword] = conceal(value) if isinstance(value, str) else value
    return keywords


def use_host_keys(keys: Sequence[str], setting: str) -> list[str] | None:
    """Return a framework's own keys as the secret of sessions, or ``None`` if it has none.

    Args:
        keys: the framework's ``SECRET_KEY``, and those before it.
        setting: the setting that would be used instead, as an error shows it.

    Raises:
        ConfigurationError: the first of them breaks a rule.
    """
    keys = conceal([key for key in keys if key])
    problem = check_secret(keys or None)
    if problem is not None:
        raise ConfigurationError(
            f"{setting} is not set, so SECRET_KEY encrypts sessions: it {problem.rule}",
            parameter=problem.parameter,
        )
    return list(keys) or None


def check_keywords(keywords: Mapping[str, Any], template: str) -> Settings:
    """Check every rule of a client's keywords without making the client.

    Args:
        keywords: the keyword arguments of a client.
        template: how an error shows a setting's name, as for :func:`to_keywords`.

    Returns:
        The configuration of such a client.

    Raises:
        ConfigurationError: a keyword breaks a rule, or a required one is missing.
    """
    for name in _REQUIRED:
        if name not in keywords:
            raise ConfigurationError(
                f"{template.format(name.upper())} is missing", parameter=name
            )
    # The session is the shell's; ``configure`` checks everything that the core needs.
    return configure(**{name: keywords[name] for name in keywords if name != "session"})


def add_defaults(
    name: str, keywords: Mapping[str, Any], default: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the keywords of the client *name*, completed with the default client's.

    Sessions and cached tokens are bound to the issuer and the client id, so clients may share
    stores, caches and secrets.  Credentials are not shared, nor is the session cookie: without
    a name of its own it is ``auth0_tx_<name>``.

    Args:
        name: the client's name.
        keywords: its own keywords.
        default: the keywords of the default client; empty to inherit nothing.

    Raises:
        ConfigurationError: *name* is not fit for a client.
    """
    check_client_name(name)
    inherited = {
        keyword: value
        for keyword, value in default.items()
        if keyword not in _CREDENTIALS
    }
    own = keywords.get("session_policy")
    policy = own or inherited.get("session_policy") or SessionPolicy()
    # A policy that is not one is refused with the other keywords.
    if isinstance(policy, SessionPolicy) and (
        own is None or policy.cookie_name == SessionPolicy().cookie_name
    ):
        policy = attrs.evolve(policy, cookie_name=get_default_cookie_name(name))
    return {**inherited, **keywords, "session_policy": policy}


def check_client_name(name: str) -> None:
    """Raise an error if *name* cannot be that of a client besides the default.

    Raises:
        ConfigurationError: *name* is not fit for a client.
    """
    if name == DEFAULT or not isinstance(name, str) or not _is_client_name(name):
        raise ConfigurationError(
            f"{name!r} can't be the name of a client: use a-z, 0-9 and _, up to 50, a letter "
            f"first, and not {DEFAULT!r}",
            parameter="clients",
        )


def get_default_cookie_name(name: str) -> str:
    """Return the name of a named client's session cookie, without a prefix."""
    return f"auth0_tx_{name}"


def make_unknown_client_error(
    owner: str, name: str, names: Iterable[str], parameter: str = "clients"
) -> ConfigurationError:
    """Return the error of a client that is asked for and does not exist.

    Args:
        owner: who should have it, such as the setting.
        name: the name that was asked for.
        names: the names that there are.
        parameter: the parameter or setting to change.
    """
    known = ", ".join(map(repr, names))
    return ConfigurationError(
        f"{owner} has no client {name!r}; it has {known}", parameter=parameter
    )


def check_session_cookies(cookies: Mapping[str, str | None]) -> None:
    """Check that no two clients of a site keep their sessions under one cookie name.

    Args:
        cookies: the ``session_cookie`` of each client, by the client's name.

    Raises:
        ConfigurationError: two clients have the same session cookie.
    """
    names: dict[str, str] = {}
    for name, cookie in cookies.items():
        if cookie is None:
            continue
        other = names.setdefault(cookie, name)
        if other != name:
            raise ConfigurationError(
                f"the clients {other!r} and {name!r} keep sessions in one cookie, {cookie}: "
                "set session_policy=SessionPolicy(cookie_name=...) of one of them",
                parameter="session_policy.cookie_name",
            )


def _to_policy(keyword: str, fields: Mapping[str, Any], shown: str) -> object:
    policy_class = _POLICIES[keyword]
    try:
        return policy_class(**{name.lower(): value for name, value in fields.items()})
    except (AttributeError, TypeError):
        # Raised below instead: this error's text may have the value of a field.
        pass
    raise ConfigurationError(
        f"{shown} has a field that {policy_class.__name__} does not have",
        parameter=keyword,
    )
