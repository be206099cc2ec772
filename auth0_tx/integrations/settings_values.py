"""Settings of a framework as keywords of a client: by the same names, in capitals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from ..secret import conceal
from ..values import CachePolicy, RetryPolicy, SessionPolicy
from .keywords import client_keywords

_POLICIES = {
    "cache_policy": CachePolicy,
    "retry": RetryPolicy,
    "session_policy": SessionPolicy,
}


def keywords_of(settings: Mapping[str, Any], shown: str) -> dict[str, Any]:
    """Give a client's keywords.

    Args:
        settings: by the keywords' names in capitals; a policy may be a mapping of its fields.
        shown: how a setting is written, such as ``AUTH0_TX[{}]``, for an error.

    Raises:
        ConfigurationError: a name is none of a client's.
    """
    known, keywords = client_keywords(), {}
    for name, value in settings.items():
        keyword = name.lower()
        if keyword not in known or name != name.upper():
            raise ConfigurationError(
                f"{shown.format(name)} is no setting; those are "
                f"{', '.join(sorted(each.upper() for each in known))}",
                parameter=name,
            )
        if keyword in _POLICIES and isinstance(value, Mapping):
            value = _policy(keyword, value, shown.format(name))
        keywords[keyword] = conceal(value) if isinstance(value, str) else value
    return keywords


def _policy(keyword: str, fields: Mapping[str, Any], shown: str) -> object:
    kind = _POLICIES[keyword]
    try:
        return kind(**{name.lower(): value for name, value in fields.items()})
    except (AttributeError, TypeError):
        pass
    raise ConfigurationError(
        f"{shown} has a field that a {kind.__name__} does not have", parameter=keyword
    )
