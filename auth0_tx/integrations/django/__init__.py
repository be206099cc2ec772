"""Auth0 in Django: put ``"auth0_tx.integrations.django"`` into ``INSTALLED_APPS``.

The setting ``AUTH0_TX`` is a dictionary of the client's keywords in capitals.  Nothing here
needs a model, and only the authentication backend needs Django's users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import django as _django
except ImportError:
    from ...errors import ConfigurationError

    raise ConfigurationError(
        "django is not installed: pip install 'auth0-tx[django]'", parameter="django"
    ) from None

del _django

if TYPE_CHECKING:
    from .cache_store import DjangoCacheStore, DjangoTokenCache
    from .clients import get_client
    from .database_store import DjangoDatabaseStore
    from .request_client import (
        DjangoRequestAuth0,
        alogin,
        alogout,
        auth0_of,
        login,
        logout,
    )
    from .vaults import DjangoCacheVault, DjangoDatabaseVault

__all__ = [
    "DjangoCacheStore",
    "DjangoCacheVault",
    "DjangoDatabaseStore",
    "DjangoDatabaseVault",
    "DjangoRequestAuth0",
    "DjangoTokenCache",
    "alogin",
    "alogout",
    "auth0_of",
    "get_client",
    "login",
    "logout",
]

# Settings name this package in INSTALLED_APPS, so it is imported before there are any settings.
_LAZY = {
    "DjangoCacheStore": ".cache_store",
    "DjangoCacheVault": ".vaults",
    "DjangoDatabaseStore": ".database_store",
    "DjangoDatabaseVault": ".vaults",
    "DjangoRequestAuth0": ".request_client",
    "DjangoTokenCache": ".cache_store",
    "alogin": ".request_client",
    "alogout": ".request_client",
    "auth0_of": ".request_client",
    "get_client": ".clients",
    "login": ".request_client",
    "logout": ".request_client",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(module, __name__), name)
