"""A framework's settings as keyword arguments of a client.

A setting has the name of the keyword in capitals, so a new keyword of the clients is a setting
of every host without a line here.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.configuration import check_secret, configure
from ..errors import ConfigurationError
from ..secret import conceal
from ..values import CachePolicy, RetryPolicy, SessionPolicy

_POLICIES = {
    "cache_policy": CachePolicy,
    "retry": RetryPolicy,
    "session_policy": SessionPolicy,
}
_REQUIRED = ("domain", "client_id")


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


def check_keywords(keywords: Mapping[str, Any], template: str) -> None:
    """Check every rule of a client's keywords without making the client.

    Args:
        keywords: the keyword arguments of a client.
        template: how an error shows a setting's name, as for :func:`to_keywords`.

    Raises:
        ConfigurationError: a keyword breaks a rule, or a required one is missing.
    """
    for name in _REQUIRED:
        if name not in keywords:
            raise ConfigurationError(
                f"{template.format(name.upper())} is missing", parameter=name
            )
    # The session is the shell's; ``configure`` checks everything that the core needs.
    configure(**{name: keywords[name] for name in keywords if name != "session"})


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
