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
from tests.e2e.parity.scenarios import (
    ACCESS_TOKEN,
    DISCOVERY,
    TOKEN,
    Fails,
    Scenario,
    Tokens,
    set_options,
)
from tests.e2e.parity.scenarios_granted import add_profile, ask_with_profile


def deny(event: Event, api: ActionApi) -> None:
    """Deny with a code that the Action made up."""
    api.access.deny("custom code: 7", "not on Sundays")


def deny_as_failing_server(event: Event, api: ActionApi) -> None:
    """Deny as a server that failed would."""
    api.access.deny("server_error", "the legacy system is down")


def deny_with_subject_token(event: Event, api: ActionApi) -> None:
    """Deny with a message that holds the subject token."""
    api.access.deny("denied", f"no such token: {event.transaction.subject_token}")


def deny_with_parameter(event: Event, api: ActionApi) -> None:
    """Deny with a message that holds a parameter of the application."""
    api.access.deny("denied", f"wrong: {event.request.body['pin']}")


def raise_key_error(event: Event, api: ActionApi) -> None:
    """Fail with an error that the Action did not expect."""
    raise KeyError("legacy_url")


def change_application(**settings: Any) -> Any:
    """Return a function that changes the default application."""
    return lambda tenant: tenant.applications.change(tenant.client_id, **settings)


def add_consent_api(tenant: Tenant) -> None:
    """Add an API that asks its users for consent."""
    tenant.apis.add(Api("https://consent.example.com", skip_consent=False))


def build_limit(style: Any, *, retry_after: bool) -> dict[str, Any]:
    """Return settings that limit the tenant to one request in 100 seconds."""
    return {
        "rate_limit": RateLimit(
            0.01, burst=1, body_style=style, retry_after=retry_after
        )
    }


def build_limited_scenario(
    style: str, code: str, *, retry_after: bool = True
) -> Scenario:
    """Build a scenario whose second exchange meets that limit."""
    return Scenario(
        name=f"rate limit, {style}, {'Retry-After' if retry_after else 'reset'}",
        tenant=build_limit(style, retry_after=retry_after),
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


def expect_refusal(
    code: str, status: int, says: str, hints: str | None = None
) -> Fails:
    """Describe a refusal that a scenario must end with."""
    return Fails(error=RefusedError, code=code, status=status, says=says, hints=hints)


BAD_TOKEN = expect_refusal("invalid_request", 400, "Invalid subject token")

REFUSALS = [
    Scenario(
        name="refused subject token",
        options=set_options(subject_token="not-a-token-of-the-system"),
        ends=(BAD_TOKEN,),
    ),
    Scenario(
        name="blocked address",
        tenant={"throttle": Throttle(max_attempts=2)},
        options=set_options(subject_token="not-a-token-of-the-system"),
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
        options=set_options(subject_token="not-a-token-of-the-system"),
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
        arrange=add_profile(deny),
        options=ask_with_profile(),
        ends=(expect_refusal("custom code: 7", 400, "not on Sundays"),),
    ),
    Scenario(
        name="Action repeats the token",
        arrange=add_profile(deny_with_subject_token),
        options=ask_with_profile(subject_token="subject-token-0123456789"),
        ends=(expect_refusal("denied", 400, "no such token: <redacted>"),),
    ),
    Scenario(
        name="Action repeats a parameter",
        arrange=add_profile(deny_with_parameter),
        options=ask_with_profile(authorization_params={"pin": "Zo\u00eb & co = 1+1"}),
        ends=(expect_refusal("denied", 400, "wrong: <redacted>"),),
    ),
    Scenario(
        name="Action denies as a failed server",
        arrange=add_profile(deny_as_failing_server),
        options=ask_with_profile(),
        ends=(expect_refusal("server_error", 500, "the legacy system is down"),),
    ),
    Scenario(
        name="Action raises",
        arrange=add_profile(raise_key_error),
        options=ask_with_profile(),
        ends=(expect_refusal("server_error", 500, "unhandled"),),
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
        ends=(expect_refusal("access_denied", 403, "user is blocked"),),
    ),
    Scenario(
        name="unknown organization",
        options=set_options(organization="org_unknown"),
        ends=(expect_refusal("invalid_request", 400, "organization is invalid"),),
    ),
    Scenario(
        name="organization of others",
        arrange=lambda tenant: tenant.organizations.change("org_abc1234", members=()),
        options=set_options(organization="org_abc1234"),
        ends=(expect_refusal("access_denied", 403, "is not part of"),),
    ),
    Scenario(
        name="organization required",
        arrange=change_application(organization_usage="require"),
        ends=(
            expect_refusal("invalid_request", 400, "is required", "pass organization="),
        ),
    ),
    Scenario(
        name="wrong secret",
        keywords=set_options(client_secret="wrong-secret-0123456789"),
        ends=(expect_refusal("access_denied", 401, "Unauthorized", "check client_id"),),
    ),
    Scenario(
        name="unknown client",
        keywords=set_options(client_id="nobody"),
        ends=(
            expect_refusal(
                "invalid_client", 401, "authentication failed", "check client"
            ),
        ),
    ),
    Scenario(
        name="exchange not enabled",
        arrange=change_application(custom_token_exchange=False),
        ends=(
            expect_refusal(
                "unauthorized_client",
                403,
                "not enabled",
                "enable Custom Token Exchange",
            ),
        ),
    ),
    Scenario(
        name="grant type not allowed",
        arrange=change_application(grant_types=["refresh_token"]),
        ends=(
            expect_refusal(
                "unauthorized_client",
                403,
                "not allowed",
                "enable Custom Token Exchange",
            ),
        ),
    ),
    Scenario(
        name="reserved subject token type",
        options=set_options(subject_token_type=ACCESS_TOKEN),
        ends=(
            expect_refusal("invalid_request", 400, "reserved", "Auth0 keeps urn:ietf"),
        ),
    ),
    Scenario(
        name="unknown subject token type",
        options=set_options(subject_token_type="urn:acme:unknown"),
        ends=(expect_refusal("invalid_request", 400, "No token exchange profile"),),
    ),
    Scenario(
        name="unknown audience",
        options=set_options(audience="https://unknown.example.com"),
        ends=(
            expect_refusal(
                "access_denied", 403, "Service not found", "audience must be"
            ),
        ),
    ),
    Scenario(
        name="consent",
        arrange=add_consent_api,
        options=set_options(audience="https://consent.example.com"),
        ends=(
            expect_refusal(
                "consent_required", 403, "Consent required", "Skipping User"
            ),
        ),
    ),
    build_limited_scenario("oauth", "too_many_requests"),
    build_limited_scenario("oauth", "too_many_requests", retry_after=False),
    build_limited_scenario("legacy", "Rate limit reached"),
    build_limited_scenario("management", "too_many_requests"),
    build_limited_scenario("text", "rate_limited"),
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
        keywords=set_options(verify=True),
        ends=(Fails(error=NotSentError, code="tls_failed", hints="verify="),),
        paths=(),
    ),
]
