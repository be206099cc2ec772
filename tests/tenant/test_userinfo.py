"""``/userinfo``: whose claims, which of them, and who is turned away."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlencode

import pytest

from auth0_tx.tenant import Reply, Tenant
from tests.tenant.tenant_caller import NOON, Caller, Clock, read_claims

AUDIENCE = "https://api.example.com"
ACTOR = "urn:acme:legacy-token"


def get_userinfo(caller: Caller, token: str) -> Reply:
    """Ask with a Bearer token."""
    return caller.get("/userinfo", headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("audience", [None, AUDIENCE])
def test_claims_by_scope(caller: Caller, audience: str | None) -> None:
    """An opaque token and a JWT give the claims that their scopes release."""
    answers = []
    for scope in ("openid", "openid email", "openid profile email"):
        token = caller.exchange(scope=scope, audience=audience).members["access_token"]
        answers.append(get_userinfo(caller, token).members)
    profile = {
        "name": "Alice Adams",
        "nickname": "alice",
        "given_name": "Alice",
        "family_name": "Adams",
    }
    email = {"email": "alice@example.com", "email_verified": True}
    sub = {"sub": "auth0|alice"}

    assert [sub, sub | email, sub | email | profile] == answers


@pytest.mark.parametrize("audience", [None, AUDIENCE])
def test_actor_is_told(caller: Caller, audience: str | None) -> None:
    """Who acts is told as the tokens tell it."""
    token = caller.exchange(
        scope="openid",
        audience=audience,
        actor_token=caller.tenant.subject_token("auth0|bob"),
        actor_token_type=ACTOR,
    ).members["access_token"]

    assert {"sub": "auth0|alice", "act": {"sub": "auth0|bob"}} == get_userinfo(
        caller, token
    ).members


def test_claims_are_of_now(caller: Caller) -> None:
    """The claims are the user's at the time of asking."""
    token = caller.exchange(scope="openid profile").members["access_token"]
    caller.tenant.users.change("auth0|alice", name="Alice Brown")

    assert "Alice Brown" == get_userinfo(caller, token).members["name"]


def test_refreshed_token(caller: Caller) -> None:
    """An access token from a refresh is as good."""
    refresh_token = caller.issue_refresh_token("openid offline_access")
    token = caller.refresh(refresh_token).members["access_token"]

    assert "auth0|alice" == get_userinfo(caller, token).members["sub"]


def test_post(caller: Caller) -> None:
    """POST works with the token in the header or in the form, and the header counts."""
    token = caller.exchange(scope="openid").members["access_token"]
    in_form = urlencode({"access_token": token}).encode()
    form = {"content-type": "application/x-www-form-urlencoded"}
    bearer = {"authorization": f"bearer {token}"}
    asked: list[tuple[bytes, dict[str, str]]] = [
        (b"", bearer),
        (in_form, form),
        (in_form, {**form, "authorization": "Bearer wrong"}),
        (
            json.dumps({"access_token": token}).encode(),
            {"content-type": "application/json"},
        ),
    ]
    statuses = [
        caller.post(body, headers, path="/userinfo").status for body, headers in asked
    ]

    assert [200, 200, 401, 401] == statuses


def make_unfit(caller: Caller, clock: Clock, how: str, token: str) -> str:
    """Return a token that is not valid, or make ``token`` so."""
    tenant = caller.tenant
    match how:
        case "unknown":
            return "unknown"
        case "expired":
            clock.now += 86400
        case "blocked":
            tenant.users.change("auth0|alice", blocked=True)
        case "removed":
            tenant.users.remove("auth0|alice")
        case "tampered":
            return token[:-2]
        case "no openid":
            return str(caller.exchange().members["access_token"])
        case "refresh token":
            return caller.issue_refresh_token("openid offline_access")
        case _:
            return tenant.id_token("auth0|alice")
    return token


@pytest.mark.parametrize("audience", [None, AUDIENCE])
@pytest.mark.parametrize(
    "how",
    [
        "unknown",
        "expired",
        "blocked",
        "removed",
        "tampered",
        "no openid",
        "refresh token",
        "id token",
    ],
)
def test_refused(caller: Caller, clock: Clock, how: str, audience: str | None) -> None:
    """A token that does not hold gets 401 and the challenge of RFC 6750."""
    token = caller.exchange(scope="openid", audience=audience).members["access_token"]
    reply = get_userinfo(caller, make_unfit(caller, clock, how, token))

    assert 401 == reply.status
    assert (
        "WWW-Authenticate",
        'Bearer realm="Users", error="invalid_token"',
    ) in reply.headers


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [AUDIENCE]},
        {"aud": AUDIENCE},
        {"iss": "https://other.example/"},
        {"exp": int(NOON)},
        {"exp": "never"},
        {"sub": ["auth0|alice"]},
        {"scope": ["openid"]},
        {"scope": "email"},
    ],
)
def test_crafted_jwt(caller: Caller, changes: dict[str, Any]) -> None:
    """A JWT the tenant signed, yet not for this, is refused."""
    token = caller.exchange(scope="openid", audience=AUDIENCE).members["access_token"]
    claims = read_claims(token)

    assert 200 == get_userinfo(caller, caller.tenant.sign(claims)).status
    assert 401 == get_userinfo(caller, caller.tenant.sign({**claims, **changes})).status


@pytest.mark.parametrize("authorization", [None, "Basic YTpi", "Bearer"])
def test_no_token(caller: Caller, authorization: str | None) -> None:
    """Without a Bearer token there is a challenge."""
    headers = {} if authorization is None else {"Authorization": authorization}
    reply = caller.get("/userinfo", headers=headers)

    assert 401 == reply.status
    assert 'Bearer realm="Users"' in dict(reply.headers)["WWW-Authenticate"]


def test_no_token_has_no_error(caller: Caller) -> None:
    """The challenge names no error where no token was sent (RFC 6750 3.1)."""
    reply = caller.get("/userinfo")

    assert 'Bearer realm="Users"' == dict(reply.headers)["WWW-Authenticate"]


def test_other_tenant(caller: Caller, new_tenant: Callable[..., Tenant]) -> None:
    """Another tenant's token says nothing here."""
    other = Caller(new_tenant())
    for audience in (None, AUDIENCE):
        members = other.exchange(scope="openid", audience=audience).members

        assert 401 == get_userinfo(caller, members["access_token"]).status


def test_over_the_wire(served: Tenant, connect: Callable[..., HTTPSConnection]) -> None:
    """The endpoint is where discovery says it is, and counts its requests."""
    connection = connect()
    connection.request("GET", "/.well-known/openid-configuration")
    endpoint = json.loads(connection.getresponse().read())["userinfo_endpoint"]
    token = Caller(served).exchange(scope="openid").members["access_token"]
    connection.request("GET", "/userinfo", headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()

    assert f"{served.issuer}userinfo" == endpoint
    assert {"sub": "auth0|alice"} == json.loads(response.read())
    assert 1 == served.count("/userinfo")
