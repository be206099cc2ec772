"""The replies to token exchanges that succeed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from joserfc import jwt

from auth0_tx.tenant import Api, Application, Reply, Settings, Tenant
from tests.tenant.tenant_caller import (
    NOON,
    TOKEN_EXCHANGE,
    Caller,
    Clock,
    read_claims,
    read_part,
)

AUDIENCE = "https://api.example.com"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def test_answers_with_a_bearer_token(caller: Caller) -> None:
    """An exchange without scope or audience gives an opaque access token alone."""
    reply = caller.exchange()

    assert 200 == reply.status
    members = reply.members
    assert "." not in members.pop("access_token")
    assert {
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": 86400,
    } == members


def test_token_replies_are_not_stored(caller: Caller) -> None:
    """Every reply of the token endpoint forbids storing it, refusals included."""
    for reply in (caller.exchange(), caller.exchange(subject_token=None)):
        headers = dict(reply.headers)

        assert "no-store" == headers["Cache-Control"]
        assert "no-cache" == headers["Pragma"]
        assert "application/json" == headers["Content-Type"]


def test_access_token_is_a_jwt_for_an_api(caller: Caller) -> None:
    """With an audience the access token is a JWT of Auth0's own profile."""
    token = caller.exchange(audience=AUDIENCE, scope="read:data").members[
        "access_token"
    ]

    assert {
        "iss": caller.tenant.issuer,
        "sub": "auth0|alice",
        "aud": AUDIENCE,
        "iat": int(NOON),
        "exp": int(NOON) + 86400,
        "scope": "read:data",
        "azp": caller.tenant.client_id,
    } == read_claims(token)
    assert "JWT" == read_part(token, 0)["typ"]


def test_access_token_in_the_rfc_9068_dialect(caller: Caller) -> None:
    """An API may have its access tokens in the profile of RFC 9068."""
    caller.tenant.apis.change(AUDIENCE, token_dialect="rfc9068_profile")
    token = caller.exchange(audience=AUDIENCE).members["access_token"]

    claims = read_claims(token)
    assert "at+jwt" == read_part(token, 0)["typ"]
    assert caller.tenant.client_id == claims["client_id"]
    assert claims["jti"]
    assert "azp" not in claims
    assert "scope" not in claims


def test_tokens_verify_with_the_published_keys(caller: Caller) -> None:
    """Both tokens verify with the JWKS, and carry the header Auth0 gives them."""
    members = caller.exchange(audience=AUDIENCE, scope="openid").members
    keys = caller.fetch_keys()

    for name in ("access_token", "id_token"):
        token = jwt.decode(members[name], keys, algorithms=["RS256"])

        assert "auth0|alice" == token.claims["sub"]
    assert [AUDIENCE, f"{caller.tenant.issuer}userinfo"] == read_claims(
        members["access_token"]
    )["aud"]


def test_id_token_needs_openid(caller: Caller) -> None:
    """An ID token comes with the openid scope only, for the client."""
    assert "id_token" not in caller.exchange(scope="profile").members
    token = caller.exchange(scope="openid").members["id_token"]

    assert {
        "iss": caller.tenant.issuer,
        "sub": "auth0|alice",
        "aud": caller.tenant.client_id,
        "iat": int(NOON),
        "exp": int(NOON) + 36000,
    } == read_claims(token)


def test_claims_come_with_their_scope(caller: Caller) -> None:
    """The standard claims are released by the scope that stands for them."""
    caller.tenant.users.change("auth0|alice", phone_number="+49123")
    email = read_claims(caller.exchange(scope="openid email").members["id_token"])
    profile = read_claims(caller.exchange(scope="openid profile").members["id_token"])
    phone = read_claims(caller.exchange(scope="openid phone").members["id_token"])

    assert ("alice@example.com", True) == (email["email"], email["email_verified"])
    assert "name" not in email
    assert ("Alice Adams", "Alice") == (profile["name"], profile["given_name"])
    assert "email" not in profile
    assert "+49123" == phone["phone_number"]


def test_scope_is_sent_only_when_it_differs(caller: Caller) -> None:
    """A scope granted as requested is left out of the reply."""
    same = caller.exchange(audience=AUDIENCE, scope="openid read:data")
    fewer = caller.exchange(audience=AUDIENCE, scope="openid delete:all write:data")
    none = caller.exchange(scope="read:data")

    assert "scope" not in same.members
    assert "openid write:data" == fewer.members["scope"]
    assert "" == none.members["scope"]


def test_scope_is_sent_always_if_set(new_tenant: Callable[..., Tenant]) -> None:
    """A tenant may be set to send the scope always."""
    caller = Caller(new_tenant(settings=Settings(always_send_scope=True)))

    assert "openid" == caller.exchange(scope="openid openid").members["scope"]


def test_refresh_token_needs_offline_access(caller: Caller) -> None:
    """A refresh token comes with offline_access, and is recorded as issued."""
    assert "refresh_token" not in caller.exchange(audience=AUDIENCE).members
    members = caller.exchange(audience=AUDIENCE, scope="offline_access").members
    issued = caller.tenant.refresh_tokens[members["refresh_token"]]

    assert "scope" not in members
    assert ("auth0|alice", AUDIENCE) == (issued.user_id, issued.audience)
    assert ("offline_access",) == issued.scopes
    assert members["refresh_token"] not in repr(issued)


@pytest.mark.parametrize("why", ["api", "grant"])
def test_refresh_token_has_to_be_allowed(caller: Caller, why: str) -> None:
    """Without leave of the API and of the client, offline_access is not granted."""
    if why == "api":
        caller.tenant.apis.change(AUDIENCE, allow_offline_access=False)
    else:
        client_id = caller.tenant.client_id
        caller.tenant.applications.change(client_id, grant_types=[TOKEN_EXCHANGE])
    members = caller.exchange(audience=AUDIENCE, scope="offline_access read:data")

    assert "refresh_token" not in members.members
    assert "read:data" == members.members["scope"]


def test_default_audience_stands_in(new_tenant: Callable[..., Tenant]) -> None:
    """A tenant's default audience is used if a request has none."""
    caller = Caller(new_tenant(settings=Settings(default_audience=AUDIENCE)))

    assert AUDIENCE == read_claims(caller.exchange().members["access_token"])["aud"]


def test_resource_stands_for_audience_if_set(
    caller: Caller, new_tenant: Callable[..., Tenant]
) -> None:
    """The resource parameter counts only with the compatibility setting."""
    compatible = Caller(new_tenant(settings=Settings(resource_parameter=True)))

    assert "." not in caller.exchange(resource=AUDIENCE).members["access_token"]
    token = compatible.exchange(resource=AUDIENCE).members["access_token"]
    assert AUDIENCE == read_claims(token)["aud"]


@pytest.mark.parametrize(
    "algorithm", ["RS256", "RS384", "PS256", "PS384", "ES256", "ES384"]
)
def test_id_token_algorithm_is_the_applications(caller: Caller, algorithm: str) -> None:
    """An ID token is signed as its application has it, and verifies with the JWKS."""
    client_id = caller.tenant.client_id
    caller.tenant.applications.change(client_id, id_token_signing_algorithm=algorithm)
    token = caller.exchange(scope="openid").members["id_token"]
    keys = caller.fetch_keys()

    assert algorithm == read_part(token, 0)["alg"]
    assert jwt.decode(token, keys, algorithms=[algorithm])


def test_hs256_signs_with_the_client_secret(caller: Caller) -> None:
    """An HS256 ID token is keyed by the client secret, and by nothing published."""
    client_id = caller.tenant.client_id
    caller.tenant.applications.change(client_id, id_token_signing_algorithm="HS256")
    header = read_part(caller.exchange(scope="openid").members["id_token"], 0)

    assert {"alg": "HS256", "typ": "JWT"} == header
    published = caller.get("/.well-known/jwks.json").members["keys"]
    assert {"RS256"} == {key["alg"] for key in published}


def test_api_signs_its_own_way(caller: Caller) -> None:
    """An API's access tokens are signed with the API's algorithm."""
    caller.tenant.apis.add(Api("https://ps.example.com", signing_algorithm="PS256"))
    token = caller.exchange(audience="https://ps.example.com").members["access_token"]

    assert "PS256" == read_part(token, 0)["alg"]


def test_json_body_is_accepted(caller: Caller) -> None:
    """The token endpoint takes JSON as well as a form."""
    body = json.dumps(caller.build_form()).encode()

    assert 200 == caller.post(body, {"content-type": "application/json"}).status


def test_public_application_exchanges(caller: Caller) -> None:
    """A public application exchanges with its client_id alone."""
    caller.tenant.applications.add(
        Application("spa", token_endpoint_auth_method="none")
    )

    assert 200 == caller.exchange(client_id="spa", client_secret=None).status


def test_id_token_can_be_altered(caller: Caller) -> None:
    """A test may alter the claims of ID tokens before they are signed."""
    caller.tenant.alter_id_token(lambda claims: {**claims, "aud": "someone-else"})
    altered = read_claims(caller.exchange(scope="openid").members["id_token"])
    caller.tenant.alter_id_token(None)
    plain = read_claims(caller.exchange(scope="openid").members["id_token"])

    assert ("someone-else", caller.tenant.client_id) == (altered["aud"], plain["aud"])


def test_reply_can_be_altered(caller: Caller) -> None:
    """A test may alter the replies of the token endpoint."""

    def alter(reply: Reply) -> Reply:
        return reply.without("id_token").including(token_type="mac")

    caller.tenant.alter_reply(alter)
    members = caller.exchange(scope="openid").members
    caller.tenant.clear()

    assert "id_token" not in members
    assert "mac" == members["token_type"]
    assert "Bearer" == caller.exchange().members["token_type"]


def test_log_tells_of_success_and_failure(caller: Caller, clock: Clock) -> None:
    """The tenant's log has one entry for each exchange, with the full reason."""
    caller.exchange()
    clock.now += 5
    caller.exchange(subject_token="garbage")
    success, failure = caller.tenant.logs

    assert ("secte", "auth0|alice") == (success.type, success.user_id)
    assert ("fecte", NOON + 5) == (failure.type, failure.date)
    assert "Invalid subject token: not a compact JWT" == failure.description
    assert "127.0.0.1" == failure.ip
