"""A signing key and an ID token made with it: the real thing, so that verifying is work."""

from __future__ import annotations

import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID = "benchmark-client"
CLIENT_SECRET = "benchmark-secret-0123456789abcdef0123456789abcdef"
SUBJECT_TOKEN = "legacy-session-0123456789abcdef0123456789abcdef0123456789abcdef"
SUBJECT_TOKEN_TYPE = "urn:acme:legacy-token"
AUDIENCE = "https://api.example.com"
SCOPE = "openid read:data"


def generate_key() -> RSAKey:
    """Generate a key like those of Auth0: RSA, 2048 bits, with an id."""
    return RSAKey.generate_key(2048, {"kid": "benchmark", "use": "sig", "alg": "RS256"})


def build_jwks(key: RSAKey) -> dict[str, Any]:
    """Return the public half as a tenant publishes it."""
    return {"keys": [key.as_dict(private=False)]}


def sign_id_token(key: RSAKey, issuer: str) -> str:
    """Sign an ID token that names an actor, good for ten hours."""
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": CLIENT_ID,
        "sub": "auth0|0123456789abcdef01234567",
        "iat": now,
        "exp": now + 36_000,
        "email": "alice@example.com",
        "name": "Alice",
        "act": {"sub": "auth0|agent"},
    }
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)
