"""Scenarios whose exchanges return tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
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
from auth0_tx.tenant.connection import Pause, Step, Write
from tests.e2e.parity.scenarios import (
    AUDIENCE,
    DISCOVERY,
    JWKS,
    TOKEN,
    Scenario,
    Tokens,
    let_act,
    set_options,
)

CHAIN = {"sub": "auth0|bob", "act": {"sub": "agent", "act": {"sub": "tool"}}}
BOB = {"sub": "auth0|bob"}
BOTH = (DISCOVERY, TOKEN, JWKS)


def answer_twice(exchange: faults.Exchange) -> Iterator[Step]:
    """Answer, and soon send an answer that nobody asked for, with another's token."""
    wire = exchange.serialize(exchange.process())
    forged = b'{"access_token": "another", "token_type": "Bearer"}'
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(forged)}\r\n\r\n"
    )
    yield Write(wire.head + wire.body)
    yield Pause(0.02)
    yield Write(head.encode() + forged)


ANSWERED_TWICE = faults.Fault("answer_twice()", answer_twice)


def set_chain(event: Event, api: ActionApi) -> None:
    """Set a chain of actors."""
    api.authentication.set_user_by_id("auth0|alice")
    api.authentication.set_actor(CHAIN)


def require_parameter(event: Event, api: ActionApi) -> None:
    """Grant only requests that name a device."""
    if event.request.body.get("device_id") != "d-1 &=+%/":
        api.access.deny("no_device", "device_id is missing")
    api.authentication.set_user_by_id("auth0|alice")


def add_profile(action: Any) -> Any:
    """Return a function that adds a profile that runs *action*."""
    return lambda tenant: tenant.profiles.add(Profile("urn:acme:custom", action))


def ask_with_profile(**options: Any) -> Any:
    """Return a function that asks with the type of that profile."""
    return set_options(subject_token_type="urn:acme:custom", **options)


def add_public_client(tenant: Tenant) -> None:
    """Add an application without a secret."""
    application = Application("public-client", token_endpoint_auth_method="none")
    tenant.applications.add(application)


ODD_SECRET = "s3:cr+t %/&=?~ #\"'\\"


def add_odd_client(tenant: Tenant) -> None:
    """Add an application whose id and secret need encoding."""
    tenant.applications.add(
        Application(
            "odd client:+%/&",
            ODD_SECRET,
            token_endpoint_auth_method="client_secret_basic",
        )
    )


def change_organization(claims: dict[str, Any]) -> Mapping[str, Any]:
    """Return the claims with another organization."""
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
        options=set_options(audience=AUDIENCE),
        ends=(Tokens(claims={"sub": "auth0|alice", "azp": "local-client"}),),
    ),
    Scenario(
        name="scope granted in part",
        options=set_options(audience=AUDIENCE, scope="read:data write:data delete:all"),
        ends=(Tokens(scope="read:data write:data"),),
    ),
    Scenario(
        name="scope not granted at all",
        options=set_options(audience=AUDIENCE, scope="delete:all"),
        ends=(Tokens(scope=""),),
    ),
    Scenario(
        name="scope granted whole",
        options=set_options(audience=AUDIENCE, scope="read:data"),
        ends=(Tokens(scope="read:data"),),
    ),
    Scenario(
        name="openid",
        options=set_options(scope="openid profile email"),
        ends=(Tokens(scope="openid profile email", id_token=True),),
    ),
    Scenario(
        name="offline_access",
        options=set_options(audience=AUDIENCE, scope="openid offline_access"),
        ends=(
            Tokens(scope="openid offline_access", id_token=True, refresh_token=True),
        ),
    ),
    Scenario(
        name="actor",
        options=let_act("auth0|bob", scope="openid offline_access", audience=AUDIENCE),
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
        options=let_act("auth0|bob"),
        ends=(Tokens(act_error=(IdTokenError, Code.MISSING_ID_TOKEN)),),
    ),
    Scenario(
        name="actor for whom another acted",
        options=let_act("agent|one", scope="openid", act=BOB),
        ends=(
            Tokens(scope="openid", id_token=True, act={"sub": "agent|one", "act": BOB}),
        ),
        paths=BOTH,
    ),
    Scenario(
        name="nested actors",
        arrange=add_profile(set_chain),
        options=lambda tenant: {
            **let_act("auth0|bob", scope="openid")(tenant),
            "subject_token_type": "urn:acme:custom",
        },
        ends=(Tokens(scope="openid", id_token=True, act=CHAIN),),
        paths=BOTH,
    ),
    Scenario(
        name="actor that nobody sent",
        arrange=add_profile(set_chain),
        options=ask_with_profile(scope="openid"),
        ends=(Tokens(scope="openid", id_token=True, act=CHAIN),),
        paths=BOTH,
    ),
    Scenario(
        name="organization by id",
        options=set_options(organization="org_abc1234", audience=AUDIENCE),
        ends=(Tokens(claims={"org_id": "org_abc1234"}),),
    ),
    Scenario(
        name="organization by name",
        tenant={"settings": Settings(organization_names=True)},
        options=set_options(organization="acme", audience=AUDIENCE),
        ends=(Tokens(claims={"org_id": "org_abc1234", "org_name": "acme"}),),
    ),
    Scenario(
        name="actor in an organization",
        options=let_act("auth0|bob", scope="openid", organization="org_abc1234"),
        ends=(Tokens(scope="openid", id_token=True, act=BOB),),
        paths=BOTH,
    ),
    Scenario(
        name="actor in another organization than asked",
        begin=lambda tenant: tenant.alter_id_token(change_organization),
        options=let_act("auth0|bob", scope="openid", organization="org_abc1234"),
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
        arrange=add_profile(require_parameter),
        options=ask_with_profile(
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
        arrange=add_profile(
            lambda event, api: api.authentication.set_user_by_id("auth0|alice")
        ),
        options=ask_with_profile(subject_token="a+b/c=d&e%f g~\"'"),
        ends=(Tokens(),),
    ),
    Scenario(
        name="client_secret_basic with odd characters",
        arrange=add_odd_client,
        keywords=set_options(
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
        keywords=set_options(client_id="odd client:+%/&", client_secret=ODD_SECRET),
        ends=(Tokens(),),
    ),
    Scenario(
        name="none",
        arrange=add_public_client,
        keywords=set_options(
            client_id="public-client", client_secret=..., client_auth="none"
        ),
        ends=(Tokens(),),
    ),
    Scenario(
        name="key rotation",
        options=let_act("auth0|bob", scope="openid"),
        ends=(Tokens(scope="openid", id_token=True, act=BOB),) * 3,
        between=lambda tenant: tenant.rotate_signing_key(),
        # The key set has the next key beside the current one: it is good for one turn.
        paths=(DISCOVERY, TOKEN, JWKS, TOKEN, TOKEN, JWKS),
    ),
    Scenario(
        name="keys that cannot be had",
        begin=lambda tenant: tenant.inject(faults.html(404), path=JWKS, times=None),
        options=let_act("auth0|bob", scope="openid"),
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
        options=set_options(subject_token_reusable=True),
        ends=(Tokens(),),
        paths=(DISCOVERY, TOKEN, TOKEN),
    ),
    Scenario(
        name="bytes that wait on a connection at rest",
        begin=lambda tenant: tenant.inject(ANSWERED_TWICE),
        options=set_options(audience=AUDIENCE),
        between=lambda tenant: time.sleep(0.2),
        ends=(Tokens(claims={"sub": "auth0|alice"}),) * 2,
        paths=(DISCOVERY, TOKEN, TOKEN),
    ),
]
