"""Session cookies as Auth0's own SDK seals them, written with another library."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.jwk import OctKey

from auth0_tx.core.session.legacy import LEGACY_COOKIE

NOW = 1_700_000_000
DOMAIN = "tenant.us.auth0.com"
ISSUER = f"https://{DOMAIN}/"
SECRET = "what auth0-fastapi was configured with"
CHUNK = 4_096 - len(LEGACY_COOKIE) - 10
TOKEN_SET = {
    "audience": "https://api.example.com",
    "access_token": "at-1",
    "scope": "openid read:data",
    "expires_at": NOW + 3_600,
}
THEIRS: dict[str, Any] = {
    "user": {
        "sub": "auth0|alice",
        "name": "Alice",
        "nickname": None,
        "org_id": None,
        "session_expiry": None,
        "iss": ISSUER,
        "nonce": "n-1",
    },
    "id_token": "id.token.1",
    "refresh_token": "rt-1",
    "token_sets": [TOKEN_SET],
    "connection_token_sets": [],
    "domain": DOMAIN,
    "internal": {
        "sid": "sid-1",
        "created_at": NOW - 1_000,
        "session_expires_at": None,
    },
}


def derive_key(secret: str) -> OctKey:
    """Derive a key as the SDK does."""
    info = b"Auth0 Generated Encryption"
    octets = HKDF(SHA256(), 64, b"_a0_session", info).derive(secret.encode())
    return OctKey.import_key(octets)


def seal_state(state: object, secret: str = SECRET, **header: str) -> str:
    """Seal a state as the SDK does."""
    payload = state if isinstance(state, bytes) else json.dumps(state).encode()
    members = {"alg": "dir", "enc": "A256CBC-HS512", **header}
    registry = jwe.JWERegistry(algorithms=["dir", *members.values()])
    text: str = jwe.encrypt_compact(
        members, payload, derive_key(secret), registry=registry
    )
    return text


def split_cookies(text: str) -> dict[str, str]:
    """Split *text* into cookies as the SDK does."""
    return {
        f"{LEGACY_COOKIE}_{start // CHUNK}": text[start : start + CHUNK]
        for start in range(0, len(text), CHUNK)
    }
