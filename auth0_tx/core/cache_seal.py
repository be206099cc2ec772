"""Sealing what a cache holds: AES-256-GCM, with a key for each entry (NIST SP 800-38D).

Octets and not text, as sessions are: an entry never is in a cookie, and is opened by each
call that it answers.
"""

from __future__ import annotations

from hashlib import blake2b

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..secret import SecretBytes

_VERSION = b"auth0-tx tokens 1"
_VECTOR_BYTES = 12


def sealed(key: bytes, payload: bytes, random: str) -> bytes:
    """Encrypt *payload*, with an initialization vector made of *random*, never given before."""
    vector = blake2b(random.encode(), digest_size=_VECTOR_BYTES).digest()
    return vector + AESGCM(key).encrypt(vector, payload, _VERSION)


def opened(key: bytes, octets: bytes) -> bytes | None:
    """Decrypt what :func:`sealed` gave; ``None`` for everything else, whatever it is."""
    try:
        return SecretBytes(
            AESGCM(key).decrypt(
                octets[:_VECTOR_BYTES], octets[_VECTOR_BYTES:], _VERSION
            )
        )
    except (InvalidTag, ValueError):
        # Too short to be anything is a ValueError.
        return None
