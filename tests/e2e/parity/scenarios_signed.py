"""Scenarios of clients that sign: private_key_jwt with each algorithm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from joserfc.jwk import ECKey, RSAKey

from auth0_tx import RefusedError
from auth0_tx.tenant import Application, Tenant, faults
from tests.e2e.parity.scenarios import DISCOVERY, TOKEN, Fails, Scenario, Tokens

CLIENT = "signing-client"


@cache
def make_signing_key(kind: str) -> RSAKey | ECKey:
    """Return the client's key for a family of algorithms, made once."""
    if kind == "RSA":
        return RSAKey.generate_key(2048, {"kid": "client-key"}, private=True)
    return ECKey.generate_key(kind, {"kid": "client-key"}, private=True)


def register_key(kind: str) -> Callable[[Tenant], object]:
    """Return a function that registers a client with the public half of its key."""

    def arrange(tenant: Tenant) -> None:
        public = make_signing_key(kind).as_dict(private=False)
        tenant.applications.add(
            Application(
                CLIENT,
                token_endpoint_auth_method="private_key_jwt",
                credentials=[public],
            )
        )

    return arrange


def sign_with(
    kind: str, algorithm: str, *, pem: bool = False
) -> Callable[[Tenant], Mapping[str, Any]]:
    """Return a function that configures a client to sign with *algorithm*, with a JWK or a PEM."""

    def build(tenant: Tenant) -> Mapping[str, Any]:
        key = make_signing_key(kind)
        return {
            "client_id": CLIENT,
            "client_secret": ...,
            "client_auth": "private_key_jwt",
            "client_assertion_signing_key": key.as_pem(private=True)
            if pem
            else key.as_dict(private=True),
            "client_assertion_signing_alg": algorithm,
        }

    return build


SIGNED = [
    Scenario(
        name=f"private_key_jwt {algorithm}",
        arrange=register_key(kind),
        keywords=sign_with(kind, algorithm),
        ends=(Tokens(), Tokens()),
        paths=(DISCOVERY, TOKEN, TOKEN),
    )
    for algorithm, kind in (
        ("RS256", "RSA"),
        ("RS384", "RSA"),
        ("PS256", "RSA"),
        ("ES256", "P-256"),
        ("ES384", "P-384"),
    )
]
SIGNED += [
    Scenario(
        name="private_key_jwt signed anew for a second send",
        arrange=register_key("P-256"),
        keywords=sign_with("P-256", "ES256"),
        begin=lambda tenant: tenant.inject(
            faults.status(429, {"error": "too_many_requests"}, {"Retry-After": "0"})
        ),
        # The tenant refuses an assertion that it has seen before.
        ends=(Tokens(),),
        paths=(DISCOVERY, TOKEN, TOKEN),
    ),
    Scenario(
        name="private_key_jwt with another's key",
        arrange=register_key("P-256"),
        keywords=lambda tenant: {
            **sign_with("P-256", "ES256")(tenant),
            "client_assertion_signing_key": ECKey.generate_key(
                "P-256", {"kid": "client-key"}, private=True
            ).as_dict(private=True),
        },
        ends=(
            Fails(
                error=RefusedError,
                code="invalid_client",
                status=401,
                hints="check client_id",
            ),
        ),
    ),
]
