"""Keys and tokens for the tests of signatures and claims, made as a signer does."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

from joserfc.jwa import JWS_ALGORITHMS
from joserfc.jwk import ECKey, OKPKey, RSAKey

RSA = RSAKey.generate_key(2_048)
OTHER_RSA = RSAKey.generate_key(2_048)
P256 = ECKey.generate_key("P-256")
P384 = ECKey.generate_key("P-384")
P521 = ECKey.generate_key("P-521")
ED25519 = OKPKey.generate_key("Ed25519")

SIGNERS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA),
    "ES256": P256,
    "ES384": P384,
    "ES512": P521,
    "EdDSA": ED25519,
}

MODELS = {model.name: model for model in JWS_ALGORITHMS}


def encode(octets: bytes) -> str:
    """Encode as RFC 7515 section 2 does."""
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def to_public_jwk(key: Any, **members: Any) -> dict[str, Any]:
    """Return the public JWK of *key*, with *members* set."""
    return {**key.as_dict(private=False), **members}


def build_key_set(*keys: dict[str, Any]) -> dict[str, Any]:
    """Return a JWKS document of *keys*."""
    return {"keys": list(keys)}


def sign(
    header: dict[str, Any] | bytes,
    payload: bytes = b"{}",
    key: Any = RSA,
    algorithm: str | None = None,
) -> str:
    """Sign with no check at all, so that what is wrong is wrong only in the header."""
    octets = header if isinstance(header, bytes) else json.dumps(header).encode()
    message = f"{encode(octets)}.{encode(payload)}"
    name = algorithm or json.loads(octets)["alg"]
    return f"{message}.{encode(MODELS[name].sign(message.encode(), key))}"
