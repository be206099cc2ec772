"""Organizations: who may name one, and who belongs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from auth0_tx.tenant import ActionApi, Event, Organization, Profile, Settings, Tenant
from tests.tenant.tenant_caller import Caller, read_claims, read_refusal

DATABASE = "Username-Password-Authentication"
CREATE = {"creationBehavior": "create_if_not_exists", "updateBehavior": "none"}


def set_organization_usage(caller: Caller, organization_usage: str) -> None:
    """Set what the default application does about organizations."""
    client_id = caller.tenant.client_id
    caller.tenant.applications.change(client_id, organization_usage=organization_usage)


def test_member_gets_org_id(caller: Caller) -> None:
    """Both tokens of a member carry org_id, and no org_name."""
    members = caller.exchange(
        organization="org_abc1234", scope="openid", audience="https://api.example.com"
    ).members

    for name in ("id_token", "access_token"):
        assert "org_abc1234" == read_claims(members[name])["org_id"]
        assert "org_name" not in read_claims(members[name])


def test_names_need_the_setting(
    caller: Caller, new_tenant: Callable[..., Tenant]
) -> None:
    """An organization may be named by name only where the tenant allows it."""
    named = Caller(new_tenant(settings=Settings(organization_names=True)))
    members = named.exchange(organization="ACME", scope="openid").members
    claims = read_claims(members["id_token"])

    assert 400 == caller.exchange(organization="acme").status
    assert ("org_abc1234", "acme") == (claims["org_id"], claims["org_name"])


@pytest.mark.parametrize("organization", ["org_unknown", "unknown"])
def test_unknown_organization(caller: Caller, organization: str) -> None:
    """An organization the tenant does not have is refused."""
    reply = caller.exchange(organization=organization)

    assert (400, "invalid_request") == read_refusal(reply)[:2]


def test_not_a_member(caller: Caller) -> None:
    """A user who is not a member is refused."""
    token = caller.tenant.subject_token("auth0|bob")
    reply = caller.exchange(organization="org_abc1234", subject_token=token)

    assert (
        403,
        "access_denied",
        "user auth0|bob is not part of the org_abc1234 organization",
    ) == read_refusal(reply)


def test_application_may_deny_organizations(caller: Caller) -> None:
    """An application that denies organizations refuses the parameter."""
    set_organization_usage(caller, "deny")

    assert 200 == caller.exchange().status
    assert (400, "invalid_request") == read_refusal(
        caller.exchange(organization="org_abc1234")
    )[:2]


def test_application_may_require_organizations(caller: Caller) -> None:
    """An application that requires one refuses a request without, in Auth0's words."""
    set_organization_usage(caller, "require")

    assert 200 == caller.exchange(organization="org_abc1234").status
    assert (
        400,
        "invalid_request",
        "parameter organization is required for this client",
    ) == read_refusal(caller.exchange())


def add_organization_profile(caller: Caller, organization: str) -> None:
    """Add a profile whose Action sets alice in ``organization``."""

    def action(event: Event, api: ActionApi) -> None:
        api.authentication.set_user_by_id("auth0|alice")
        api.authentication.set_organization(organization)

    caller.tenant.profiles.add(Profile("urn:acme:in-org", action))


def test_action_sets_the_organization(caller: Caller) -> None:
    """An Action's organization satisfies an application that requires one."""
    set_organization_usage(caller, "require")
    add_organization_profile(caller, "org_abc1234")
    reply = caller.exchange(subject_token_type="urn:acme:in-org", scope="openid")

    assert "org_abc1234" == read_claims(reply.members["id_token"])["org_id"]


def test_action_must_agree_with_the_request(caller: Caller) -> None:
    """An Action that sets another organization than requested is refused."""
    other = Organization("org_other", "other", members=["auth0|alice"])
    caller.tenant.organizations.add(other)
    add_organization_profile(caller, "org_other")
    form = {"subject_token_type": "urn:acme:in-org"}

    assert 200 == caller.exchange(**form, organization="org_other").status
    assert 400 == caller.exchange(**form, organization="org_abc1234").status


def test_action_needs_an_id(caller: Caller) -> None:
    """Without the names setting an Action has to give an identifier."""
    add_organization_profile(caller, "acme")

    assert 400 == caller.exchange(subject_token_type="urn:acme:in-org").status


def test_connection_must_be_enabled(caller: Caller) -> None:
    """A user whose connection the organization does not have is refused."""
    caller.tenant.organizations.change("org_abc1234", connections=[])

    assert (
        403,
        "access_denied",
        f"Connection not enabled: {DATABASE}",
    ) == read_refusal(caller.exchange(organization="org_abc1234"))


@pytest.mark.parametrize("auto", [True, False])
def test_auto_membership(caller: Caller, auto: bool) -> None:
    """A user set by connection joins if the connection has auto-membership."""

    def action(event: Event, api: ActionApi) -> None:
        api.authentication.set_user_by_connection(
            DATABASE, {"user_id": "frank"}, CREATE
        )

    caller.tenant.profiles.add(Profile("urn:acme:arrive", action))
    caller.tenant.organizations.change(
        "org_abc1234", auto_membership=[DATABASE] if auto else []
    )
    reply = caller.exchange(
        subject_token_type="urn:acme:arrive", organization="org_abc1234"
    )
    members = caller.tenant.organizations["org_abc1234"].members

    assert (200 if auto else 403) == reply.status
    assert auto == ("auth0|frank" in members)
