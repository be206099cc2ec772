"""Session transfer tokens: who gets one, what it says, and that it says so once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest

from auth0_tx.tenant import (
    ActionApi,
    Application,
    Certificates,
    Event,
    KeySupply,
    Profile,
    Reply,
    Settings,
    Tenant,
)
from tests.tenant.tenant_caller import FORM, NOON, Caller, Clock, read_refusal

TOKEN_TYPE = "urn:auth0:params:oauth:token-type:session_transfer_token"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


@pytest.fixture
def allowed(caller: Caller) -> Caller:
    """A caller whose default application may request session transfer tokens."""
    caller.tenant.applications.change(
        caller.tenant.client_id, can_create_session_transfer_token=True
    )
    return caller


def audience(tenant: Tenant) -> str:
    """Return the audience that asks for a session transfer token."""
    return f"urn:{tenant.issuer.split('/')[2]}:session_transfer"


def request_transfer(caller: Caller, **changes: str | None) -> Reply:
    """Ask for a session transfer token, bob acting for alice."""
    return caller.exchange(
        **{
            "audience": audience(caller.tenant),
            "actor_token": caller.tenant.id_token("auth0|bob"),
            "actor_token_type": ID_TOKEN,
            **changes,
        }
    )


def test_transfer(allowed: Caller) -> None:
    """The reply has an opaque token of its own kind for a minute, and nothing else."""
    reply = request_transfer(allowed, scope="openid offline_access")
    members = reply.members

    assert 200 == reply.status
    assert {
        "access_token": members["access_token"],
        "issued_token_type": TOKEN_TYPE,
        "token_type": "N_A",
        "expires_in": 60,
    } == members
    assert "." not in members["access_token"]
    assert ("Cache-Control", "no-store") in reply.headers
    assert 0 == len(allowed.tenant.refresh_tokens)
    assert ("secte", {"sub": "auth0|bob"}) == (
        allowed.tenant.logs[-1].type,
        allowed.tenant.logs[-1].actor,
    )


def test_redeemed_once(allowed: Caller) -> None:
    """A token tells who acts as whom within what, and only the first time."""
    token = request_transfer(allowed, organization="org_abc1234").members[
        "access_token"
    ]
    told = allowed.tenant.redeem_session_transfer_token(token)

    assert (
        "auth0|alice",
        {"sub": "auth0|bob"},
        "org_abc1234",
        allowed.tenant.client_id,
        "127.0.0.1",
        NOON + 60,
    ) == (
        told.user_id,
        told.actor,
        told.organization,
        told.client_id,
        told.ip,
        told.expires_at,
    )
    with pytest.raises(ValueError, match="unknown, used or expired"):
        allowed.tenant.redeem_session_transfer_token(token)


def test_without_organization(allowed: Caller) -> None:
    """Without an organization the token has none."""
    token = request_transfer(allowed).members["access_token"]

    assert allowed.tenant.redeem_session_transfer_token(token).organization is None


@pytest.mark.parametrize(("seconds", "good"), [(59, True), (60, False)])
def test_good_for_a_minute(
    allowed: Caller, clock: Clock, seconds: int, good: bool
) -> None:
    """A token expires after a minute."""
    token = request_transfer(allowed).members["access_token"]
    clock.now += seconds
    if good:
        told = allowed.tenant.redeem_session_transfer_token(token)
        assert "auth0|alice" == told.user_id
    else:
        with pytest.raises(ValueError, match="expired"):
            allowed.tenant.redeem_session_transfer_token(token)


def test_unknown_token(tenant: Tenant) -> None:
    """An unknown token is refused, and the message does not repeat it."""
    with pytest.raises(ValueError, match="unknown") as caught:
        tenant.redeem_session_transfer_token("not-a-token")

    assert "not-a-token" not in str(caught.value)


def test_redeemed_once_by_many(allowed: Caller) -> None:
    """Of many who redeem one token at once exactly one may."""
    token = request_transfer(allowed).members["access_token"]

    def redeem(_: int) -> bool:
        try:
            allowed.tenant.redeem_session_transfer_token(token)
        except ValueError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert 1 == sum(pool.map(redeem, range(64)))


def test_it_is_no_access_token(allowed: Caller) -> None:
    """The token opens nothing else."""
    token = request_transfer(allowed, scope="openid").members["access_token"]
    headers = {"Authorization": f"Bearer {token}"}

    assert 401 == allowed.get("/userinfo", headers=headers).status


def test_actor_is_required(allowed: Caller) -> None:
    """Without setActor it is refused, in Auth0's words."""
    reply = request_transfer(allowed, actor_token=None, actor_token_type=None)

    assert (
        400,
        "invalid_request",
        "setActor is required when requesting a session transfer token via token "
        "exchange.",
    ) == read_refusal(reply)
    assert "fecte" == allowed.tenant.logs[-1].type


def test_actor_token_is_not_enough(allowed: Caller) -> None:
    """An actor_token without ``set_actor`` does not count as an actor."""

    def action(event: Event, api: ActionApi) -> None:
        api.authentication.set_user_by_id("auth0|alice")

    allowed.tenant.profiles.add(Profile("urn:acme:no-actor", action))
    reply = request_transfer(allowed, subject_token_type="urn:acme:no-actor")

    assert (400, "invalid_request") == read_refusal(reply)[:2]


def test_actor_without_actor_token(allowed: Caller) -> None:
    """An actor that the Action sets by itself will do, with its properties."""
    actor: dict[str, Any] = {"sub": "auth0|bob", "role": "support"}

    def action(event: Event, api: ActionApi) -> None:
        api.authentication.set_user_by_id("auth0|alice")
        api.authentication.set_actor(actor)

    allowed.tenant.profiles.add(Profile("urn:acme:actor", action))
    reply = request_transfer(
        allowed,
        subject_token_type="urn:acme:actor",
        actor_token=None,
        actor_token_type=None,
    )
    token = reply.members["access_token"]

    assert actor == allowed.tenant.redeem_session_transfer_token(token).actor


def test_single_level(allowed: Caller) -> None:
    """An actor for whom another acts is refused."""
    token = allowed.tenant.id_token("auth0|bob", act={"sub": "auth0|support_agent"})

    assert (400, "invalid_request") == read_refusal(
        request_transfer(allowed, actor_token=token)
    )[:2]


def test_application_must_be_allowed(caller: Caller) -> None:
    """It is off for an application until set."""
    assert (
        400,
        "invalid_request",
        "Session Transfer Tokens cannot be requested on this tenant.",
    ) == read_refusal(request_transfer(caller))


def test_public_client(caller: Caller) -> None:
    """A public client is refused."""
    caller.tenant.applications.add(
        Application(
            "spa",
            token_endpoint_auth_method="none",
            can_create_session_transfer_token=True,
        )
    )
    reply = request_transfer(
        caller,
        client_id="spa",
        client_secret=None,
        actor_token=caller.tenant.id_token("auth0|bob", audience="spa"),
    )

    assert (403, "unauthorized_client") == read_refusal(reply)[:2]


def test_other_tenants_audience(allowed: Caller) -> None:
    """The audience of another tenant is an API that there is not."""
    reply = request_transfer(allowed, audience="urn:other.example:session_transfer")

    assert (403, "access_denied") == read_refusal(reply)[:2]


def test_default_audience_does_not_matter(new_tenant: Callable[..., Tenant]) -> None:
    """A tenant with a default audience has the token all the same."""
    settings = Settings(default_audience="https://api.example.com")
    caller = Caller(new_tenant(settings=settings))
    caller.tenant.applications.change(
        caller.tenant.client_id, can_create_session_transfer_token=True
    )

    assert TOKEN_TYPE == request_transfer(caller).members["issued_token_type"]


def test_trusted_address(allowed: Caller) -> None:
    """The address is the end user's, where the application is believed."""
    allowed.tenant.applications.change(
        allowed.tenant.client_id, trust_forwarded_for=True
    )
    form = allowed.build_form(
        audience=audience(allowed.tenant),
        actor_token=allowed.tenant.id_token("auth0|bob"),
        actor_token_type=ID_TOKEN,
    )
    reply = allowed.post(
        urlencode(form).encode(), {**FORM, "auth0-forwarded-for": "203.0.113.7"}
    )
    token = reply.members["access_token"]

    assert "203.0.113.7" == allowed.tenant.redeem_session_transfer_token(token).ip


def test_nothing_secret_prints(allowed: Caller) -> None:
    """Neither the tenant nor what a token stands for shows the token."""
    token = request_transfer(allowed).members["access_token"]
    printed = repr(allowed.tenant._state)
    told = allowed.tenant.redeem_session_transfer_token(token)

    assert token not in printed + repr(told)


@pytest.mark.parametrize("tls", [True, False])
def test_audience_of_a_served_tenant(
    keys: KeySupply, certificates: Certificates, tls: bool
) -> None:
    """With TLS and without, the audience has the host and port, and no scheme."""
    with Tenant(tls=tls, keys=keys, certificates=certificates) as tenant:
        tenant.applications.change(
            tenant.client_id, can_create_session_transfer_token=True
        )
        host = tenant.domain.removeprefix("http://")
        reply = request_transfer(
            Caller(tenant), audience=f"urn:{host}:session_transfer"
        )

    assert 200 == reply.status
