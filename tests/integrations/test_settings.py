"""Clients of one site: what a named one takes over, and that each has a cookie of its own."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx import AsyncServerClient, ConfigurationError, ServerClient, SessionPolicy
from auth0_tx.integrations.settings import (
    add_defaults,
    check_session_cookies,
)
from auth0_tx.stores import MemoryStore

SECRET = "of a login session, and long enough: 0123456789"
DEFAULT: dict[str, Any] = {
    "domain": "tenant.example.com",
    "client_id": "web",
    "client_secret": "needle-of-web",
    "client_auth": "client_secret_basic",
    "legacy_secret": "needle-of-the-sdk",
    "secret": SECRET,
    "timeout": 3.0,
    "session_policy": SessionPolicy(idle_seconds=600),
}


def complete(name: str, **keywords: Any) -> dict[str, Any]:
    """Return the keywords of a client beside the default one."""
    return add_defaults(name, {"client_id": name, **keywords}, DEFAULT)


def test_a_named_client_has_its_own_credentials() -> None:
    """It has the default client's settings, but neither its credentials nor its cookie."""
    keywords = complete("orders", timeout=5.0)

    assert {
        "domain": "tenant.example.com",
        "client_id": "orders",
        "secret": SECRET,
        "timeout": 5.0,
        "session_policy": SessionPolicy(
            idle_seconds=600, cookie_name="auth0_tx_orders"
        ),
    } == keywords


def test_cookie_names() -> None:
    """A policy without a cookie name gets the client's; one with a name keeps it."""
    policies = [
        complete("orders", session_policy=policy)["session_policy"]
        for policy in (
            SessionPolicy(cookie_path="/orders"),
            SessionPolicy(cookie_name="shop"),
        )
    ]

    assert [
        SessionPolicy(cookie_name="auth0_tx_orders", cookie_path="/orders"),
        SessionPolicy(cookie_name="shop"),
    ] == policies


@pytest.mark.parametrize(
    "name", ["", "default", "Orders", "1st", "a b", "é", 7, "a" * 51]
)
def test_bad_names(name: Any) -> None:
    """A name that is not fit for a cookie, or is the default client's, is refused."""
    with pytest.raises(ConfigurationError, match="can't be the name of a client"):
        complete(name)


def test_one_cookie_for_two_clients() -> None:
    """Two clients whose sessions would replace each other are refused, in either world."""
    with_sessions: dict[str, Any] = {
        "domain": "tenant.example.com",
        "client_secret": "secret",
        "secret": SECRET,
    }
    web = ServerClient(client_id="web", **with_sessions)
    orders = AsyncServerClient(client_id="orders", **with_sessions)

    with pytest.raises(
        ConfigurationError, match=r"'default' and 'orders'.*cookie_name"
    ):
        check_session_cookies(
            {"default": web.session_cookie, "orders": orders.session_cookie}
        )


def test_cookies_that_are_apart() -> None:
    """Clients without sessions have no cookie; others need different names."""
    clients = {
        "default": DEFAULT | {"legacy_secret": None},
        "orders": complete("orders", client_secret="of orders"),
        "nightly": {"domain": "tenant.example.com", "client_id": "nightly"},
        "shop": complete("shop", secret=None, state_store=MemoryStore()),
    }
    cookies = {
        name: ServerClient(**{"client_secret": "secret", **keywords}).session_cookie
        for name, keywords in clients.items()
    }

    check_session_cookies(cookies)

    assert {
        "default": "__Host-auth0_tx",
        "orders": "__Host-auth0_tx_orders",
        "nightly": None,
        "shop": "__Host-auth0_tx_shop",
    } == cookies
