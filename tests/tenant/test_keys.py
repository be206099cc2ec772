"""Discovery, the published keys, and their rotation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from joserfc import jwt
from joserfc.errors import JoseError

from auth0_tx.tenant import KeySupply, Settings, Tenant
from tests.tenant.tenant_caller import Caller, read_part


def list_published_kids(caller: Caller) -> list[str]:
    """Return the identifiers of the published keys."""
    keys = caller.get("/.well-known/jwks.json").members["keys"]
    return [key["kid"] for key in keys]


@pytest.mark.parametrize(
    "path",
    ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"],
)
def test_discovery(caller: Caller, path: str) -> None:
    """Both discovery documents name the issuer and its endpoints."""
    reply = caller.get(path)
    document = reply.members

    assert "http://localhost:8443/" == document["issuer"] == caller.tenant.issuer
    assert "http://localhost:8443/oauth/token" == document["token_endpoint"]
    assert "http://localhost:8443/.well-known/jwks.json" == document["jwks_uri"]
    assert ["HS256", "PS256", "RS256"] == document[
        "id_token_signing_alg_values_supported"
    ]
    assert "max-age=15" in dict(reply.headers)["Cache-Control"]


def test_cache_control_is_a_setting(new_tenant: Callable[..., Tenant]) -> None:
    """How long discovery and keys may be cached is a setting."""
    caller = Caller(new_tenant(settings=Settings(cache_control="no-cache")))

    for path in ("/.well-known/openid-configuration", "/.well-known/jwks.json"):
        assert "no-cache" == dict(caller.get(path).headers)["Cache-Control"]


def test_jwks_has_current_and_next(caller: Caller) -> None:
    """Two public keys are published, of which the first signs."""
    keys = caller.get("/.well-known/jwks.json").members["keys"]
    signed_by = read_part(caller.exchange(scope="openid").members["id_token"], 0)["kid"]

    assert 2 == len({key["kid"] for key in keys})
    assert keys[0]["kid"] == signed_by
    for key in keys:
        assert ("RSA", "sig", "RS256") == (key["kty"], key["use"], key["alg"])
        assert {"kty", "use", "alg", "kid", "n", "e"} == set(key)


def test_rotation(caller: Caller) -> None:
    """After a rotation the next key signs, and the previous one still verifies."""
    old = caller.exchange(scope="openid").members["id_token"]
    current, following = list_published_kids(caller)
    caller.tenant.rotate_signing_key()
    new = caller.exchange(scope="openid").members["id_token"]
    keys = caller.fetch_keys()

    assert following == read_part(new, 0)["kid"]
    assert current in list_published_kids(caller)
    assert 3 == len(set(list_published_kids(caller)))
    for token in (old, new):
        assert jwt.decode(token, keys, algorithms=["RS256"])


def test_revocation(caller: Caller) -> None:
    """After a revocation tokens of the previous key do not verify any more."""
    old = caller.exchange(scope="openid").members["id_token"]
    caller.tenant.rotate_signing_key()
    caller.tenant.revoke_previous_key()
    keys = caller.fetch_keys()

    assert 2 == len(list_published_kids(caller))
    with pytest.raises((JoseError, ValueError)):
        jwt.decode(old, keys, algorithms=["RS256"])


def test_rotation_covers_every_algorithm(caller: Caller) -> None:
    """Keys of every algorithm in use are published and rotated."""
    client_id = caller.tenant.client_id
    caller.tenant.applications.change(client_id, id_token_signing_algorithm="ES256")
    before = set(list_published_kids(caller))
    caller.tenant.rotate_signing_key()

    assert 4 == len(before)
    assert 6 == len(before | set(list_published_kids(caller)))


def test_keys_are_lent_one_tenant_at_a_time() -> None:
    """Tenants alive together differ in keys; one closed for good gives them back."""
    supply = KeySupply()

    def list_moduli(tenant: Tenant) -> set[str]:
        jwks = Caller(tenant).get("/.well-known/jwks.json").members
        return {key["n"] for key in jwks["keys"]}

    first, second = (Tenant(port=1, tls=False, keys=supply) for _ in range(2))
    seen = [list_moduli(first), list_moduli(second)]
    first.close()
    third = Tenant(port=1, tls=False, keys=supply)

    assert not seen[0] & seen[1]
    assert seen[0] == list_moduli(third)
    assert not {key["kid"] for key in _jwks(second)} & {k["kid"] for k in _jwks(third)}


def _jwks(tenant: Tenant) -> list[dict[str, str]]:
    keys = Caller(tenant).get("/.well-known/jwks.json").members["keys"]
    assert isinstance(keys, list)
    return keys


def test_id_token_for_an_unknown_application(caller: Caller) -> None:
    """An ID token can be made for any audience; RS256 signs if it is unknown."""
    token = caller.tenant.id_token("auth0|bob", audience="elsewhere")

    assert ("RS256", "elsewhere") == (
        read_part(token, 0)["alg"],
        read_part(token, 1)["aud"],
    )


def test_sign_takes_any_header(tenant: Tenant) -> None:
    """A test may have claims signed as they are, with a header of its own."""
    token = tenant.sign({"sub": "x"}, typ="logout+jwt")

    assert "logout+jwt" == read_part(token, 0)["typ"]
    assert {"sub": "x"} == read_part(token, 1)
