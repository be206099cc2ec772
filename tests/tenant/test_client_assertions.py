"""Client assertions: what private_key_jwt proves, and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from auth0_tx.tenant import Application, Reply
from auth0_tx.tenant.client_assertion import (
    InvalidAssertion,
    UsedAssertions,
    check_assertion,
)
from tests.tenant.tenant_caller import NOON, Caller, read_refusal

FAILED = (401, "invalid_client", "Client authentication failed")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY = ECKey.generate_key("P-256")
OTHER_KEY = ECKey.generate_key("P-256")
RSA_KEY = RSAKey.generate_key(2048)


@pytest.fixture
def assertion(caller: Caller) -> Callable[..., str]:
    """A factory of assertions that hold, with changes; None leaves a claim out."""
    caller.tenant.applications.add(
        Application(
            "jwt-app",
            token_endpoint_auth_method="private_key_jwt",
            credentials=[KEY.as_pem(private=False), OTHER_KEY.as_dict(private=False)],
        )
    )

    def sign_assertion(
        key: Any = KEY,
        header: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        claims = {
            "iss": "jwt-app",
            "sub": "jwt-app",
            "aud": caller.tenant.issuer,
            "iat": int(NOON),
            "exp": int(NOON) + 60,
            "jti": "one",
            **changes,
        }
        full = {"alg": "ES256", **(header or {})}
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(full, kept, key, algorithms=[full["alg"]])

    return sign_assertion


def exchange_with_assertion(
    caller: Caller, assertion: str, **changes: str | None
) -> Reply:
    """Exchange with a client assertion."""
    return caller.exchange(
        **{
            "client_id": None,
            "client_secret": None,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
            **changes,
        }
    )


def test_assertion(caller: Caller, assertion: Callable[..., str]) -> None:
    """An assertion signed with any credential of the application authenticates it."""
    thumbprint = KEY.thumbprint()

    assert 200 == exchange_with_assertion(caller, assertion()).status
    assert 200 == exchange_with_assertion(caller, assertion(OTHER_KEY, jti="2")).status
    by_kid = assertion(header={"kid": thumbprint}, jti="3")
    assert 200 == exchange_with_assertion(caller, by_kid, client_id="jwt-app").status


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "PS256", "PS384"])
def test_rsa_assertion(
    caller: Caller, assertion: Callable[..., str], algorithm: str
) -> None:
    """The RSA algorithms Auth0 lists authenticate too."""
    caller.tenant.applications.change(
        "jwt-app", credentials=[RSA_KEY.as_dict(private=False)]
    )

    signed = assertion(RSA_KEY, {"alg": algorithm})
    assert 200 == exchange_with_assertion(caller, signed).status


def test_assertion_is_spent_by_use(
    caller: Caller, assertion: Callable[..., str]
) -> None:
    """A jti is good once."""
    assert 200 == exchange_with_assertion(caller, assertion()).status
    assert FAILED == read_refusal(exchange_with_assertion(caller, assertion()))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other"},
        {"sub": "other", "iss": "other"},
        {"aud": "http://localhost:8443"},
        {"aud": "http://localhost:8443/oauth/token"},
        {"aud": ["http://localhost:8443/", "https://other.example/"]},
        {"exp": int(NOON)},
        {"exp": int(NOON) + 301},
        {"exp": None},
        {"exp": "soon"},
        {"iat": int(NOON) + 11},
        {"nbf": int(NOON) + 11},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 65},
        {"padding": "x" * 2048},
    ],
)
def test_assertion_claims(
    caller: Caller, assertion: Callable[..., str], changes: dict[str, Any]
) -> None:
    """An assertion outside Auth0's limits is refused."""
    assert FAILED == read_refusal(exchange_with_assertion(caller, assertion(**changes)))


def test_assertion_allows_for_skew(
    caller: Caller, assertion: Callable[..., str]
) -> None:
    """A clock ten seconds ahead is forgiven, and five minutes of life."""
    signed = assertion(iat=int(NOON) + 10, nbf=int(NOON) + 10, exp=int(NOON) + 300)

    assert 200 == exchange_with_assertion(caller, signed).status


@pytest.mark.parametrize("how", ["key", "kid", "algorithm", "garbage", "type"])
def test_assertion_signature(
    caller: Caller, assertion: Callable[..., str], how: str
) -> None:
    """An assertion by another key, an unknown kid, or of another kind is refused."""
    changes: dict[str, str] = {}
    match how:
        case "key":
            signed = assertion(ECKey.generate_key("P-256"))
        case "kid":
            signed = assertion(header={"kid": "unknown"})
        case "algorithm":
            signed = assertion(RSA_KEY, {"alg": "RS512"})
        case "garbage":
            signed = "a.b.c"
        case _:
            signed = assertion()
            changes = {"client_assertion_type": "other"}

    assert FAILED == read_refusal(exchange_with_assertion(caller, signed, **changes))


def test_jwk_credential_keeps_its_kid(
    caller: Caller, assertion: Callable[..., str]
) -> None:
    """A JWK is known by its own kid, and may go from application to application."""
    jwk = KEY.as_dict(private=False, kid="mine")
    mine = caller.tenant.applications.change("jwt-app", credentials=[jwk])
    caller.tenant.applications.change("jwt-app", credentials=mine.credentials)

    assert (
        200 == exchange_with_assertion(caller, assertion(header={"kid": "mine"})).status
    )
    named = assertion(header={"kid": KEY.thumbprint()}, jti="2")
    assert FAILED == read_refusal(exchange_with_assertion(caller, named))


def test_rsa_pem_credential(caller: Caller, assertion: Callable[..., str]) -> None:
    """A PEM may hold an RSA key, as text or bytes."""
    pem = RSA_KEY.as_pem(private=False).decode()
    caller.tenant.applications.change("jwt-app", credentials=[pem])

    assert (
        200
        == exchange_with_assertion(caller, assertion(RSA_KEY, {"alg": "RS256"})).status
    )


def test_assertion_without_a_subject(
    caller: Caller, assertion: Callable[..., str]
) -> None:
    """An assertion without sub is refused; so is one whose payload is a list."""
    listed = f"{assertion().split('.')[0]}.W10.x"

    assert FAILED == read_refusal(exchange_with_assertion(caller, assertion(sub=None)))
    assert FAILED == read_refusal(exchange_with_assertion(caller, listed))


def test_assertion_check_stands_alone(caller: Caller) -> None:
    """A string that is not a JWT is refused."""
    application = Application("a", "s", credentials=[KEY.as_dict(private=False)])
    with pytest.raises(InvalidAssertion, match="not a compact JWT"):
        check_assertion(
            "garbage", application, audience="x", now=NOON, used=UsedAssertions()
        )


def test_spent_assertions_are_forgotten_when_expired() -> None:
    """A jti is remembered until it has expired, and no longer than need be."""
    used = UsedAssertions()
    first = used.use("a", "jti", NOON + 60, NOON)
    again = used.use("a", "jti", NOON + 60, NOON + 59)
    other = used.use("b", "jti", NOON + 60, NOON + 59)

    assert [True, False, True] == [first, again, other]
    assert used.use("a", "jti", NOON + 200, NOON + 120)
