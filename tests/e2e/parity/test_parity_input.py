"""Invalid input: refused alike in both worlds, by rule, and before anything is sent."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from auth0_tx import (
    AsyncServerClient,
    ConfigurationError,
    CustomTokenExchangeError,
    CustomTokenExchangeOptions,
    InvalidInputError,
    RetryPolicy,
    ServerClient,
)
from auth0_tx import CustomTokenExchangeErrorCode as Code
from auth0_tx.tenant import Tenant

NEEDLE = "needle-0123456789"
PARAMS = "authorization_params"

OPTIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "empty token": ({"subject_token": ""}, Code.INVALID_TOKEN_FORMAT, "subject_token"),
    "blank token": ({"subject_token": " "}, Code.INVALID_TOKEN_FORMAT, "subject_token"),
    "padded token": (
        {"subject_token": f" {NEEDLE}"},
        Code.INVALID_TOKEN_FORMAT,
        "subject_token",
    ),
    "scheme": (
        {"subject_token": f"bEARER {NEEDLE}"},
        Code.INVALID_TOKEN_FORMAT,
        "subject_token",
    ),
    "line break": (
        {"subject_token": f"{NEEDLE}\r\nX: y"},
        Code.INVALID_TOKEN_FORMAT,
        "subject_token",
    ),
    "NUL": (
        {"subject_token": f"{NEEDLE}\0"},
        Code.INVALID_TOKEN_FORMAT,
        "subject_token",
    ),
    "half a surrogate": (
        {"subject_token": f"{NEEDLE}\ud800"},
        Code.INVALID_TOKEN_FORMAT,
        "subject_token",
    ),
    "bytes": (
        {"subject_token": NEEDLE.encode()},
        Code.INVALID_TOKEN_FORMAT,
        "subject_token",
    ),
    "no token": ({"subject_token": None}, Code.INVALID_TOKEN_FORMAT, "subject_token"),
    "long token": (
        {"subject_token": NEEDLE * 5_000},
        Code.INVALID_TOKEN_FORMAT,
        "subject_token",
    ),
    "type that is not a URI": (
        {"subject_token_type": "legacy"},
        Code.INVALID_ARGUMENT,
        "subject_token_type",
    ),
    "type that Auth0 reserves": (
        {"subject_token_type": "urn:auth0:token"},
        Code.INVALID_ARGUMENT,
        "subject_token_type",
    ),
    "actor without type": (
        {"actor_token": NEEDLE},
        Code.MISSING_ACTOR_TOKEN_TYPE,
        "actor_token_type",
    ),
    "type without actor": (
        {"actor_token_type": "urn:acme:legacy-token"},
        Code.MISSING_ACTOR_TOKEN,
        "actor_token",
    ),
    "actor with a scheme": (
        {
            "actor_token": f"Bearer {NEEDLE}",
            "actor_token_type": "urn:acme:legacy-token",
        },
        Code.INVALID_TOKEN_FORMAT,
        "actor_token",
    ),
    "scope with a line break": (
        {"scope": "openid\nprofile"},
        Code.INVALID_ARGUMENT,
        "scope",
    ),
    "scope with two spaces": (
        {"scope": "openid  profile"},
        Code.INVALID_ARGUMENT,
        "scope",
    ),
    "scope as a list": ({"scope": ["openid"]}, Code.INVALID_ARGUMENT, "scope"),
    "empty audience": ({"audience": ""}, Code.INVALID_ARGUMENT, "audience"),
    "audience beyond ASCII": (
        {"audience": "https://\u00e9"},
        Code.INVALID_ARGUMENT,
        "audience",
    ),
    "organization as a number": (
        {"organization": 1},
        Code.INVALID_ARGUMENT,
        "organization",
    ),
    "parameter of ours": (
        {PARAMS: {"Client_ID": NEEDLE}},
        Code.RESERVED_PARAMETER,
        f"{PARAMS}['client_id']",
    ),
    "parameter twice": (
        {PARAMS: {"pin": "1", "PIN": "2"}},
        Code.INVALID_ARGUMENT,
        f"{PARAMS}['pin']",
    ),
    "parameter with an odd name": (
        {PARAMS: {"client_id[]": "x"}},
        Code.INVALID_ARGUMENT,
        PARAMS,
    ),
    "parameter as a list": (
        {PARAMS: {"pin": [NEEDLE]}},
        Code.INVALID_ARGUMENT,
        f"{PARAMS}['pin']",
    ),
    "parameters as pairs": (
        {PARAMS: [("pin", NEEDLE)]},
        Code.INVALID_ARGUMENT,
        PARAMS,
    ),
    "flag as a word": (
        {"subject_token_reusable": "yes"},
        Code.INVALID_ARGUMENT,
        "subject_token_reusable",
    ),
}


def collect_refusals(
    tenant: Tenant, keywords: dict[str, Any], options: CustomTokenExchangeOptions
) -> list[CustomTokenExchangeError]:
    """Return the errors of both clients, made with *keywords*, for *options*."""
    full = {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        **keywords,
    }
    full = {name: value for name, value in full.items() if value is not ...}

    async def ask() -> None:
        async with AsyncServerClient(**full) as client:
            await client.custom_token_exchange(options)

    with (
        pytest.raises(CustomTokenExchangeError) as blocking,
        ServerClient(**full) as client,
    ):
        client.custom_token_exchange(options)
    with pytest.raises(CustomTokenExchangeError) as asynchronous:
        asyncio.run(ask())
    return [blocking.value, asynchronous.value]


def check_alike(errors: list[CustomTokenExchangeError], tenant: Tenant) -> None:
    """Assert that both errors have the same text, without a value, and that nothing was sent."""
    blocking, asynchronous = errors

    assert type(blocking) is type(asynchronous)
    assert blocking.args == asynchronous.args
    for error in errors:
        assert "validate" == error.phase
        assert NEEDLE not in repr((str(error), error.args, vars(error)))
        assert error.__cause__ is None
        assert error.__context__ is None
    assert 0 == tenant.connections


@pytest.fixture(scope="module")
def tenant(auth0_tenant_keys: Any, auth0_tenant_certificates: Any) -> Any:
    """A tenant that nobody should ever reach."""
    with Tenant(
        keys=auth0_tenant_keys, certificates=auth0_tenant_certificates
    ) as tenant:
        yield tenant


@pytest.mark.parametrize("name", OPTIONS)
def test_options_are_refused_alike(name: str, tenant: Tenant) -> None:
    """An option that breaks a rule is refused in the same words by both clients."""
    changes, code, parameter = OPTIONS[name]
    chosen = {
        "subject_token": NEEDLE,
        "subject_token_type": "urn:acme:mcp-token",
        **changes,
    }
    errors = collect_refusals(tenant, {}, CustomTokenExchangeOptions(**chosen))

    check_alike(errors, tenant)
    for error in errors:
        assert InvalidInputError is type(error)
        assert code == error.code
        assert parameter == error.parameter


KEYWORDS: dict[str, tuple[dict[str, Any], str]] = {
    "no client_id": ({"client_id": ""}, "client_id"),
    "no secret": ({"client_secret": ...}, "client_secret"),
    "secret that does not go": ({"client_auth": "none"}, "client_secret"),
    "key that is missing": (
        {"client_auth": "private_key_jwt", "client_secret": ...},
        "client_assertion_signing_key",
    ),
    "key that is not a key": (
        {"client_assertion_signing_key": NEEDLE, "client_secret": ...},
        "client_assertion_signing_key",
    ),
    "unknown method": ({"client_auth": "basic"}, "client_auth"),
    "unknown algorithm": (
        {"client_assertion_signing_alg": "HS256"},
        "client_assertion_signing_alg",
    ),
    "domain with a path": ({"domain": "tenant.us.auth0.com/x"}, "domain"),
    "domain with a user": ({"domain": "user@tenant.us.auth0.com"}, "domain"),
    "address": ({"domain": "10.0.0.1"}, "domain"),
    "loopback without a port": ({"domain": "localhost"}, "domain"),
    "no time": ({"timeout": 0}, "timeout"),
    "no number": ({"timeout": float("nan")}, "timeout"),
    "no attempt": ({"retry": RetryPolicy(attempts=0)}, "retry.attempts"),
    "no connection": ({"max_connections": 0}, "max_connections"),
    "no verification": ({"verify": False}, "verify"),
    "no bundle": ({"verify": "/nowhere/ca.pem"}, "verify"),
    "lax context": ({"verify": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}, "verify"),
    "proxy without a scheme": ({"proxy": "proxy.example.com:3128"}, "proxy"),
    "clock that does not tick": ({"clock": 1}, "clock"),
    "session of another library": ({"session": object()}, "session"),
    "resolver of a loopback": (
        {"domain": lambda store_options: "localhost:8443"},
        "domain",
    ),
    "resolver of nothing": ({"domain": lambda store_options: None}, "domain"),
}


@pytest.mark.parametrize("name", KEYWORDS)
def test_keywords_are_refused_alike(name: str, tenant: Tenant) -> None:
    """A keyword that breaks a rule is refused in the same words by both clients."""
    keywords, parameter = KEYWORDS[name]
    options = CustomTokenExchangeOptions(
        subject_token=NEEDLE, subject_token_type="urn:acme:mcp-token"
    )
    errors = collect_refusals(tenant, keywords, options)
    kind = InvalidInputError if name.startswith("resolver") else ConfigurationError

    if "session" in name:
        # Each client names the library that it is for.
        assert ["requests", "aiohttp"] == [
            word
            for error in errors
            for word in ("requests", "aiohttp")
            if word in error.message
        ]
        errors = [errors[0]] * 2
    check_alike(errors, tenant)
    assert kind is type(errors[0])
    assert parameter == errors[0].parameter
