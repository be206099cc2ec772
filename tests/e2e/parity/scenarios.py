"""Scenarios: a tenant, a client, some exchanges, and how each must end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from auth0_tx import CustomTokenExchangeError, IdTokenError, RetryPolicy
from auth0_tx.tenant import Tenant

NOON = 1_700_000_000.0
AUDIENCE = "https://api.example.com"
MCP_TOKEN, LEGACY_TOKEN = "urn:acme:mcp-token", "urn:acme:legacy-token"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
DISCOVERY = "/.well-known/openid-configuration"
JWKS, TOKEN = "/.well-known/jwks.json", "/oauth/token"
QUICK = RetryPolicy(transient_delay=0.01, throttled_delay=0.01)

Act = Callable[[Tenant], object]


@frozen(kw_only=True)
class Tokens:
    """An exchange that succeeds.

    Args:
        scope: The scope granted.
        id_token: Whether there is one.
        refresh_token: Whether there is one.
        act: The acting party.
        act_error: Why there is none: the class and the code.
        claims: Some claims of the access token, where it is a JWT.
    """

    scope: str | None = None
    id_token: bool = False
    refresh_token: bool = False
    act: Mapping[str, Any] | None = None
    act_error: tuple[type[IdTokenError], str] | None = None
    claims: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Fails:
    """An exchange that does not.

    Args:
        error: The exact class.
        code: Its code.
        status: Its status.
        retry_safe: Its retry_safe.
        retry_after: Its retry_after.
        says: A part of its message.
        hints: A part of its hint; None where it has none.
    """

    error: type[CustomTokenExchangeError]
    code: str
    status: int | None = None
    retry_safe: bool = False
    retry_after: float | None = None
    says: str = ""
    hints: str | None = None


def do_nothing(tenant: Tenant) -> None:
    """Change nothing."""


def build_no_options(tenant: Tenant) -> dict[str, Any]:
    """Return no options."""
    return {}


@frozen(kw_only=True)
class Scenario:
    """One line of the table.

    Args:
        name: The feature it shows.
        ends: How its exchanges end, in order.
        tenant: Keywords of the tenant.
        arrange: Prepares the tenant, once.
        begin: Prepares the tenant, for each world.
        keywords: Keywords of the client.
        options: Of every exchange.
        between: Changes the tenant between two exchanges.
        paths: The paths that the tenant must have received, in order.
    """

    name: str
    ends: tuple[Tokens | Fails, ...]
    tenant: Mapping[str, Any] = field(factory=dict)
    arrange: Act = do_nothing
    begin: Act = do_nothing
    keywords: Callable[[Tenant], Mapping[str, Any]] = build_no_options
    options: Callable[[Tenant], Mapping[str, Any]] = build_no_options
    between: Act = do_nothing
    paths: tuple[str, ...] = (DISCOVERY, TOKEN)


def set_options(**options: Any) -> Callable[[Tenant], Mapping[str, Any]]:
    """Return a function that returns *options* for any tenant."""
    return lambda tenant: options


def let_act(
    sub: str, *, act: Mapping[str, Any] | None = None, **options: Any
) -> Callable[[Tenant], Mapping[str, Any]]:
    """Return a function that makes *sub* the actor, with a token that may name earlier actors."""

    def build(tenant: Tenant) -> Mapping[str, Any]:
        earlier = {} if act is None else {"act": act}
        token = tenant.subject_token(sub, expires_in=10**6, **earlier)
        return {"actor_token": token, "actor_token_type": LEGACY_TOKEN, **options}

    return build
