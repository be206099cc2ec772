"""Every way in which an exchange fails, and what a secret could be caught in on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from auth0_tx import (
    AmbiguousError,
    Auth0Error,
    BlockedError,
    ClientClosedError,
    ConfigurationError,
    DiscoveryError,
    IdTokenError,
    InvalidInputError,
    InvalidResponseError,
    MfaRequiredError,
    NotSentError,
    RateLimitError,
    RefusedError,
    RetryPolicy,
    SigningKeyError,
)
from auth0_tx.tenant import Certificates, Fault, Tenant, User, faults

METADATA, KEYS = "/.well-known/openid-configuration", "/.well-known/jwks.json"
TOKEN = "/oauth/token"
PRIVATE = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0waw\n"

_other_ca = Certificates()

Change = dict[str, Any]


@frozen
class Case:
    """How an error comes about: what is changed about the client, the options, the tenant."""

    error: type[Auth0Error]
    settings: Callable[[Tenant], Change] = lambda _: {}
    options: Callable[[Tenant], Change] = lambda _: {}
    prepare: Callable[[Tenant], object] = lambda _: None
    closed: bool = False


def fault(fault: Fault, path: str = TOKEN) -> Callable[[Tenant], object]:
    """Have the tenant play *fault* every time."""
    return lambda tenant: tenant.inject(fault, path=path, times=None)


def echo(status: int, **members: str) -> Callable[[Tenant], object]:
    """Have the tenant answer with all that it was sent."""

    def answer(tenant: Tenant) -> None:
        secrets = (
            f"{tenant.client_secret} {subjects[tenant]} hint-0123456789-abcdefghij"
        )
        body = {name: f"{text} {secrets}" for name, text in members.items()}
        headers = {"Content-Type": "application/json", "X-Request-Id": secrets}
        fault(faults.status(status, {"error": "invalid_grant", **body}, headers))(
            tenant
        )

    return answer


subjects: dict[Tenant, str] = {}
"""A subject token of each tenant, for it to echo."""


def echo_options(tenant: Tenant) -> Change:
    """Return options whose subject token the tenant knows to echo."""
    return {"subject_token": subjects[tenant]}


CASES = {
    "scheme": Case(
        InvalidInputError, options=lambda t: {"subject_token": f"Bearer {subjects[t]}"}
    ),
    "padding": Case(
        InvalidInputError, options=lambda t: {"actor_token": f" {subjects[t]}"}
    ),
    "control": Case(
        InvalidInputError, options=lambda t: {"subject_token": subjects[t] + "\r"}
    ),
    "type": Case(InvalidInputError, options=lambda t: {"subject_token": [subjects[t]]}),
    "half a pair": Case(
        InvalidInputError, options=lambda _: {"actor_token_type": None}
    ),
    "parameter": Case(
        InvalidInputError,
        options=lambda t: {"authorization_params": {"client_secret": subjects[t]}},
    ),
    "parameter's value": Case(
        InvalidInputError,
        options=lambda t: {"authorization_params": {"hint": subjects[t] + "\x00"}},
    ),
    "secret": Case(
        ConfigurationError, settings=lambda t: {"client_secret": f" {t.client_secret}"}
    ),
    "secret and key": Case(
        ConfigurationError, settings=lambda _: {"client_assertion_signing_key": PRIVATE}
    ),
    "key": Case(
        ConfigurationError,
        settings=lambda _: {
            "client_secret": None,
            "client_assertion_signing_key": PRIVATE,
        },
    ),
    "session secret": Case(
        ConfigurationError, settings=lambda t: {"secret": [t.client_secret, ""]}
    ),
    "proxy": Case(
        ConfigurationError,
        settings=lambda t: {"proxy": f"socks5://{t.client_secret}@p"},
    ),
    "domain": Case(ConfigurationError, settings=lambda _: {"domain": "10.0.0.1"}),
    "closed": Case(ClientClosedError, closed=True),
    "refused connection": Case(NotSentError, prepare=lambda tenant: tenant.stop()),
    "another CA": Case(NotSentError, settings=lambda _: {"verify": _other_ca.ca_file}),
    "handshake": Case(NotSentError, prepare=fault(faults.handshake_reset())),
    "proxy that is down": Case(
        NotSentError,
        settings=lambda t: {"proxy": f"http://user:{t.client_secret}@127.0.0.1:1"},
    ),
    "reset": Case(AmbiguousError, prepare=fault(faults.reset())),
    "cut": Case(AmbiguousError, prepare=fault(faults.truncate(100))),
    "reset in the body": Case(AmbiguousError, prepare=fault(faults.reset_mid_body())),
    "silence": Case(
        AmbiguousError,
        settings=lambda _: {"timeout": 0.3},
        prepare=fault(faults.silence()),
    ),
    "no HTTP": Case(AmbiguousError, prepare=fault(faults.raw(b"NOT HTTP\r\n\r\n"))),
    "gateway": Case(AmbiguousError, prepare=fault(faults.html(502))),
    "no metadata": Case(DiscoveryError, prepare=fault(faults.status(404), METADATA)),
    "metadata in HTML": Case(DiscoveryError, prepare=fault(faults.html(), METADATA)),
    "another's metadata": Case(
        DiscoveryError,
        prepare=fault(
            faults.status(200, {"issuer": "https://other.example"}), METADATA
        ),
    ),
    "HTML": Case(InvalidResponseError, prepare=fault(faults.html())),
    "redirect": Case(
        InvalidResponseError,
        prepare=fault(faults.status(307, None, {"Location": "https://other.example"})),
    ),
    "token with a space": Case(
        InvalidResponseError,
        prepare=lambda tenant: tenant.alter_reply(
            lambda reply: reply.including(access_token=f"{subjects[tenant]} and more")
        ),
    ),
    "echo in a broken answer": Case(
        InvalidResponseError, options=echo_options, prepare=echo(200, access_token="")
    ),
    "echo": Case(
        RefusedError, options=echo_options, prepare=echo(400, error_description="no:")
    ),
    "echo as the code": Case(
        RefusedError, options=echo_options, prepare=echo(403, error="no:")
    ),
    "no such user": Case(
        RefusedError,
        options=lambda tenant: {"subject_token": tenant.subject_token("auth0|nobody")},
    ),
    "wrong secret": Case(
        RefusedError,
        settings=lambda _: {"client_secret": "wrong-0123456789-abcdefghij"},
    ),
    "wrong secret in the header": Case(
        RefusedError,
        settings=lambda _: {
            "client_secret": "wrong-0123456789-abcdefghij",
            "client_auth": "client_secret_basic",
        },
    ),
    "MFA": Case(
        MfaRequiredError,
        options=lambda tenant: {
            "subject_token": tenant.subject_token("auth0|carol"),
            "actor_token": None,
            "actor_token_type": None,
        },
        prepare=lambda tenant: tenant.users.add(User("auth0|carol", mfa=True)),
    ),
    "rate limit": Case(
        RateLimitError,
        settings=lambda _: {"retry": RetryPolicy(attempts=1)},
        prepare=fault(faults.status(429, {"error": "too_many_requests"})),
    ),
    "block": Case(
        BlockedError, prepare=fault(faults.status(429, {"error": "too_many_attempts"}))
    ),
}

RETURNED = {
    "claims": Case(
        IdTokenError,
        prepare=lambda tenant: tenant.alter_id_token(lambda c: {**c, "aud": "other"}),
    ),
    "no ID token": Case(IdTokenError, options=lambda _: {"scope": None}),
    "keys": Case(SigningKeyError, prepare=fault(faults.status(500), KEYS)),
    "keys in HTML": Case(SigningKeyError, prepare=fault(faults.html(), KEYS)),
    "other keys": Case(
        SigningKeyError, prepare=fault(faults.status(200, {"keys": []}), KEYS)
    ),
}
