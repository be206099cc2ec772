"""Sealing what a cache holds: AES-256-GCM, with a key for each entry (NIST SP 800-38D).

Octets and not text, as sessions are: an entry never is in a cookie, and is opened by each
call that it answers.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from typing import Any

from ..secret import SecretBytes

_VERSION = b"auth0-tx tokens 1"
_VECTOR_BYTES = 12


def sealed(key: bytes, payload: bytes, random: str) -> bytes:
    """Encrypt *payload*, with an initialization vector made of *random*, never given before."""
    aead, _ = _cipher()
    vector = blake2b(random.encode(), digest_size=_VECTOR_BYTES).digest()
    octets: bytes = vector + aead(key).encrypt(vector, payload, _VERSION)
    return octets


def opened(key: bytes, octets: bytes) -> bytes | None:
    """Decrypt what :func:`sealed` gave; ``None`` for everything else, whatever it is."""
    aead, failures = _cipher()
    vector, rest = octets[:_VECTOR_BYTES], octets[_VECTOR_BYTES:]
    try:
        return SecretBytes(aead(key).decrypt(vector, rest, _VERSION))
    except failures:
        return None


@cache
def _cipher() -> tuple[Any, tuple[type[Exception], ...]]:
    """Give the cipher, and how it fails."""
    # Not at the top: a cache in memory has no need of it.
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    # Too short to be anything is a ValueError.
    return AESGCM, (InvalidTag, ValueError)
