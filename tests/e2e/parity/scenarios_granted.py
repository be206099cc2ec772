"""Scenarios whose exchanges bring tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auth0_tx import CustomTokenExchangeErrorCode as Code
from auth0_tx import IdTokenError, SigningKeyError
from auth0_tx.tenant import (
    ActionApi,
    Application,
    Event,
    Profile,
    Settings,
    Tenant,
    faults,
)

from .scenarios import (
    AUDIENCE,
    DISCOVERY,
    JWKS,
    TOKEN,
    Scenario,
    Tokens,
    acts_for,
    asks,
)

CHAIN = {"sub": "auth0|bob", "act": {"sub": "agent", "act": {"sub": "tool"}}}
BOB = {"sub": "auth0|bob"}
BOTH = (DISCOVERY, TOKEN, JWKS)


def sets_chain(event: Event, api: ActionApi) -> None:
    """Set a chain of actors."""
    api.authentication.set_user_by_id("auth0|alice")
    api.authentication.set_actor(CHAIN)


def wants_parameters(event: Event, api: ActionApi) -> None:
    """Grant only what names a device."""
    if event.request.body.get("device_id") != "d-1 &=+%/":
        api.access.deny("no_device", "device_id is missing")
    api.authentication.set_user_by_id("auth0|alice")


def with_profile(action: Any) -> Any:
    """Add a profile that runs *action*."""
    return lambda tenant: tenant.profiles.add(Profile("urn:acme:custom", action))


def custom(**options: Any) -> Any:
    """Ask by that profile."""
    return asks(subject_token_type="urn:acme:custom", **options)


def public(tenant: Tenant) -> None:
    """Add an application without a secret."""
    application = Application("public-client", token_endpoint_auth_method="none")
    tenant.applications.add(application)


ODD_SECRET = "s3:cr+t %/&=?~ #\"'\\"


def odd(tenant: Tenant) -> None:
    """Add an application whose id and secret need encoding."""
    tenant.applications.add(
        Application(
            "odd client:+%/&",
            ODD_SECRET,
            token_endpoint_auth_method="client_secret_basic",
        )
    )


def other_organization(claims: dict[str, Any]) -> Mapping[str, Any]:
    """Say that the user is somewhere else."""
    return {**claims, "org_id": "org_other123"}


SUCCESSES = [
    Scenario(name="plain", ends=(Tokens(),)),
    Scenario(
        name="two exchanges, one discovery",
        ends=(Tokens(), Tokens()),
        paths=(DISCOVERY, TOKEN, TOKEN),
    ),
    Scenario(
        name="audience",
        options=asks(audience=AUDIENCE),
        ends=(Tokens(claims={"sub": "auth0|alice", "azp": "local-client"}),),
    ),
    Scenario(
        name="scope granted in part",
        options=asks(audience=AUDIENCE, scope="read:data write:data delete:all"),
        ends=(Tokens(scope="read:data write:data"),),
    ),
    Scenario(
        name="scope not granted at all",
        options=asks(audience=AUDIENCE, scope="delete:all"),
        ends=(Tokens(scope=""),),
    ),
    Scenario(
        name="scope granted whole",
        options=asks(audience=AUDIENCE, scope="read:data"),
        ends=(Tokens(scope="read:data"),),
    ),
    Scenario(
        name="openid",
        options=asks(scope="openid profile email"),
        ends=(Tokens(scope="openid profile email", id_token=True),),
    ),
    Scenario(
        name="offline_access",
        options=asks(audience=AUDIENCE, scope="openid offline_access"),
        ends=(
            Tokens(scope="openid offline_access", id_token=True, refresh_token=True),
        ),
    ),
    Scenario(
        name="actor",
        options=acts_for("auth0|bob", scope="openid offline_access", audience=AUDIENCE),
        ends=(Tokens(scope="openid", id_token=True, act=BOB),),
        paths=BOTH,
    ),
    Scenario(
        name="actor by an ID token",
        options=lambda tenant: {
            "actor_token": tenant.id_token("auth0|bob", expires_in=10**6),
            "actor_token_type": "urn:ietf:params:oauth:token-type:id_token",
            "scope": "openid",
        },
        ends=(Tokens(scope="openid", id_token=True, act=BOB),),
        paths=BOTH,
    ),
    Scenario(
        name="actor without openid",
        options=acts_for("auth0|bob"),
        ends=(Tokens(act_error=(IdTokenError, Code.MISSING_ID_TOKEN)),),
    ),
    Scenario(
        name="actor for whom another acted",
        options=acts_for("agent|one", scope="openid", act=BOB),
        ends=(
            Tokens(scope="openid", id_token=True, act={"sub": "agent|one", "act": BOB}),
        ),
        paths=BOTH,
    ),
    Scenario(
        name="nested actors",
        arrange=with_profile(sets_chain),
        options=lambda tenant: {
            **acts_for("auth0|bob", scope="openid")(tenant),
            "subject_token_type": "urn:acme:custom",
        },
        ends=(Tokens(scope="openid", id_token=True, act=CHAIN),),
        paths=BOTH,
    ),
    Scenario(
        name="actor that nobody sent",
        arrange=with_profile(sets_chain),
        options=custom(scope="openid"),
        ends=(Tokens(scope="openid", id_token=True, act=CHAIN),),
        paths=BOTH,
    ),
    Scenario(
        name="organization by id",
        options=asks(organization="org_abc1234", audience=AUDIENCE),
        ends=(Tokens(claims={"org_id": "org_abc1234"}),),
    ),
    Scenario(
        name="organization by name",
        tenant={"settings": Settings(organization_names=True)},
        options=asks(organization="acme", audience=AUDIENCE),
        ends=(Tokens(claims={"org_id": "org_abc1234", "org_name": "acme"}),),
    ),
    Scenario(
        name="actor in an organization",
        options=acts_for("auth0|bob", scope="openid", organization="org_abc1234"),
        ends=(Tokens(scope="openid", id_token=True, act=BOB),),
        paths=BOTH,
    ),
    Scenario(
        name="actor in another organization than asked",
        begin=lambda tenant: tenant.alter_id_token(other_organization),
        options=acts_for("auth0|bob", scope="openid", organization="org_abc1234"),
        ends=(
            Tokens(
                scope="openid",
                id_token=True,
                act_error=(IdTokenError, Code.INVALID_ID_TOKEN),
            ),
        ),
        paths=BOTH,
    ),
    Scenario(
        name="extension parameters",
        arrange=with_profile(wants_parameters),
        options=custom(
            authorization_params={
                "device_id": "d-1 &=+%/",
                "empty": "",
                "u": "\u00e9\u4e2d",
            }
        ),
        ends=(Tokens(),),
    ),
    Scenario(
        name="opaque subject token with odd characters",
        arrange=with_profile(
            lambda event, api: api.authentication.set_user_by_id("auth0|alice")
        ),
        options=custom(subject_token="a+b/c=d&e%f g~\"'"),
        ends=(Tokens(),),
    ),
    Scenario(
        name="client_secret_basic with odd characters",
        arrange=odd,
        keywords=asks(
            client_id="odd client:+%/&",
            client_secret=ODD_SECRET,
            client_auth="client_secret_basic",
        ),
        ends=(Tokens(),),
    ),
    Scenario(
        name="client_secret_post with odd characters",
        arrange=lambda tenant: tenant.applications.add(
            Application("odd client:+%/&", ODD_SECRET)
        ),
        keywords=asks(client_id="odd client:+%/&", client_secret=ODD_SECRET),
        ends=(Tokens(),),
    ),
    Scenario(
        name="none",
        arrange=public,
        keywords=asks(client_id="public-client", client_secret=..., client_auth="none"),
        ends=(Tokens(),),
    ),
    Scenario(
        name="key rotation",
        options=acts_for("auth0|bob", scope="openid"),
        ends=(Tokens(scope="openid", id_token=True, act=BOB),) * 3,
        between=lambda tenant: tenant.rotate_signing_key(),
        # The key set has the next key beside the current one: it is good for one turn.
        paths=(DISCOVERY, TOKEN, JWKS, TOKEN, TOKEN, JWKS),
    ),
    Scenario(
        name="keys that cannot be had",
        begin=lambda tenant: tenant.inject(faults.html(404), path=JWKS, times=None),
        options=acts_for("auth0|bob", scope="openid"),
        ends=(
            Tokens(
                scope="openid",
                id_token=True,
                act_error=(SigningKeyError, Code.SIGNING_KEY_UNAVAILABLE),
            ),
        ),
        paths=BOTH,
    ),
    Scenario(
        name="rate limit, then success",
        begin=lambda tenant: tenant.inject(
            faults.status(429, {"error": "too_many_requests"}, {"Retry-After": "0"})
        ),
        ends=(Tokens(),),
        paths=(DISCOVERY, TOKEN, TOKEN),
    ),
    Scenario(
        name="lost answer of a reusable token",
        begin=lambda tenant: tenant.inject(faults.lost_answer()),
        options=asks(subject_token_reusable=True),
        ends=(Tokens(),),
        paths=(DISCOVERY, TOKEN, TOKEN),
    ),
]
