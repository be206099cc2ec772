"""ID tokens as the tenant of these tests signs them, and the key sets it publishes."""

from __future__ import annotations

import json
from typing import Any

from auth0_tx.core.effects import Response
from tests.core.vectors_tokens import (
    OTHER_RSA,
    P256,
    RSA,
    build_key_set,
    encode,
    sign,
    to_public_jwk,
)
from tests.core.world import ISSUER, NOW, build_response

SIGNING_KEYS = {"key-1": RSA, "key-2": OTHER_RSA, "key-ec": P256}


def sign_id_token(kid: str = "key-1", algorithm: str = "RS256", **claims: Any) -> str:
    """Sign an ID token with *claims*; those that are ``...`` are left out."""
    said = {
        "iss": ISSUER,
        "aud": "the-client",
        "sub": "auth0|user",
        "iat": int(NOW) - 5,
        "exp": int(NOW) + 36_000,
        **claims,
    }
    payload = {name: value for name, value in said.items() if value is not ...}
    header = {"alg": algorithm, "typ": "JWT", "kid": kid}
    return sign(header, json.dumps(payload).encode(), SIGNING_KEYS[kid])


def forge_id_token(kid: str, **claims: Any) -> str:
    """Build a token that names the key *kid*, with a signature that no key made."""
    header = encode(json.dumps({"alg": "RS256", "kid": kid}).encode())
    return f"{header}.{encode(json.dumps({'act': {}, **claims}).encode())}.c2ln"


def build_jwks_response(*kids: str, **headers: Any) -> Response:
    """Build the response that publishes the keys *kids*."""
    keys = [to_public_jwk(SIGNING_KEYS[kid], kid=kid, use="sig") for kid in kids]
    return build_response(build_key_set(*keys), **headers)
