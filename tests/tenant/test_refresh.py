"""The refresh token grant: what comes back, rotation, and what a reuse ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import pytest

from auth0_tx.tenant import (
    ActionApi,
    Api,
    Application,
    Event,
    Profile,
    RateLimit,
    RefreshToken,
    Settings,
    Tenant,
    faults,
)
from auth0_tx.tenant.refresh_tokens import UnknownRefreshToken
from tests.tenant.tenant_caller import (
    FORM,
    NOON,
    Caller,
    Clock,
    read_claims,
    read_part,
    read_refusal,
)

AUDIENCE = "https://api.example.com"
BILLING = "https://billing.example.com"
FULL = "openid profile email read:data offline_access"
UNKNOWN = (403, "invalid_grant", "Unknown or invalid refresh token.")


def change_application(caller: Caller, **changes: Any) -> None:
    """Change the default application."""
    caller.tenant.applications.change(caller.tenant.client_id, **changes)


def test_refresh(caller: Caller, clock: Clock) -> None:
    """A refresh brings every token anew, for the same user, API and scopes."""
    first = caller.exchange(scope=FULL, audience=AUDIENCE).members
    clock.now += 60
    reply = caller.refresh(first["refresh_token"])
    members = reply.members
    access, identity = (
        read_claims(members["access_token"]),
        read_claims(members["id_token"]),
    )

    assert 200 == reply.status
    assert {
        "access_token",
        "expires_in",
        "id_token",
        "refresh_token",
        "scope",
        "token_type",
    } == set(members)
    assert (FULL, 86400, "Bearer") == (
        members["scope"],
        members["expires_in"],
        members["token_type"],
    )
    assert ("auth0|alice", FULL, NOON + 60, "refresh_token") == (
        access["sub"],
        access["scope"],
        access["iat"],
        access["gty"],
    )
    assert [AUDIENCE, f"{caller.tenant.issuer}userinfo"] == access["aud"]
    assert ("auth0|alice", "alice@example.com", caller.tenant.client_id) == (
        identity["sub"],
        identity["email"],
        identity["aud"],
    )
    assert ("Cache-Control", "no-store") in reply.headers
    assert {"fecte", "fertft"}.isdisjoint(entry.type for entry in caller.tenant.logs)
    assert ("sertft", "auth0|alice") == (
        caller.tenant.logs[-1].type,
        caller.tenant.logs[-1].user_id,
    )


def test_id_token_needs_openid(caller: Caller) -> None:
    """Without the openid scope a refresh brings no ID token, and an opaque token."""
    members = caller.refresh(caller.issue_refresh_token()).members

    assert "id_token" not in members
    assert "." not in members["access_token"]
    assert "offline_access" == members["scope"]


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("read:data", "read:data"),
        ("email openid", "email openid"),
        ("read:data write:data", "read:data"),
        ("write:data", ""),
    ],
)
def test_scope_may_be_narrowed(caller: Caller, asked: str, granted: str) -> None:
    """A part of the scopes may be asked for; one not granted before is left out."""
    token = caller.issue_refresh_token(FULL, audience=AUDIENCE)
    members = caller.refresh(token, scope=asked).members

    assert granted == members["scope"]
    assert granted == read_claims(members["access_token"]).get("scope", "")
    assert ("openid" in granted) == ("id_token" in members)


def test_narrowing_is_for_once(caller: Caller) -> None:
    """The next refresh token has the scopes of the first (RFC 6749 6)."""
    token = caller.issue_refresh_token(FULL, audience=AUDIENCE)
    narrowed = caller.refresh(token, scope="read:data").members

    assert FULL == caller.refresh(narrowed["refresh_token"]).members["scope"]


def test_rfc9068_has_no_gty(caller: Caller) -> None:
    """The gty claim is of Auth0's own dialect alone."""
    caller.tenant.apis.change(AUDIENCE, token_dialect="rfc9068_profile")
    token = caller.issue_refresh_token(audience=AUDIENCE)
    access_token = caller.refresh(token).members["access_token"]

    assert "at+jwt" == read_part(access_token, 0)["typ"]
    assert "gty" not in read_claims(access_token)


def test_rotation(caller: Caller, clock: Clock) -> None:
    """Each refresh replaces the refresh token by one not seen before."""
    tokens = [caller.issue_refresh_token()]
    for _ in range(5):
        clock.now += 10
        tokens.append(caller.refresh(tokens[-1]).members["refresh_token"])
    records = [caller.tenant.refresh_tokens[token] for token in tokens]

    assert 6 == len(set(tokens))
    assert [0, 1, 2, 3, 4, 5] == [record.generation for record in records]
    assert 1 == len({record.family for record in records})
    assert [*(NOON + 10 * n for n in range(1, 6)), None] == [
        record.rotated_at for record in records
    ]


def test_reuse_ends_the_family(caller: Caller) -> None:
    """A refresh token used twice is refused, and so is whatever came of it."""
    first, other = caller.issue_refresh_token(), caller.issue_refresh_token()
    second = caller.refresh(first).members["refresh_token"]
    third = caller.refresh(second).members["refresh_token"]

    assert UNKNOWN == read_refusal(caller.refresh(first))
    assert (
        "ferrt",
        "Reused rotating refresh token detected, revoked the family",
    ) == (caller.tenant.logs[-1].type, caller.tenant.logs[-1].description)
    for token in (first, second, third):
        assert UNKNOWN == read_refusal(caller.refresh(token))
        assert "fertft" == caller.tenant.logs[-1].type
    assert 200 == caller.refresh(other).status


def test_leeway(caller: Caller, clock: Clock) -> None:
    """Within the leeway the token used last may be used again, and not later."""
    change_application(caller, refresh_token_leeway=10)
    first = caller.issue_refresh_token()
    second = caller.refresh(first).members["refresh_token"]
    clock.now += 9
    again = caller.refresh(first).members["refresh_token"]

    assert second != again
    clock.now += 1
    assert UNKNOWN == read_refusal(caller.refresh(first))
    assert UNKNOWN == read_refusal(caller.refresh(again))


def test_leeway_is_for_the_last_one_alone(caller: Caller) -> None:
    """A token superseded before the last is reuse, even within the leeway."""
    change_application(caller, refresh_token_leeway=10)
    first = caller.issue_refresh_token()
    second = caller.refresh(first).members["refresh_token"]
    again = caller.refresh(first).members["refresh_token"]
    third = caller.refresh(second).members["refresh_token"]

    # A sibling not used yet is no reuse.
    assert 200 == caller.refresh(again).status
    assert UNKNOWN == read_refusal(caller.refresh(first))
    assert UNKNOWN == read_refusal(caller.refresh(third))


def test_non_rotating(caller: Caller) -> None:
    """A refresh token that does not rotate stays good, and is not sent again."""
    change_application(caller, rotating_refresh_tokens=False)
    token = caller.issue_refresh_token()
    replies = [caller.refresh(token) for _ in range(3)]

    assert {200} == {reply.status for reply in replies}
    assert all("refresh_token" not in reply.members for reply in replies)
    assert 3 == len({reply.members["access_token"] for reply in replies})


def test_leeway_may_not_be_negative() -> None:
    """A negative leeway is a mistake."""
    with pytest.raises(ValueError, match="refresh_token_leeway"):
        Application("a", "s", refresh_token_leeway=-1)


@pytest.mark.parametrize("token", ["unknown", "x" * 5000, "été"])
def test_unknown_refresh_token(caller: Caller, token: str) -> None:
    """An unknown token is refused in Auth0's words."""
    assert UNKNOWN == read_refusal(caller.refresh(token))


def test_missing_refresh_token(caller: Caller) -> None:
    """A refresh without a token is an invalid request."""
    assert (400, "invalid_request") == read_refusal(caller.refresh(""))[:2]


def test_of_another_client(caller: Caller) -> None:
    """Another client may not use a token, nor end its family by trying."""
    token = caller.issue_refresh_token()
    caller.tenant.applications.add(Application("other", "secret"))

    assert UNKNOWN == read_refusal(
        caller.refresh(token, client_id="other", client_secret="secret")
    )
    assert 200 == caller.refresh(token).status


def test_client_must_prove_itself(caller: Caller) -> None:
    """A wrong client secret is refused, and the token not spent."""
    token = caller.issue_refresh_token()

    assert 401 == caller.refresh(token, client_secret="wrong").status
    assert 200 == caller.refresh(token).status


def test_public_client(caller: Caller) -> None:
    """A public client refreshes with its identifier alone."""
    caller.tenant.applications.add(
        Application("spa", token_endpoint_auth_method="none")
    )
    token = caller.issue_refresh_token(client_id="spa", client_secret="")

    assert 200 == caller.refresh(token, client_id="spa", client_secret=None).status


def test_grant_type_may_be_off(caller: Caller) -> None:
    """An application without the grant may not refresh, and is given no token."""
    token = caller.issue_refresh_token()
    change_application(
        caller, grant_types=["urn:ietf:params:oauth:grant-type:token-exchange"]
    )

    assert (
        403,
        "unauthorized_client",
        "Grant type 'refresh_token' not allowed for the client.",
    ) == read_refusal(caller.refresh(token))


def test_blocked_user(caller: Caller) -> None:
    """A blocked user's token is refused but not spent."""
    token = caller.issue_refresh_token()
    caller.tenant.users.change("auth0|alice", blocked=True)

    assert (403, "access_denied", "user is blocked") == read_refusal(
        caller.refresh(token)
    )
    caller.tenant.users.change("auth0|alice", blocked=False)
    assert 200 == caller.refresh(token).status


def test_what_is_removed_takes_its_tokens(caller: Caller) -> None:
    """A refresh token of a removed user or API is unknown."""
    of_user, of_api = (
        caller.issue_refresh_token(),
        caller.issue_refresh_token(audience=AUDIENCE),
    )
    caller.tenant.apis.remove(AUDIENCE)
    assert 200 == caller.refresh(of_user).status
    caller.tenant.users.remove("auth0|alice")

    assert UNKNOWN == read_refusal(caller.refresh(of_api))
    assert UNKNOWN == read_refusal(caller.refresh(of_user))


def test_organization_is_kept(caller: Caller) -> None:
    """Every refreshed token stays in its organization."""
    members = caller.exchange(
        scope=FULL, audience=AUDIENCE, organization="org_abc1234"
    ).members
    for _ in range(2):
        members = caller.refresh(members["refresh_token"]).members

        for name in ("id_token", "access_token"):
            assert "org_abc1234" == read_claims(members[name])["org_id"]


def test_membership_is_checked_again(caller: Caller) -> None:
    """A user who has left the organization is refused, or whose organization is gone."""
    token = caller.issue_refresh_token(organization="org_abc1234")
    caller.tenant.organizations.change("org_abc1234", members=[])

    assert (403, "access_denied") == read_refusal(caller.refresh(token))[:2]
    caller.tenant.organizations.remove("org_abc1234")
    assert UNKNOWN == read_refusal(caller.refresh(token))


@pytest.fixture
def billing(caller: Caller) -> Caller:
    """Who asks a tenant that has a second API."""
    scopes = ("read:bills", "write:bills")
    caller.tenant.apis.add(Api(BILLING, scopes=scopes))
    return caller


def test_other_audience(billing: Caller) -> None:
    """A refresh token is good for other APIs, with scopes of theirs."""
    token = billing.issue_refresh_token(FULL, audience=AUDIENCE)
    other = billing.refresh(token, audience=BILLING).members
    narrowed = billing.refresh(
        other["refresh_token"], audience=BILLING, scope="read:bills read:data"
    ).members
    first = billing.refresh(narrowed["refresh_token"]).members

    assert (
        "openid profile email offline_access read:bills write:bills" == (other["scope"])
    )
    assert BILLING == read_claims(other["access_token"])["aud"][0]
    assert ("read:bills", BILLING) == (
        narrowed["scope"],
        read_claims(narrowed["access_token"])["aud"],
    )
    assert (FULL, AUDIENCE) == (
        first["scope"],
        read_claims(first["access_token"])["aud"][0],
    )


def test_same_audience(billing: Caller) -> None:
    """Naming the audience first granted changes nothing."""
    change_application(billing, refresh_token_policies={})
    token = billing.issue_refresh_token(FULL, audience=AUDIENCE)

    assert FULL == billing.refresh(token, audience=AUDIENCE).members["scope"]


def test_policies(billing: Caller) -> None:
    """An application's policies say which APIs, and which scopes of them."""
    change_application(
        billing, refresh_token_policies={BILLING: ["read:bills", "nonsense"]}
    )
    token = billing.issue_refresh_token("offline_access", audience=AUDIENCE)
    members = billing.refresh(token, audience=BILLING).members

    assert "offline_access read:bills" == members["scope"]


@pytest.mark.parametrize("why", ["policies", "unknown", "consent", "third party"])
def test_audience_outside_the_policies(
    billing: Caller, new_tenant: Callable[..., Tenant], why: str
) -> None:
    """An audience that may not be had is ignored; refusing it is a setting."""
    strict = Caller(new_tenant(settings=Settings(refuse_other_refresh_audience=True)))
    strict.tenant.apis.add(Api(BILLING))
    replies = []
    for caller in (billing, strict):
        token = caller.issue_refresh_token(FULL, audience=AUDIENCE)
        match why:
            case "policies":
                change_application(
                    caller, refresh_token_policies={AUDIENCE: ["read:data"]}
                )
            case "unknown":
                caller.tenant.apis.remove(BILLING)
            case "consent":
                caller.tenant.apis.change(BILLING, skip_consent=False)
            case _:
                change_application(caller, first_party=False)
        replies.append(caller.refresh(token, audience=BILLING))
    ignored, refused = replies

    assert AUDIENCE == read_claims(ignored.members["access_token"])["aud"][0]
    assert FULL == ignored.members["scope"]
    assert (403, "access_denied") == read_refusal(refused)[:2]


def test_rate_limit(new_tenant: Callable[..., Tenant]) -> None:
    """The rate limit counts refreshes too."""
    caller = Caller(new_tenant(rate_limit=RateLimit(1, burst=2)))
    token = caller.issue_refresh_token()
    statuses = [caller.refresh(token).status for _ in range(2)]

    assert [200, 429] == statuses


def test_throttle_is_for_subject_tokens(caller: Caller) -> None:
    """An address blocked for bad subject tokens may still refresh."""
    token = caller.issue_refresh_token()
    for _ in range(10):
        caller.exchange(subject_token="bad")

    assert 429 == caller.exchange().status
    assert 200 == caller.refresh(token).status


def test_alterations(caller: Caller) -> None:
    """Alterations of ID tokens and replies hold for a refresh, too."""
    token = caller.issue_refresh_token(FULL)
    caller.tenant.alter_id_token(lambda claims: {**claims, "sub": "auth0|mallory"})
    caller.tenant.alter_reply(lambda reply: reply.without("access_token"))
    members = caller.refresh(token).members

    assert "access_token" not in members
    assert "auth0|mallory" == read_claims(members["id_token"])["sub"]


def set_claims(event: Event, api: ActionApi) -> None:
    """Set alice, and claims of one's own."""
    api.authentication.set_user_by_id("auth0|alice")
    api.id_token.set_custom_claim("session_expiry", 1_700_003_600)
    api.id_token.set_custom_claim("sub", "auth0|mallory")
    api.id_token.set_custom_claim("act", {"sub": "auth0|mallory"})
    api.access_token.set_custom_claim("https://acme.example/roles", ["admin"])
    api.access_token.set_custom_claim("iss", "https://evil.example/")


def test_custom_claims(caller: Caller) -> None:
    """Custom claims are in the tokens, refreshed ones too; the tenant's are kept."""
    caller.tenant.profiles.add(Profile("urn:acme:claims", set_claims))
    first = caller.exchange(
        subject_token_type="urn:acme:claims", scope=FULL, audience=AUDIENCE
    ).members
    second = caller.refresh(first["refresh_token"]).members

    for members in (first, second):
        identity = read_claims(members["id_token"])
        access = read_claims(members["access_token"])
        assert (1_700_003_600, "auth0|alice") == (
            identity["session_expiry"],
            identity["sub"],
        )
        assert "act" not in identity
        assert (["admin"], caller.tenant.issuer) == (
            access["https://acme.example/roles"],
            access["iss"],
        )
        assert "session_expiry" not in access


@pytest.mark.parametrize(("name", "value"), [("", 1), ("x", object()), ("x", 1e999)])
def test_custom_claim_that_cannot_be(caller: Caller, name: str, value: Any) -> None:
    """A claim without a name, or with a value that is not JSON, fails the Action."""

    def action(event: Event, api: ActionApi) -> None:
        api.id_token.set_custom_claim(name, value)

    caller.tenant.profiles.add(Profile("urn:acme:bad-claim", action))
    reply = caller.exchange(subject_token_type="urn:acme:bad-claim")

    assert (500, "server_error") == read_refusal(reply)[:2]


def test_a_token_made_by_hand(caller: Caller) -> None:
    """A refresh token put into the tenant is one like any other."""
    caller.tenant.refresh_tokens.add(
        RefreshToken(
            token="by-hand",
            client_id=caller.tenant.client_id,
            user_id="auth0|bob",
            audience=None,
            scopes=("openid",),
            organization=None,
            issued_at=NOON,
        )
    )
    members = caller.refresh("by-hand").members

    assert "auth0|bob" == read_claims(members["id_token"])["sub"]
    assert "by-hand" not in repr(list(caller.tenant.refresh_tokens))


def test_revoked_by_hand(caller: Caller) -> None:
    """A test may end a family itself, and is told whether there was one."""
    token = caller.issue_refresh_token()
    tokens = caller.tenant.refresh_tokens

    assert [True, False] == [tokens.revoke(token), tokens.revoke(token)]
    assert UNKNOWN == read_refusal(caller.refresh(token))
    with pytest.raises(UnknownRefreshToken):
        tokens.rotate(token, now=NOON, leeway=0, new_id=lambda: "next")


def refresh_over(connection: HTTPSConnection, tenant: Tenant, token: str) -> int:
    """Refresh on ``connection`` and return the status."""
    form = {
        "grant_type": "refresh_token",
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "refresh_token": token,
    }
    connection.request("POST", "/oauth/token", urlencode(form), FORM)
    response = connection.getresponse()
    response.read()
    return response.status


@pytest.mark.parametrize("rotating", [True, False])
def test_many_at_once(
    served: Tenant, connect: Callable[..., HTTPSConnection], rotating: bool
) -> None:
    """Of many requests with one rotating token one wins, and its family has ended."""
    caller, many = Caller(served), 16
    change_application(caller, rotating_refresh_tokens=rotating)
    token = caller.issue_refresh_token()
    connections = [connect() for _ in range(many)]
    for connection in connections:
        connection.connect()
    ready = Barrier(many)

    def refresh_once(connection: HTTPSConnection) -> int:
        ready.wait()
        return refresh_over(connection, served, token)

    with ThreadPoolExecutor(many) as pool:
        statuses = Counter(pool.map(refresh_once, connections))

    assert ({200: 1, 403: many - 1} if rotating else {200: many}) == statuses
    assert (0 if rotating else 1) == len(served.refresh_tokens)
    assert many == served.count("/oauth/token")


def test_lost_answer(served: Tenant, connect: Callable[..., HTTPSConnection]) -> None:
    """A lost answer has spent the token, and only a leeway lets it be used again."""
    caller = Caller(served)
    change_application(caller, refresh_token_leeway=3600)
    token = caller.issue_refresh_token()
    served.inject(faults.lost_answer())
    with pytest.raises(ConnectionError):
        refresh_over(connect(), served, token)

    assert served.refresh_tokens[token].rotated_at is not None
    assert 200 == refresh_over(connect(), served, token)
