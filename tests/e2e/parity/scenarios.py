"""The scenarios that both clients must play alike: what is asked, and how it ends.

A scenario prepares a tenant, makes a client's keywords, and asks one or more times.  How it
ends is written once, for both worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from auth0_tx import (
    BlockedError,
    ConfigurationError,
    CustomTokenExchangeOptions,
    InvalidInputError,
    MfaRequiredError,
    RateLimitError,
    RefusedError,
    RetryPolicy,
    TokenType,
)
from auth0_tx.tenant import Api, Application, Profile, Tenant, faults

API = "https://api.example.com"
LEGACY = "urn:acme:legacy-token"
AT_ONCE = RetryPolicy(transient_delay=0.0, throttled_delay=0.0)


@attrs.frozen
class Ending:
    """How one exchange ends: the parts of a response, or of an error, that must be so."""

    error: type[Exception] | None = None
    parts: Mapping[str, Any] = attrs.field(factory=dict)


def granted(**parts: Any) -> Ending:
    """Say that it succeeds, with a response of these parts."""
    return Ending(None, parts)


def fails(error: type[Exception], **parts: Any) -> Ending:
    """Say that it fails, with an error of these parts."""
    return Ending(error, parts)


@attrs.frozen(kw_only=True)
class Scenario:
    """One row.

    Attributes:
        name: what it is about.
        options: what to ask for; a value may be made of the tenant.
        endings: how each time ends that it is asked.
        sends: the requests to the token endpoint that all of it may cost.
        prepare: what to do to the tenant first, once.
        before: what to do to the tenant before each world plays.
        between: what to do to the tenant between two askings.
        rest: seconds that pass for the tenant between the worlds.
        keywords: of the client, beside the tenant's own.
    """

    name: str
    options: Mapping[str, Any] = attrs.field(factory=dict)
    endings: tuple[Ending, ...] = (granted(),)
    sends: int = 1
    prepare: Callable[[Tenant], object] = lambda tenant: None
    before: Callable[[Tenant], object] = lambda tenant: None
    between: Callable[[Tenant], object] = lambda tenant: None
    rest: float = 0.0
    keywords: Callable[[Tenant], Mapping[str, Any]] = lambda tenant: {}


def options_of(scenario: Scenario, tenant: Tenant) -> CustomTokenExchangeOptions:
    """Make a scenario's options at a tenant."""
    plain = {
        "subject_token": tenant.subject_token("auth0|alice"),
        "subject_token_type": LEGACY,
    }
    chosen = {
        name: value(tenant) if callable(value) else value
        for name, value in scenario.options.items()
    }
    return CustomTokenExchangeOptions(**plain | chosen)


def profile(action: Callable[[Any, Any], None]) -> Callable[[Tenant], object]:
    """Give the type ``urn:acme:test`` an Action."""
    return lambda tenant: tenant.profiles.add(
        Profile(subject_token_type="urn:acme:test", action=action)
    )


def application(**changes: Any) -> Callable[[Tenant], object]:
    """Change the tenant's own application."""
    return lambda tenant: tenant.applications.change(tenant.client_id, **changes)


def deny(code: str) -> Callable[[Any, Any], None]:
    """Make an Action that denies with *code*."""
    return lambda event, api: api.access.deny(code, "not today")


def _raise(event: Any, api: Any) -> None:
    raise RuntimeError("the Action is broken")


def _say_what_came(event: Any, api: Any) -> None:
    api.access.deny("seen", str(event.request.body["custom_field"]))


def _throttled(tenant: Tenant) -> None:
    tenant.inject(
        faults.status(
            429,
            b'{"error":"too_many_requests","error_description":"Rate limit exceeded."}',
            {"Content-Type": "application/json", "Retry-After": "7"},
        )
    )


def _throttled_shortly(tenant: Tenant) -> None:
    tenant.inject(
        faults.status(
            429,
            b'{"error":"too_many_requests","error_description":"Rate limit exceeded."}',
            {"Content-Type": "application/json", "Retry-After": "0"},
        )
    )


def _actor(subject: str, **claims: Any) -> dict[str, Any]:
    return {
        "scope": "openid",
        "actor_token": lambda tenant: tenant.subject_token(subject, **claims),
        "actor_token_type": LEGACY,
    }


_RSA = rsa.generate_private_key(65_537, 2_048)
_KEYS = {
    "RS256": _RSA,
    "RS384": _RSA,
    "PS256": _RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
}


def _signs(algorithm: str) -> Scenario:
    key = _KEYS[algorithm]
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Scenario(
        name=f"private_key_jwt {algorithm}",
        prepare=application(
            token_endpoint_auth_method="private_key_jwt",
            credentials=(public.decode(),),
        ),
        keywords=lambda tenant: {
            "client_secret": None,
            "client_assertion_signing_key": private,
            "client_assertion_signing_alg": algorithm,
        },
        endings=(granted(), granted()),
        sends=2,
    )


ODD = {"client_id": "id: +%&=", "client_secret": "s:e c+r%e&t="}

SCENARIOS = (
    Scenario(name="the least", endings=(granted(token_type="Bearer", act=None),)),
    Scenario(name="an audience", options={"audience": API}),
    Scenario(
        name="scopes that are not all granted",
        options={"audience": API, "scope": "read:data nothing:such"},
        endings=(granted(scope="read:data"),),
    ),
    Scenario(
        name="scopes that are all granted",
        options={"audience": API, "scope": "read:data write:data"},
        endings=(granted(scope="read:data write:data"),),
    ),
    Scenario(
        name="a refresh token",
        options={"audience": API, "scope": "openid offline_access"},
        endings=(granted(act_error=None),),
    ),
    Scenario(
        name="an actor",
        options=_actor("auth0|bob"),
        endings=(granted(act={"sub": "auth0|bob"}, refresh_token=None),),
    ),
    Scenario(
        name="an actor and nobody before",
        options=_actor("agent|one", act={"sub": "auth0|support_agent"}),
        endings=(
            granted(act={"sub": "agent|one", "act": {"sub": "auth0|support_agent"}}),
        ),
    ),
    Scenario(
        name="an actor without openid",
        options=_actor("auth0|bob") | {"scope": None},
        endings=(granted(act=None),),
    ),
    Scenario(name="an organization", options={"organization": "org_abc1234"}),
    Scenario(
        name="an organization that is none of the user's",
        options={
            "organization": "org_abc1234",
            "subject_token": lambda tenant: tenant.subject_token("auth0|bob"),
        },
        endings=(fails(RefusedError, retry_safe=False),),
    ),
    Scenario(
        name="a parameter of one's own",
        options={
            "subject_token_type": "urn:acme:test",
            "authorization_params": {"custom_field": "Zoë & co = 1+1"},
        },
        prepare=profile(_say_what_came),
        # What the Action repeats of a parameter might be a secret.
        endings=(fails(RefusedError, code="seen", message="<redacted>"),),
    ),
    Scenario(
        name="a subject token nobody issued",
        options={"subject_token": "nobody-issued-this"},
        endings=(fails(RefusedError, code="invalid_request", status=400),),
    ),
    Scenario(
        name="an Action that denies",
        options={"subject_token_type": "urn:acme:test"},
        prepare=profile(deny("acme_says_no")),
        endings=(
            fails(RefusedError, code="acme_says_no", message="not today", status=400),
        ),
    ),
    Scenario(
        name="an Action that denies with server_error",
        options={"subject_token_type": "urn:acme:test"},
        prepare=profile(deny("server_error")),
        endings=(fails(RefusedError, code="server_error", status=500),),
    ),
    Scenario(
        name="an Action that raises",
        options={"subject_token_type": "urn:acme:test"},
        prepare=profile(_raise),
        endings=(fails(RefusedError, code="server_error", status=500),),
    ),
    Scenario(
        name="a second factor",
        prepare=lambda tenant: tenant.users.change("auth0|alice", mfa=True),
        endings=(fails(MfaRequiredError, code="mfa_required", status=403),),
    ),
    Scenario(
        name="a blocked address",
        options={"subject_token": "nobody-issued-this"},
        endings=(
            *(fails(RefusedError, code="invalid_request"),) * 10,
            fails(BlockedError, code="too_many_attempts", retry_safe=False),
        ),
        sends=11,
        rest=10 * 600.0,
    ),
    Scenario(
        name="a rate limit that is long",
        before=_throttled,
        endings=(
            fails(
                RateLimitError,
                code="too_many_requests",
                status=429,
                retry_safe=True,
                retry_after=7.0,
            ),
        ),
    ),
    Scenario(
        name="a rate limit that is over at once",
        before=_throttled_shortly,
        keywords=lambda tenant: {"retry": AT_ONCE},
        sends=2,
    ),
    Scenario(
        name="client_secret_basic with odd characters",
        prepare=lambda tenant: tenant.applications.add(
            Application(
                ODD["client_id"],
                ODD["client_secret"],
                token_endpoint_auth_method="client_secret_basic",
            )
        ),
        keywords=lambda tenant: ODD | {"client_auth": "client_secret_basic"},
    ),
    Scenario(
        name="client_secret_post with odd characters",
        prepare=lambda tenant: tenant.applications.add(
            Application(ODD["client_id"], ODD["client_secret"])
        ),
        keywords=lambda tenant: ODD,
    ),
    *map(_signs, _KEYS),
    Scenario(
        name="a public client",
        prepare=lambda tenant: tenant.applications.add(
            Application("public", token_endpoint_auth_method="none")
        ),
        keywords=lambda tenant: {
            "client_id": "public",
            "client_secret": None,
            "client_auth": "none",
        },
    ),
    Scenario(
        name="a wrong secret",
        keywords=lambda tenant: {"client_secret": "not-the-secret"},
        endings=(fails(RefusedError, status=401, retry_safe=False),),
    ),
    Scenario(
        name="an application without the grant",
        prepare=application(custom_token_exchange=False),
        endings=(fails(RefusedError, retry_safe=False),),
    ),
    Scenario(
        name="a type that Auth0 reserves",
        options={"subject_token_type": TokenType.ACCESS_TOKEN},
        endings=(fails(RefusedError, status=400),),
    ),
    Scenario(
        name="an audience that is no API",
        options={"audience": "https://nowhere.example.com"},
        endings=(fails(RefusedError, retry_safe=False),),
    ),
    Scenario(
        name="an API that wants consent",
        prepare=lambda tenant: tenant.apis.add(
            Api("https://shy.example.com", scopes=("read:data",), skip_consent=False)
        ),
        options={"audience": "https://shy.example.com", "scope": "read:data"},
        endings=(fails(RefusedError, code="consent_required"),),
    ),
    Scenario(
        name="a resolver that gives a loopback",
        keywords=lambda tenant: {"domain": lambda store_options: tenant.domain},
        endings=(fails(InvalidInputError, parameter="domain"),),
        sends=0,
    ),
    Scenario(
        name="a key that rotates",
        options=_actor("auth0|bob"),
        between=lambda tenant: tenant.rotate_signing_key(),
        endings=(granted(act={"sub": "auth0|bob"}),) * 4,
        sends=4,
    ),
    *(
        Scenario(
            name=f"refused here: {name}",
            options=options,
            endings=(fails(InvalidInputError, parameter=parameter, phase="validate"),),
            sends=0,
        )
        for name, options, parameter in (
            ("no token", {"subject_token": " "}, "subject_token"),
            ("a scheme", {"subject_token": "bEARER abc"}, "subject_token"),
            (
                "a type that is no URI",
                {"subject_token_type": "x"},
                "subject_token_type",
            ),
            ("half an actor", {"actor_token": "abc"}, "actor_token_type"),
            ("the other half", {"actor_token_type": "urn:a:bc"}, "actor_token"),
            (
                "a parameter of ours",
                {"authorization_params": {"Client_ID": "x"}},
                "authorization_params['client_id']",
            ),
            ("a scope with a line break", {"scope": "a\nb"}, "scope"),
        )
    ),
    Scenario(
        name="a configuration that contradicts itself",
        keywords=lambda tenant: {"client_auth": "private_key_jwt"},
        endings=(fails(ConfigurationError, parameter="client_secret"),),
        sends=0,
    ),
)
