"""Call an API with the token of an exchange, of a session, or on behalf of a user.

``ApiAuth`` is the ``auth`` of a ``requests.Session``, and ``AsyncApiAuth`` a middleware of an
``aiohttp.ClientSession``.  Both attach the token to requests below one base URL, replace it
before it expires, and, if the API answers 401, exchange once more and send once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api_auth import ApiAuth
    from .async_api_auth import AsyncApiAuth

__all__ = ["ApiAuth", "AsyncApiAuth"]

# Each imports its HTTP library, and a program needs one of them.
_LAZY = {"ApiAuth": ".api_auth", "AsyncApiAuth": ".async_api_auth"}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(module, __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
