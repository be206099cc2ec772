"""Logged-in users of a local tenant, and the requests of their browsers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Any

from auth0_tx import (
    AsyncServerClient,
    LoginWithCustomTokenExchangeOptions,
    ServerClient,
)
from auth0_tx.tenant import Tenant

SECRET = "of a login session, and long enough: 0123456789"
AUDIENCE = "https://api.example.com"


class Request:
    """A request, with the cookies that every framework's request has."""

    def __init__(self, cookies: dict[str, str]) -> None:
        self.cookies = dict(cookies)


class Response:
    """A response to set cookies on."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.jar: SimpleCookie = SimpleCookie()

    def set_cookie(self, name: str, value: str, *, max_age: int, **_: Any) -> None:
        self.jar[name] = value
        self.jar[name]["max-age"] = max_age


class Browser:
    """A browser: the cookies that each of its requests carries."""

    def __init__(self, cookies: dict[str, str] | None = None) -> None:
        self.cookies = cookies or {}

    def request(self) -> dict[str, Any]:
        """Return the store options of a request with the current cookies."""
        return {"request": Request(self.cookies), "response": Response()}

    def take(self, options: dict[str, Any]) -> None:
        """Take the cookies of a response."""
        for name, morsel in options["response"].jar.items():
            if int(morsel["max-age"]) > 0:
                self.cookies[name] = morsel.value
            else:
                self.cookies.pop(name, None)


def make_settings(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    """Return the keywords of a client of the tenant that keeps sessions."""
    return {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        "secret": SECRET,
        **changes,
    }


def build_login_options(
    tenant: Tenant, user: str
) -> LoginWithCustomTokenExchangeOptions:
    """Return the options of a login that brings a refresh token."""
    return LoginWithCustomTokenExchangeOptions(
        subject_token=tenant.subject_token(user),
        subject_token_type="urn:acme:legacy-token",
        audience=AUDIENCE,
        scope="openid offline_access read:data",
    )


@contextmanager
def shorten_tokens(tenant: Tenant) -> Iterator[None]:
    """Make the tenant issue tokens that expire within a second."""
    tenant.apis.change(AUDIENCE, token_lifetime=1)
    try:
        yield
    finally:
        tenant.apis.change(AUDIENCE, token_lifetime=86_400)


def log_in(client: ServerClient, tenant: Tenant, user: str = "auth0|alice") -> Browser:
    """Log a user in, wait until the token has expired, and return the browser."""
    browser = Browser()
    options = browser.request()
    with shorten_tokens(tenant):
        client.login_with_custom_token_exchange(
            build_login_options(tenant, user), options
        )
    time.sleep(1)
    browser.take(options)
    return browser


async def log_in_async(
    client: AsyncServerClient, tenant: Tenant, user: str = "auth0|alice"
) -> Browser:
    """Log a user in, wait until the token has expired, and return the browser."""
    (browser,) = await log_in_often(client, tenant, 1, user)
    return browser


async def log_in_often(
    client: AsyncServerClient, tenant: Tenant, count: int, user: str = "auth0|alice"
) -> list[Browser]:
    """Log a user in from several browsers, and wait until their tokens have expired."""
    browsers = [Browser() for _ in range(count)]
    with shorten_tokens(tenant):
        for browser in browsers:
            options = browser.request()
            await client.login_with_custom_token_exchange(
                build_login_options(tenant, user), options
            )
            browser.take(options)
    await asyncio.sleep(1)
    return browsers


def count_refreshes(tenant: Tenant) -> int:
    """Return how many refreshes the tenant has seen."""
    return sum(
        b"grant_type=refresh_token" in request.body for request in tenant.requests
    )
