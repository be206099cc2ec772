"""Delegation: the actor's token, the ``act`` claim, and what an actor withholds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from auth0_tx.tenant import (
    ActionApi,
    Application,
    Event,
    Profile,
    Settings,
    Tenant,
)
from tests.tenant.tenant_caller import NOON, Caller, read_claims, read_refusal

AUDIENCE = "https://api.example.com"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
LEGACY = "urn:acme:legacy-token"


def exchange_for_act(caller: Caller, actor_token: str, actor_token_type: str) -> Any:
    """Return the act claim of both tokens, which is the same."""
    members = caller.exchange(
        actor_token=actor_token,
        actor_token_type=actor_token_type,
        audience=AUDIENCE,
        scope="openid",
    ).members
    in_id_token = read_claims(members["id_token"])["act"]
    assert in_id_token == read_claims(members["access_token"])["act"]
    return in_id_token


def test_legacy_token_acts(caller: Caller) -> None:
    """A legacy token as actor_token puts its subject into act."""
    token = caller.tenant.subject_token("service|billing")

    assert {"sub": "service|billing"} == exchange_for_act(caller, token, LEGACY)


def test_id_token_acts(caller: Caller) -> None:
    """An Auth0 ID token as actor_token does too, and the earlier actor stays nested."""
    token = caller.tenant.id_token("auth0|bob", act={"sub": "auth0|support_agent"})

    assert {
        "sub": "auth0|bob",
        "act": {"sub": "auth0|support_agent"},
    } == exchange_for_act(caller, token, ID_TOKEN)


def test_actor_user_is_told(caller: Caller) -> None:
    """The Action is told the user whom the actor's ID token names."""
    seen: list[Any] = []

    def action(event: Event, api: ActionApi) -> None:
        seen.append(event.transaction.actor_token_user)
        api.authentication.set_user_by_id("auth0|alice")

    caller.tenant.profiles.add(Profile("urn:acme:told", action))
    caller.exchange(
        subject_token_type="urn:acme:told",
        actor_token=caller.tenant.id_token("auth0|bob"),
        actor_token_type=ID_TOKEN,
    )

    assert ("auth0|bob", "bob@example.com") == (seen[0].user_id, seen[0].email)


@pytest.mark.parametrize("how", ["forged", "expired"])
def test_legacy_actor_token_is_verified(
    caller: Caller, new_tenant: Callable[..., Tenant], how: str
) -> None:
    """An actor_token that does not hold is denied."""
    token = (
        new_tenant().subject_token("service|x")
        if how == "forged"
        else caller.tenant.subject_token("service|x", expires_in=-1)
    )
    reply = caller.exchange(actor_token=token, actor_token_type=LEGACY)

    assert (400, "invalid_request") == read_refusal(reply)[:2]


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": int(NOON)}, "'exp' claim timestamp check failed"),
        ({"exp": "never"}, "'exp' claim timestamp check failed"),
        ({"iss": "https://other.example/"}, "unexpected 'iss' claim value"),
        ({"aud": "other-client"}, "unexpected 'aud' claim value"),
        ({"aud": ["other-client"]}, "unexpected 'aud' claim value"),
        ({"sub": "auth0|nobody"}, "user not found"),
        ({"sub": ["auth0|bob"]}, "user not found"),
    ],
)
def test_actor_id_token_is_checked(
    caller: Caller, claims: dict[str, Any], reason: str
) -> None:
    """An actor's ID token is checked before the Action, and the reason is given."""
    token = caller.tenant.id_token("auth0|bob", **claims)
    reply = caller.exchange(actor_token=token, actor_token_type=ID_TOKEN)

    assert (400, "invalid_request", f"Invalid actor token: {reason}") == read_refusal(
        reply
    )


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "iat"])
def test_actor_id_token_needs_its_claims(caller: Caller, name: str) -> None:
    """An actor's ID token without one of its claims is refused."""
    claims = read_claims(caller.tenant.id_token("auth0|bob"))
    del claims[name]
    reply = caller.exchange(
        actor_token=caller.tenant.sign(claims), actor_token_type=ID_TOKEN
    )

    assert (
        f"Invalid actor token: missing required '{name}' claim"
        == read_refusal(reply)[2]
    )


def test_actor_id_token_of_a_blocked_user(caller: Caller) -> None:
    """A blocked user may not act."""
    caller.tenant.users.change("auth0|bob", blocked=True)
    token = caller.tenant.id_token("auth0|bob")
    reply = caller.exchange(actor_token=token, actor_token_type=ID_TOKEN)

    assert "Invalid actor token: user is blocked" == read_refusal(reply)[2]


@pytest.mark.parametrize("how", ["other tenant", "HS256", "garbage", "tampered"])
def test_actor_id_token_signature(
    caller: Caller, new_tenant: Callable[..., Tenant], how: str
) -> None:
    """An ID token not signed by this tenant with RS256 or PS256 is refused."""
    match how:
        case "other tenant":
            token = new_tenant().id_token("auth0|bob")
        case "HS256":
            application = Application(
                "hs", "s" * 32, id_token_signing_algorithm="HS256"
            )
            caller.tenant.applications.add(application)
            token = caller.tenant.id_token("auth0|bob", audience="hs")
        case "garbage":
            token = "garbage"
        case _:
            head, _, signature = caller.tenant.id_token("auth0|bob").split(".")
            other = caller.tenant.id_token("auth0|alice").split(".")[1]
            token = f"{head}.{other}.{signature}"
    reply = caller.exchange(actor_token=token, actor_token_type=ID_TOKEN)

    assert (400, "invalid_request") == read_refusal(reply)[:2]
    assert read_refusal(reply)[2].startswith("Invalid actor token: ")


def test_reserved_actor_token_type(caller: Caller) -> None:
    """Any reserved actor_token_type but the ID token's is refused."""
    reply = caller.exchange(
        actor_token=caller.tenant.subject_token("x"),
        actor_token_type="urn:ietf:params:oauth:token-type:access_token",
    )

    assert (400, "invalid_request") == read_refusal(reply)[:2]


def test_actor_withholds_the_refresh_token(caller: Caller) -> None:
    """With an actor there is no refresh token, and scope says so."""
    members = caller.exchange(
        actor_token=caller.tenant.subject_token("service|x"),
        actor_token_type=LEGACY,
        audience=AUDIENCE,
        scope="openid offline_access",
    ).members

    assert "refresh_token" not in members
    assert "openid" == members["scope"]


@pytest.mark.parametrize("withheld", [True, False])
def test_actor_token_without_actor(
    new_tenant: Callable[..., Tenant], withheld: bool
) -> None:
    """An actor_token makes no act; whether it withholds is a setting."""
    settings = Settings(actor_token_withholds_refresh_token=withheld)
    caller = Caller(new_tenant(settings=settings))

    def action(event: Event, api: ActionApi) -> None:
        api.authentication.set_user_by_id("auth0|alice")

    caller.tenant.profiles.add(Profile("urn:acme:no-actor", action))
    members = caller.exchange(
        subject_token_type="urn:acme:no-actor",
        actor_token="opaque",
        actor_token_type="urn:acme:opaque",
        scope="openid offline_access",
    ).members

    assert "act" not in read_claims(members["id_token"])
    assert withheld == ("refresh_token" not in members)


def set_actor(caller: Caller, actor: Any) -> Any:
    """Return the reply to an exchange whose Action sets ``actor``."""

    def action(event: Event, api: ActionApi) -> None:
        api.authentication.set_user_by_id("auth0|alice")
        api.authentication.set_actor(actor)

    caller.tenant.profiles.add(Profile("urn:acme:set-actor", action))
    return caller.exchange(subject_token_type="urn:acme:set-actor", scope="openid")


def nest_actors(levels: int) -> dict[str, Any]:
    """Return an actor of so many levels."""
    return {"sub": "a", **({"act": nest_actors(levels - 1)} if levels > 1 else {})}


@pytest.mark.parametrize(
    "actor",
    [
        {"sub": "x" * 512},
        {"sub": "a", "type": "t", "p1": 1, "p2": 2.5, "p3": True, "p4": "", "p5": "v"},
        {"sub": "a", "k" * 64: "v" * 64},
        nest_actors(5),
    ],
)
def test_actor_within_limits(caller: Caller, actor: dict[str, Any]) -> None:
    """An actor set without any actor_token stands as it is, up to five levels."""
    reply = set_actor(caller, actor)

    assert actor == read_claims(reply.members["id_token"])["act"]
    assert actor == caller.tenant.logs[-1].actor


@pytest.mark.parametrize(
    ("actor", "complaint"),
    [
        ("auth0|bob", "The actor must be a plain object."),
        (["auth0|bob"], "The actor must be a plain object."),
        ({}, "The actor object must contain a sub claim."),
        ({"sub": 7}, "The actor object must contain a sub claim."),
        ({"sub": ""}, "The actor object must contain a sub claim."),
        (
            {"sub": "x" * 513},
            "Invalid setActor arguments: sub must NOT have more than 512 characters",
        ),
        (
            {"sub": "a", **{str(n): n for n in range(6)}},
            "No more than 5 custom properties are allowed in the actor object.",
        ),
        (
            {"sub": "a", "p": None},
            "Custom property in an actor object must be a string, number, or boolean.",
        ),
        (
            {"sub": "a", "k" * 65: "v"},
            "Custom property key in an actor object must NOT have more than 64 "
            "characters.",
        ),
        (
            {"sub": "a", "k": "v" * 65},
            "Custom string property value in an actor object must NOT have more than "
            "64 characters.",
        ),
        ({"sub": "a", "act": "b"}, "The act claim must be a plain object."),
        ({"sub": "a", "act": {}}, "The actor object must contain a sub claim."),
        (nest_actors(6), "Actor nesting must not exceed 5 levels."),
    ],
)
def test_actor_beyond_limits(caller: Caller, actor: Any, complaint: str) -> None:
    """An actor beyond Auth0's limits fails the Action, in Auth0's words."""
    assert (500, "server_error", complaint) == read_refusal(set_actor(caller, actor))
