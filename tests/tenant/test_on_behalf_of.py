"""On-behalf-of exchange: an API exchanges the token that it was called with."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx.tenant import (
    ActionApi,
    Api,
    Application,
    Event,
    Profile,
    Reply,
    User,
)
from auth0_tx.tenant.jwts import peek
from tests.tenant.tenant_caller import Caller

API = "https://api.example.com"
OTHER = "https://other.example.com"
URN = "urn:ietf:params:oauth:token-type:access_token"


@pytest.fixture
def service(caller: Caller) -> Caller:
    """A caller of a tenant with an API that may call another."""
    tenant = caller.tenant
    tenant.apis.add(Api(OTHER, scopes=("read:more", "write:more")))
    tenant.applications.add(
        Application("service", "secret-of-it", resource_server_identifier=API)
    )
    return caller


def exchange(service: Caller, **changes: str | None) -> Reply:
    """Exchange a user's token, with ``changes`` to the form that succeeds."""
    form: dict[str, str | None] = {
        "client_id": "service",
        "client_secret": "secret-of-it",
        "subject_token": service.tenant.access_token("auth0|alice", API),
        "subject_token_type": URN,
        "requested_token_type": URN,
        "audience": OTHER,
        **changes,
    }
    return service.exchange(**form)


def read_claims(reply: Reply) -> dict[str, Any]:
    """Read the access token of a reply."""
    assert 200 == reply.status, reply.members
    return dict(peek(reply.members["access_token"]).claims)


def test_token(service: Caller) -> None:
    """The new token is the user's, for the other API, and names who acts."""
    reply = exchange(service)
    claims = read_claims(reply)

    assert {
        "access_token",
        "issued_token_type",
        "token_type",
        "expires_in",
        "scope",
    } >= set(reply.members)
    assert URN == reply.members["issued_token_type"]
    assert 86_400 == reply.members["expires_in"]
    assert ("auth0|alice", OTHER, {"sub": "service"}) == (
        claims["sub"],
        claims["aud"],
        claims["act"],
    )
    assert "read:more write:more" == claims["scope"]


def test_scope(service: Caller) -> None:
    """Of the scopes asked for, those of the API are granted; none at all is refused."""
    some = read_claims(exchange(service, scope="read:more openid"))
    none = exchange(service, scope="openid")

    assert "read:more" == some["scope"]
    assert (403, "access_denied") == (none.status, none.members["error"])


def test_client_grants(service: Caller) -> None:
    """A client may be limited to some APIs, and to some of their scopes."""
    change = service.tenant.applications.change
    change("service", on_behalf_of_grants={OTHER: ("read:more",)})
    granted = read_claims(exchange(service))
    change("service", on_behalf_of_grants={})
    refused = exchange(service)

    assert "read:more" == granted["scope"]
    assert 403 == refused.status


def test_chain(service: Caller) -> None:
    """Who acted before is nested in who acts; after four it is refused."""
    actor: dict[str, Any] = {"sub": "first"}
    token = service.tenant.access_token("auth0|alice", API, actor=actor)
    claims = read_claims(exchange(service, subject_token=token))
    for _ in range(3):
        actor = {"sub": "next", "act": actor}
    token = service.tenant.access_token("auth0|alice", API, actor=actor)
    refused = exchange(service, subject_token=token)

    assert {"sub": "service", "act": {"sub": "first"}} == claims["act"]
    assert 400 == refused.status
    assert "Delegation chain" in refused.members["error_description"]


def test_clients(service: Caller) -> None:
    """Only a client that stands for the token's API, and proves itself, may exchange it."""
    tenant = service.tenant
    other = exchange(
        service, client_id=tenant.client_id, client_secret=tenant.client_secret
    )
    tenant.applications.add(
        Application(
            "public",
            token_endpoint_auth_method="none",
            resource_server_identifier=API,
        )
    )
    public = exchange(service, client_id="public", client_secret=None)

    assert [403, 403] == [other.status, public.status]
    assert "not a resource server" in other.members["error_description"]


@pytest.mark.parametrize(
    "kind", ["expired", "other-api", "opaque", "foreign", "no-user"]
)
def test_tokens(service: Caller, kind: str) -> None:
    """Anything but a user's valid access token for that API is refused."""
    tenant = service.tenant
    token = {
        "expired": lambda: tenant.access_token("auth0|alice", API, expires_in=-1),
        "other-api": lambda: tenant.access_token("auth0|alice", OTHER),
        "opaque": lambda: "opaque",
        "foreign": lambda: tenant.subject_token("auth0|alice"),
        "no-user": lambda: _issue_to_removed_user(service),
    }[kind]()
    reply = exchange(service, subject_token=token)

    assert (401, "invalid_token") == (reply.status, reply.members["error"])


def _issue_to_removed_user(service: Caller) -> str:
    service.tenant.users.add(User("auth0|gone"))
    token = service.tenant.access_token("auth0|gone", API)
    service.tenant.users.remove("auth0|gone")
    return token


def test_users(service: Caller) -> None:
    """A user who is blocked by now gets nothing."""
    token = service.tenant.access_token("auth0|alice", API)
    service.tenant.users.change("auth0|alice", blocked=True)

    assert exchange(service, subject_token=token).status in (401, 403)


def test_organization(service: Caller) -> None:
    """The organization stays, as long as the user is a member."""
    tenant = service.tenant
    tenant.profiles.add(Profile("urn:acme:member", choose_alice_at_acme))
    issued = service.exchange(subject_token_type="urn:acme:member", audience=API)
    token = issued.members["access_token"]
    claims = read_claims(exchange(service, subject_token=token))
    tenant.organizations.change("org_abc1234", members=())
    refused = exchange(service, subject_token=token)

    assert "org_abc1234" == claims["org_id"]
    assert (403, "access_denied") == (refused.status, refused.members["error"])


def choose_alice_at_acme(event: Event, api: ActionApi) -> None:
    """Set alice as the user, and her organization."""
    api.authentication.set_user_by_id("auth0|alice")
    api.authentication.set_organization("org_abc1234")


def test_unknown_api(service: Caller) -> None:
    """An API that the tenant does not have is refused."""
    assert 200 != exchange(service, audience="https://nowhere.example.com").status


def test_access_token(service: Caller) -> None:
    """An access token needs a user, an API and an application that the tenant has."""
    for user, api in (("auth0|nobody", API), ("auth0|alice", "https://no.example.com")):
        with pytest.raises(ValueError, match=r"the tenant has no (user|API)"):
            service.tenant.access_token(user, api)
    service.tenant.applications.remove(service.tenant.client_id)
    with pytest.raises(ValueError, match="the tenant has no application"):
        service.tenant.access_token("auth0|alice", API)
