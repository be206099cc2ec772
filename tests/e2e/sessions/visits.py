"""Requests of browsers that an application answers, whatever becomes of them.

A request that fails is answered too, as an error page, with the cookies that were set on it by
then.  So a visit returns how it went, and the answer is delivered apart: at once, late, or
never.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

import attrs

from auth0_tx import (
    AsyncServerClient,
    LoginWithCustomTokenExchangeOptions,
    ServerClient,
)
from auth0_tx.tenant import Tenant, User
from tests.e2e.sessions.logins import AUDIENCE, Browser, make_settings
from tests.stores.both_worlds import resolve

LOGIN = "login_with_custom_token_exchange"


@attrs.frozen
class Visit:
    """How a request went.

    Attributes:
        value: the result of the client's method, if there is one.
        error: the exception that it ended with, if there is one.
        answer: the store options, whose response has the cookies to deliver.
    """

    value: Any
    error: Exception | None
    answer: dict[str, Any] = attrs.field(repr=False)

    @property
    def is_good(self) -> bool:
        """Whether the method returned."""
        return self.error is None


async def visit(
    client: Any, browser: Browser, method: str, *arguments: Any, **named: Any
) -> Visit:
    """Serve a request of a browser with one method of a client; deliver nothing yet."""
    return await serve(client, browser.request(), method, *arguments, **named)


async def serve(
    client: Any, options: dict[str, Any], method: str, *arguments: Any, **named: Any
) -> Visit:
    """Serve a request that was sent before."""
    # A login takes its own options first; the other methods take the store options first.
    given = (*arguments, options) if method == LOGIN else (options, *arguments)
    try:
        value = await resolve(getattr(client, method)(*given, **named))
    except Exception as error:
        return Visit(None, error, options)
    return Visit(value, None, options)


def make_client(tenant: Tenant, store: Any, *, is_async: bool, **changes: Any) -> Any:
    """Make a client that keeps sessions in a store."""
    kind = AsyncServerClient if is_async else ServerClient
    return kind(**make_settings(tenant, state_store=store, **changes))


async def close(client: Any) -> None:
    """Close a client of either world."""
    is_async = isinstance(client, AsyncServerClient)
    await resolve(client.aclose() if is_async else client.close())


def add_user(tenant: Tenant, name: str) -> str:
    """Add a user to the tenant, and return its ``sub``."""
    user_id = f"auth0|{name}"
    if user_id not in tenant.users:
        tenant.users.add(User(user_id))
    return user_id


def build_options(
    tenant: Tenant,
    user_id: str,
    audience: str = AUDIENCE,
    scope: str = "openid offline_access read:data",
) -> LoginWithCustomTokenExchangeOptions:
    """Return the options of a login of a user, with a refresh token unless *scope* has none."""
    return LoginWithCustomTokenExchangeOptions(
        subject_token=tenant.subject_token(user_id),
        subject_token_type="urn:acme:legacy-token",
        audience=audience,
        scope=scope,
    )


def read_claims(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, which nothing is verified of."""
    claims: dict[str, Any] = json.loads(
        urlsafe_b64decode(str(token).split(".")[1] + "==")
    )
    return claims


def list_reuses(tenant: Tenant) -> list[str]:
    """Return the users of whom a spent refresh token was sent again, as the tenant logs it."""
    return [str(entry.description) for entry in tenant.logs if entry.type == "ferrt"]
