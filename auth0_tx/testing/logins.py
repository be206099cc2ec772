"""Log a user in to an application, as seen by a framework's test client.

    login(client, "auth0|alice", access_tokens={"https://api.example.com": "read:data"})

The login goes the application's own way: its client begins the session, with its store, its
secret and its cookies, and the integration does what belongs to a login there, such as Django's
own.  Only the exchange at Auth0 is left out.  With a local tenant even that is real.

This is not a back door.  It works on an application object in the same process, whose client
has the secret; it opens no port, adds no route, and leaves the application as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..session_values import UserClaims
    from ..tenant import Tenant
    from .planned_login import PlannedLogin

LIFETIME = 86_400.0
"""Seconds that an access token lasts unless a test says otherwise, as at Auth0."""


def login(
    client: object,
    user: str | Mapping[str, Any],
    *,
    access_tokens: Mapping[str, str] | None = None,
    expires_in: float = LIFETIME,
    name: str | None = None,
    tenant: Tenant | None = None,
) -> UserClaims:
    """Log a user in: the test client's requests are that user's from then on.

    Args:
        client: the test client of Django, of Flask, or of Starlette and FastAPI (within
            ``with TestClient(app)``, as it takes a lifespan to open the application's client).
        user: the user's ``sub``, such as ``auth0|alice``, or claims with it.
        access_tokens: scopes by audience, for an access token each; the first is the login's.
            Without a tenant they are text that no API accepts, and nothing renews them.
        expires_in: seconds that these access tokens last.
        name: the name of one of the application's clients; ``None`` for the default client.
        tenant: the local tenant that the application's client is configured for.  The login is
            a real exchange there, with a refresh token; a user that it does not know is added.

    Returns:
        The user's claims, as the application sees them.

    Raises:
        ConfigurationError: this is not a test client that is known here, the application is
            not set up, or its client keeps no sessions.
        InvalidInputError: a claim, an audience or a scope breaks a rule.
        CustomTokenExchangeError: the login failed, or a middleware answered in its place.
    """
    planned = _plan(user, access_tokens, expires_in, tenant)
    host = _name_host(client)
    if host == "django":
        from .django_client import log_in_with_django

        return log_in_with_django(client, planned, name)
    if host == "flask":
        from .flask_client import log_in_with_flask

        return log_in_with_flask(client, planned, name)
    if host == "starlette":
        from .starlette_client import log_in_with_starlette

        return log_in_with_starlette(client, planned, name)
    raise _refuse(client, "await alogin(...)")


async def alogin(
    client: object,
    user: str | Mapping[str, Any],
    *,
    access_tokens: Mapping[str, str] | None = None,
    expires_in: float = LIFETIME,
    name: str | None = None,
    tenant: Tenant | None = None,
) -> UserClaims:
    """Do what :func:`login` does, for test clients whose requests are awaited.

    Args:
        client: Django's ``AsyncClient``, or the ``TestClient`` of aiohttp, after it was started.
        user: see :func:`login`.
        access_tokens: see :func:`login`.
        expires_in: see :func:`login`.
        name: see :func:`login`.
        tenant: see :func:`login`.

    Returns:
        The user's claims, as the application sees them.

    Raises:
        ConfigurationError: see :func:`login`.
        InvalidInputError: see :func:`login`.
        CustomTokenExchangeError: see :func:`login`.
    """
    planned = _plan(user, access_tokens, expires_in, tenant)
    host = _name_host(client)
    if host == "django-async":
        from .django_client import log_in_with_async_django

        return await log_in_with_async_django(client, planned, name)
    if host == "aiohttp":
        from .aiohttp_client import log_in_with_aiohttp

        return await log_in_with_aiohttp(client, planned, name)
    raise _refuse(client, "login(...)")


def _plan(
    user: str | Mapping[str, Any],
    access_tokens: Mapping[str, str] | None,
    expires_in: float,
    tenant: Tenant | None,
) -> PlannedLogin:
    from .planned_login import PlannedLogin

    claims = {"sub": user} if isinstance(user, str) else dict(user)
    return PlannedLogin(claims, dict(access_tokens or {}), int(expires_in), tenant)


# By the names of their classes, as none of the frameworks is imported here.
_HOSTS = {
    "aiohttp.test_utils.TestClient": "aiohttp",
    "django.test.client.AsyncClient": "django-async",
    "django.test.client.Client": "django",
    "flask.testing.FlaskClient": "flask",
    "starlette.testclient.TestClient": "starlette",
}


def _name_host(client: object) -> str | None:
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(client).__mro__)
    return next((_HOSTS[name] for name in names if name in _HOSTS), None)


def _refuse(client: object, other: str) -> Exception:
    from ..errors import ConfigurationError

    kind = type(client)
    shown = f"{kind.__module__}.{kind.__qualname__}"
    if _name_host(client) is not None:
        return ConfigurationError(f"for a {shown}, call {other}", parameter="client")
    return ConfigurationError(
        f"a {shown} is not a test client of Django, Flask, Starlette or aiohttp",
        parameter="client",
    )
