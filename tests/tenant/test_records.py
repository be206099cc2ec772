"""Records: their limits when they are added or changed, and their reprs."""

from __future__ import annotations

import pydoc
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey

from auth0_tx.tenant import (
    Api,
    Application,
    Organization,
    Profile,
    Refusal,
    Reply,
    Settings,
    Tenant,
    User,
    Wording,
)
from tests.tenant.tenant_caller import Caller

RESERVED = [
    "urn:ietf:params:oauth:token-type:jwt",
    "URN:IETF:x-y-z",
    "urn:auth0:thing",
    "urn:okta:thing",
    "http://auth0.com/token",
    "https://auth0.com",
    "https://okta.com:443/x",
    "http://okta.com?x",
]


@pytest.mark.parametrize("token_type", RESERVED)
def test_reserved_namespaces(tenant: Tenant, token_type: str) -> None:
    """A profile in a namespace Auth0 keeps for itself is refused."""
    with pytest.raises(ValueError, match=r"reserved|characters"):
        tenant.profiles.add(Profile(token_type))


def test_reservation_by_prefix_is_a_setting(
    tenant: Tenant, new_tenant: Callable[..., Tenant]
) -> None:
    """Whether a longer host counts as reserved is a setting."""
    profile = Profile("https://auth0.com.evil.example/x")
    strict = new_tenant(settings=Settings(reserved_by_prefix=True))

    assert profile == tenant.profiles.add(profile)
    with pytest.raises(ValueError, match="reserved"):
        strict.profiles.add(profile)


@pytest.mark.parametrize(
    "token_type",
    ["urn:a:b", "urn:" + "x" * 97, "acme:token", "ftp://acme.example", "urn:a b:cdef"],
)
def test_profile_type_is_a_uri_of_bounded_length(token_type: str) -> None:
    """A type of fewer than 8 or more than 100 characters, or no URI, is refused."""
    with pytest.raises(ValueError, match="subject_token_type"):
        Profile(token_type)


@pytest.mark.parametrize(
    "token_type", ["urn:a:bc", "urn:" + "x" * 96, "http://acme.example/legacy-token"]
)
def test_profile_type_at_its_bounds(token_type: str) -> None:
    """A URI of 8 to 100 characters is taken."""
    assert token_type == Profile(token_type).subject_token_type


def test_profile_type_is_unique(tenant: Tenant) -> None:
    """A type has one profile."""
    with pytest.raises(ValueError, match="already"):
        tenant.profiles.add(Profile("urn:acme:mcp-token"))


def test_a_hundred_profiles(tenant: Tenant) -> None:
    """A tenant has at most a hundred profiles."""
    for number in range(98):
        tenant.profiles.add(Profile(f"urn:acme:{number:03}"))

    with pytest.raises(ValueError, match="at most 100"):
        tenant.profiles.add(Profile("urn:acme:one-too-many"))


@pytest.mark.parametrize("name", ["ab", "x" * 51])
def test_profile_name(name: str) -> None:
    """A name has 3 to 50 characters."""
    with pytest.raises(ValueError, match="name"):
        Profile("urn:acme:x", name=name)


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        (lambda: Application("", "s"), "client_id"),
        (lambda: Application("a"), "client_secret"),
        (
            lambda: Application("a", token_endpoint_auth_method="private_key_jwt"),
            "credentials",
        ),
        (lambda: Application("a", "s", credentials=["garbage"]), "public PEM or JWK"),
        (
            lambda: Application(
                "a", "s", credentials=[OctKey.generate_key().as_dict()]
            ),
            "public PEM or JWK",
        ),
        (
            lambda: Application(
                "a", "s", credentials=[ECKey.generate_key().as_dict(private=True)]
            ),
            "public PEM or JWK",
        ),
        (
            lambda: Application(
                "a",
                token_endpoint_auth_method="none",
                id_token_signing_algorithm="HS256",
            ),
            "HS256",
        ),
        (
            lambda: Application(
                "a", "s", credentials=[OKPKey.generate_key().as_pem(private=False)]
            ),
            "public PEM or JWK",
        ),
        (lambda: User(""), "user_id"),
        (lambda: Api(""), "identifier"),
        (lambda: Organization("acme", "acme"), "org_"),
    ],
)
def test_records_that_cannot_be(record: Callable[[], object], complaint: str) -> None:
    """A record that could never work is refused where it is made."""
    with pytest.raises(ValueError, match=complaint):
        record()


@pytest.mark.parametrize(
    "record",
    [
        lambda: Api("x", scopes="read:data"),
        lambda: Organization("org_x", "x", members="auth0|alice"),
        lambda: Application("a", "s", grant_types="refresh_token"),
    ],
)
def test_one_string_is_not_several(record: Callable[[], object]) -> None:
    """A single string where several belong is a mistake, not a list of letters."""
    with pytest.raises(TypeError, match="several strings"):
        record()


def test_registry(tenant: Tenant) -> None:
    """A registry adds, finds, changes and removes records by their key."""
    user = tenant.users.add(User("auth0|zoe"))
    changed = tenant.users.change("auth0|zoe", blocked=True)

    assert user is not changed
    assert changed is tenant.users["auth0|zoe"] is tenant.users.get("auth0|zoe")
    assert "auth0|zoe" in tenant.users
    assert 4 == len(tenant.users) == len(list(tenant.users))
    tenant.users.remove("auth0|zoe")
    assert tenant.users.get("auth0|zoe") is None
    assert tenant.users.get(None) is None
    for change in (tenant.users.change, tenant.users.remove):
        with pytest.raises(KeyError):
            change("auth0|zoe")


def test_registry_keeps_keys(tenant: Tenant) -> None:
    """A change may not move a record to another key, nor invent a field."""
    with pytest.raises(ValueError, match="key"):
        tenant.users.change("auth0|bob", user_id="auth0|rob")
    with pytest.raises(TypeError):
        tenant.users.change("auth0|bob", nonsense=1)


def test_nothing_secret_prints(caller: Caller) -> None:
    """No repr of the tenant, its records or its replies shows a secret or a token."""
    tenant: Any = caller.tenant
    reply = caller.exchange(scope="openid offline_access")
    printed = " ".join(
        repr(value)
        for value in [
            tenant,
            tenant._state,
            *tenant.applications,
            *tenant.profiles,
            *tenant.refresh_tokens,
            *tenant.logs,
            reply,
        ]
    )

    assert tenant.client_secret not in printed
    for name in ("access_token", "id_token", "refresh_token"):
        assert reply.members[name] not in printed


def test_settings_print_their_changes() -> None:
    """Settings and wording print the fields that differ from the defaults, and no more."""
    refusal = Refusal(401, "mfa_required", "Please call again")

    assert "Settings()" == repr(Settings())
    assert "Settings(history=3)" == repr(Settings(history=3))
    assert "Wording()" == repr(Wording())
    assert f"Wording(mfa_required={refusal!r})" == repr(Wording(mfa_required=refusal))


def test_help_is_readable() -> None:
    """No default in ``help(Tenant)`` fills a screen, as the whole wording would."""
    text = pydoc.plain(pydoc.render_doc(Tenant))

    assert len(text) < 10_000
    assert max(len(line) for line in text.splitlines()) < 600


def test_reply_members_must_be_an_object() -> None:
    """A reply whose body is not a JSON object has no members: ``ValueError``."""
    with pytest.raises(ValueError, match="JSON object"):
        _ = Reply(200, b"[]").members


def test_issuer_needs_a_port() -> None:
    """A tenant without a port has no issuer until it is started."""
    with pytest.raises(RuntimeError, match="before it is started"):
        _ = Tenant(tls=False).issuer
