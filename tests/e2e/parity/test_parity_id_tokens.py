"""Invalid ID tokens: no actor is read from them, and no token is lost because of them."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

from auth0_tx import (
    AsyncServerClient,
    CustomTokenExchangeOptions,
    IdTokenError,
    ServerClient,
    TokenExchangeResponse,
)
from auth0_tx.tenant import Certificates, KeySupply, Reply, Tenant
from tests.e2e.parity.playing import Clock, read_claims
from tests.e2e.parity.scenarios import LEGACY_TOKEN

ACT = {"sub": "auth0|bob"}
STRANGER = RSAKey.generate_key(2048, {"kid": "stranger"}, private=True)
Claims = dict[str, Any]


@pytest.fixture
def tenant(new_tenant: Callable[..., Tenant]) -> Tenant:
    """A tenant whose ID tokens the test spoils."""
    return new_tenant()


@pytest.fixture
def other(
    auth0_tenant_keys: KeySupply, auth0_tenant_certificates: Certificates
) -> Iterator[Tenant]:
    """A server that a token names, and that nobody should ask."""
    with Tenant(
        keys=auth0_tenant_keys, certificates=auth0_tenant_certificates
    ) as tenant:
        yield tenant


def exchange_in_both(tenant: Tenant, clock: Clock) -> list[TokenExchangeResponse]:
    """Exchange for an actor with both clients, and return both responses."""
    keywords: dict[str, Any] = {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        "clock": clock,
    }
    options = CustomTokenExchangeOptions(
        subject_token=tenant.subject_token("auth0|alice"),
        subject_token_type=LEGACY_TOKEN,
        actor_token=tenant.subject_token("auth0|bob"),
        actor_token_type=LEGACY_TOKEN,
        scope="openid",
    )

    async def exchange() -> TokenExchangeResponse:
        async with AsyncServerClient(**keywords) as client:
            return await client.custom_token_exchange(options)

    with ServerClient(**keywords) as client:
        blocking = client.custom_token_exchange(options)
    return [blocking, asyncio.run(exchange())]


def alter_token(spell: Callable[[str], str]) -> Callable[[Reply], Reply]:
    """Return a function that replaces the ID token of a reply with *spell* of it."""

    def alter(reply: Reply) -> Reply:
        return reply.including(id_token=spell(str(reply.members["id_token"])))

    return alter


def sign(header: Claims, claims: Claims, key: Any) -> str:
    """Sign *claims* under *header*, whatever it says."""
    registry = jws.JWSRegistry(algorithms=["RS256", "HS256"], strict_check_header=False)
    return jws.serialize_compact(header, json.dumps(claims), key, registry=registry)


def sign_as_stranger(**header: Any) -> Callable[[str], str]:
    """Return a function that signs the claims with a key that isn't the tenant's."""

    def spell(token: str) -> str:
        claims = read_claims(token)
        assert isinstance(claims, dict)
        return sign({"alg": "RS256", "typ": "JWT", **header}, claims, STRANGER)

    return spell


def remove_signature(token: str) -> str:
    """Return the token without its signature, and with ``alg`` none."""
    head = urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    return f"{head}.{token.split('.')[1]}."


def flip_signature_bit(token: str) -> str:
    """Return the token with one bit of its signature flipped."""
    rest, _, signature = token.rpartition(".")
    octets = bytearray(urlsafe_b64decode(signature + "=="))
    octets[100] ^= 1
    return f"{rest}.{urlsafe_b64encode(octets).rstrip(b'=').decode()}"


def check_no_actor(responses: list[TokenExchangeResponse], reason: str) -> None:
    """Assert that both have their tokens and no actor, for the *reason* expected."""
    blocking, asynchronous = responses

    for response in responses:
        assert response.access_token
        assert response.id_token
        assert response.act is None
        assert isinstance(response.act_error, IdTokenError)
        assert reason in response.act_error.message
    assert blocking.act_error is not None
    assert asynchronous.act_error is not None
    assert blocking.act_error.args == asynchronous.act_error.args


SPELT: dict[str, tuple[Callable[[str], str], str]] = {
    "alg none": (remove_signature, "alg is not an accepted algorithm"),
    "a bit of the signature": (flip_signature_bit, "signature is invalid"),
    "two parts": (lambda token: token.rpartition(".")[0], "not a compact JWS"),
    "four parts": (lambda token: f"{token}.x", "not a compact JWS"),
    "padding": (lambda token: f"{token}=", "not canonical base64url"),
    "70,000 characters": (lambda token: f"{token}{'A' * 70_000}", "longer than"),
    "another's key": (sign_as_stranger(), "signature is invalid"),
    "another's key by its name": (sign_as_stranger(kid="stranger"), "no key"),
    "its own key": (
        sign_as_stranger(jwk=STRANGER.as_dict(private=False)),
        "signature is invalid",
    ),
    "an extension": (sign_as_stranger(crit=["b64"], b64=True), "extension"),
}


@pytest.mark.parametrize("name", SPELT)
def test_signature_that_does_not_hold(tenant: Tenant, clock: Clock, name: str) -> None:
    """An ID token that the tenant did not sign as it stands names no actor."""
    spell, reason = SPELT[name]
    tenant.alter_reply(alter_token(spell))

    check_no_actor(exchange_in_both(tenant, clock), reason)


def test_client_secret_as_key(tenant: Tenant, clock: Clock) -> None:
    """A token signed with the client's secret is not trusted: anyone who has it could sign."""
    key = OctKey.import_key(tenant.client_secret)

    def spell(token: str) -> str:
        claims = read_claims(token)
        assert isinstance(claims, dict)
        return sign({"alg": "HS256", "typ": "JWT"}, claims, key)

    tenant.alter_reply(alter_token(spell))

    check_no_actor(exchange_in_both(tenant, clock), "alg is not an accepted algorithm")


@pytest.mark.parametrize("member", ["jku", "x5u"])
def test_keys_elsewhere_are_not_fetched(
    tenant: Tenant, other: Tenant, clock: Clock, member: str
) -> None:
    """A token that says where its keys are is judged by the tenant's, and nobody asks."""
    address = f"{other.issuer}.well-known/jwks.json"
    tenant.alter_reply(alter_token(sign_as_stranger(**{member: address})))

    check_no_actor(exchange_in_both(tenant, clock), "signature is invalid")
    assert (0, ()) == (other.connections, other.requests)


def change_claims(**changes: Any) -> Callable[[Claims], Claims]:
    """Return a function that changes claims before signing; ``None`` removes a claim."""

    def alter(claims: Claims) -> Claims:
        changed = {**claims, **changes}
        return {name: value for name, value in changed.items() if value is not None}

    return alter


CLAIMS: dict[str, tuple[Callable[[Claims], Claims], str]] = {
    "another issuer": (change_claims(iss="https://other.auth0.com/"), "iss is not"),
    "the issuer without its slash": (
        lambda claims: {**claims, "iss": claims["iss"].rstrip("/")},
        "iss is not",
    ),
    "another audience": (change_claims(aud="other"), "aud is not"),
    "an audience beside": (
        lambda claims: {**claims, "aud": [claims["aud"], "other"]},
        "aud is not",
    ),
    "another party": (change_claims(azp="other"), "azp is not"),
    "an empty subject": (change_claims(sub=""), "sub is not"),
    "no issue": (change_claims(iat=None), "iat is not a date"),
    "no expiry": (change_claims(exp=None), "exp is not a date"),
    "an expiry in words": (change_claims(exp="tomorrow"), "exp is not a date"),
    "expired": (
        lambda claims: {**claims, "iat": claims["iat"] - 99, "exp": claims["iat"] - 60},
        "exp has passed",
    ),
    "issued later": (
        lambda claims: {**claims, "iat": claims["iat"] + 61},
        "in the future",
    ),
    "another access token": (change_claims(at_hash="x" * 22), "at_hash does not match"),
    "an actor without a name": (change_claims(act={"role": "x"}), "act has no sub"),
    "an actor in words": (change_claims(act="auth0|bob"), "act is not an object"),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_that_do_not_hold(tenant: Tenant, clock: Clock, name: str) -> None:
    """An ID token that the tenant signed, and that says what it must not, names none."""
    alter, reason = CLAIMS[name]
    tenant.alter_id_token(alter)

    check_no_actor(exchange_in_both(tenant, clock), reason)


def test_token_that_holds(tenant: Tenant, clock: Clock) -> None:
    """The same exchange, with nothing spoilt, names the actor to both clients."""
    assert [ACT, ACT] == [response.act for response in exchange_in_both(tenant, clock)]
