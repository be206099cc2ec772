"""Scenarios whose exchanges end in an error."""

from __future__ import annotations

from typing import Any

from auth0_tx import (
    AmbiguousError,
    BlockedError,
    DiscoveryError,
    InvalidResponseError,
    MfaRequiredError,
    NotSentError,
    RateLimitError,
    RefusedError,
)
from auth0_tx.tenant import (
    ActionApi,
    Api,
    Event,
    RateLimit,
    Tenant,
    Throttle,
    faults,
)

from .scenarios import (
    ACCESS_TOKEN,
    DISCOVERY,
    TOKEN,
    Fails,
    Scenario,
    Tokens,
    asks,
)
from .scenarios_granted import custom, with_profile


def denies(event: Event, api: ActionApi) -> None:
    """Deny with a code of the Action's own."""
    api.access.deny("custom code: 7", "not on Sundays")


def fails(event: Event, api: ActionApi) -> None:
    """Deny as a server that failed would."""
    api.access.deny("server_error", "the legacy system is down")


def repeats(event: Event, api: ActionApi) -> None:
    """Deny in words that hold the subject token."""
    api.access.deny("denied", f"no such token: {event.transaction.subject_token}")


def repeats_parameter(event: Event, api: ActionApi) -> None:
    """Deny in words that hold a parameter of the application's."""
    api.access.deny("denied", f"wrong: {event.request.body['pin']}")


def breaks(event: Event, api: ActionApi) -> None:
    """Fail unforeseen."""
    raise KeyError("legacy_url")


def changes(**settings: Any) -> Any:
    """Change the default application."""
    return lambda tenant: tenant.applications.change(tenant.client_id, **settings)


def wants_consent(tenant: Tenant) -> None:
    """Add an API that asks its users."""
    tenant.apis.add(Api("https://consent.example.com", skip_consent=False))


def limit(style: Any, *, retry_after: bool) -> dict[str, Any]:
    """Limit the tenant to one request in 100 seconds."""
    return {
        "rate_limit": RateLimit(
            0.01, burst=1, body_style=style, retry_after=retry_after
        )
    }


def limited(style: str, code: str, *, retry_after: bool = True) -> Scenario:
    """Run into that limit with the second exchange."""
    return Scenario(
        name=f"rate limit, {style}, {'Retry-After' if retry_after else 'reset'}",
        tenant=limit(style, retry_after=retry_after),
        ends=(
            Tokens(),
            Fails(
                error=RateLimitError,
                code=code,
                status=429,
                retry_safe=True,
                retry_after=100.0,
            ),
        ),
        paths=(DISCOVERY, TOKEN, TOKEN),
    )


def refused(code: str, status: int, says: str, hints: str | None = None) -> Fails:
    """Describe a refusal."""
    return Fails(error=RefusedError, code=code, status=status, says=says, hints=hints)


BAD_TOKEN = refused("invalid_request", 400, "Invalid subject token")

REFUSALS = [
    Scenario(
        name="refused subject token",
        options=asks(subject_token="not-a-token-of-the-system"),
        ends=(BAD_TOKEN,),
    ),
    Scenario(
        name="blocked address",
        tenant={"throttle": Throttle(max_attempts=2)},
        options=asks(subject_token="not-a-token-of-the-system"),
        ends=(
            BAD_TOKEN,
            BAD_TOKEN,
            Fails(
                error=BlockedError,
                code="too_many_attempts",
                status=429,
                says="suspicious",
                hints="throttles this source IP",
            ),
        ),
        paths=(DISCOVERY, TOKEN, TOKEN, TOKEN),
    ),
    Scenario(
        name="blocked address, as it is at first",
        options=asks(subject_token="not-a-token-of-the-system"),
        ends=(
            *(BAD_TOKEN,) * 10,
            Fails(
                error=BlockedError,
                code="too_many_attempts",
                status=429,
                hints="throttles this source IP",
            ),
        ),
        paths=(DISCOVERY, *(TOKEN,) * 11),
    ),
    Scenario(
        name="Action denies",
        arrange=with_profile(denies),
        options=custom(),
        ends=(refused("custom code: 7", 400, "not on Sundays"),),
    ),
    Scenario(
        name="Action repeats the token",
        arrange=with_profile(repeats),
        options=custom(subject_token="subject-token-0123456789"),
        ends=(refused("denied", 400, "no such token: <redacted>"),),
    ),
    Scenario(
        name="Action repeats a parameter",
        arrange=with_profile(repeats_parameter),
        options=custom(authorization_params={"pin": "Zo\u00eb & co = 1+1"}),
        ends=(refused("denied", 400, "wrong: <redacted>"),),
    ),
    Scenario(
        name="Action denies as a failed server",
        arrange=with_profile(fails),
        options=custom(),
        ends=(refused("server_error", 500, "the legacy system is down"),),
    ),
    Scenario(
        name="Action raises",
        arrange=with_profile(breaks),
        options=custom(),
        ends=(refused("server_error", 500, "unhandled"),),
    ),
    Scenario(
        name="second factor",
        arrange=lambda tenant: tenant.users.change("auth0|alice", mfa=True),
        ends=(
            Fails(
                error=MfaRequiredError,
                code="mfa_required",
                status=403,
                says="Multifactor",
            ),
        ),
    ),
    Scenario(
        name="blocked user",
        arrange=lambda tenant: tenant.users.change("auth0|alice", blocked=True),
        ends=(refused("access_denied", 403, "user is blocked"),),
    ),
    Scenario(
        name="unknown organization",
        options=asks(organization="org_unknown"),
        ends=(refused("invalid_request", 400, "organization is invalid"),),
    ),
    Scenario(
        name="organization of others",
        arrange=lambda tenant: tenant.organizations.change("org_abc1234", members=()),
        options=asks(organization="org_abc1234"),
        ends=(refused("access_denied", 403, "is not part of"),),
    ),
    Scenario(
        name="organization required",
        arrange=changes(organization_usage="require"),
        ends=(refused("invalid_request", 400, "is required", "pass organization="),),
    ),
    Scenario(
        name="wrong secret",
        keywords=asks(client_secret="wrong-secret-0123456789"),
        ends=(refused("access_denied", 401, "Unauthorized", "check client_id"),),
    ),
    Scenario(
        name="unknown client",
        keywords=asks(client_id="nobody"),
        ends=(refused("invalid_client", 401, "authentication failed", "check client"),),
    ),
    Scenario(
        name="exchange not enabled",
        arrange=changes(custom_token_exchange=False),
        ends=(
            refused(
                "unauthorized_client",
                403,
                "not enabled",
                "enable Custom Token Exchange",
            ),
        ),
    ),
    Scenario(
        name="grant type not allowed",
        arrange=changes(grant_types=["refresh_token"]),
        ends=(
            refused(
                "unauthorized_client",
                403,
                "not allowed",
                "enable Custom Token Exchange",
            ),
        ),
    ),
    Scenario(
        name="reserved subject token type",
        options=asks(subject_token_type=ACCESS_TOKEN),
        ends=(refused("invalid_request", 400, "reserved", "Auth0 keeps urn:ietf"),),
    ),
    Scenario(
        name="unknown subject token type",
        options=asks(subject_token_type="urn:acme:unknown"),
        ends=(refused("invalid_request", 400, "No token exchange profile"),),
    ),
    Scenario(
        name="unknown audience",
        options=asks(audience="https://unknown.example.com"),
        ends=(refused("access_denied", 403, "Service not found", "audience must be"),),
    ),
    Scenario(
        name="consent",
        arrange=wants_consent,
        options=asks(audience="https://consent.example.com"),
        ends=(refused("consent_required", 403, "Consent required", "Skipping User"),),
    ),
    limited("oauth", "too_many_requests"),
    limited("oauth", "too_many_requests", retry_after=False),
    limited("legacy", "Rate limit reached"),
    limited("management", "too_many_requests"),
    limited("text", "rate_limited"),
    Scenario(
        name="page in place of an answer",
        begin=lambda tenant: tenant.inject(faults.html(200)),
        ends=(Fails(error=InvalidResponseError, code="invalid_response", status=200),),
    ),
    Scenario(
        name="answer lost",
        begin=lambda tenant: tenant.inject(faults.lost_answer()),
        ends=(Fails(error=AmbiguousError, code="connection_lost"),),
    ),
    Scenario(
        name="metadata that cannot be had",
        begin=lambda tenant: tenant.inject(faults.html(404), path=DISCOVERY),
        ends=(Fails(error=DiscoveryError, code="discovery_failed", status=404),),
        paths=(DISCOVERY,),
    ),
    Scenario(
        name="tenant that is another's",
        keywords=lambda tenant: {
            "domain": tenant.domain.replace("localhost", "127.0.0.1")
        },
        ends=(Fails(error=DiscoveryError, code="discovery_failed", status=200),),
        paths=(DISCOVERY,),
    ),
    Scenario(
        name="tenant that nobody vouches for",
        keywords=asks(verify=True),
        ends=(Fails(error=NotSentError, code="tls_failed", hints="verify="),),
        paths=(),
    ),
]
