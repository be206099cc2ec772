"""Encrypted texts in the compact form (RFC 7516): a key used directly, and AES-256-GCM.

As in ``jws``, nothing is raised: no traceback passes a frame that holds a key.  The
header is a constant of the key.  What has another one, in whatever way, is not for that
key, and none of it is looked at.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc.jwa import JWE_ENC_MODELS

from .keys import decode_base64url

KEY_BYTES = 32

# RFC 7518 5.3: the one length of a vector and of a tag.
_VECTOR_BYTES = 12
_TAG_BYTES = 16

(_A256GCM,) = (model for model in JWE_ENC_MODELS if model.name == "A256GCM")


@attrs.frozen(eq=False)
class DirectKey:
    """A key that encrypts and decrypts under one header.

    Attributes:
        header: the encoded header that all it encrypts begins with.
    """

    header: str
    _cipher: AESGCM = attrs.field(repr=False)

    def encrypt(self, payload: bytes) -> str:
        """Encrypt *payload*, each time with another initialization vector."""
        vector = _A256GCM.generate_iv()
        # RFC 7516 5.1, 14: the encoded header is what else the tag covers.
        octets = self._cipher.encrypt(vector, payload, self.header.encode())
        ciphertext, tag = _encode(octets[:-_TAG_BYTES]), _encode(octets[-_TAG_BYTES:])
        # RFC 7518 4.5: with "dir" the encrypted key is empty.
        return f"{self.header}..{_encode(vector)}.{ciphertext}.{tag}"

    def decrypt(self, text: str) -> bytes | None:
        """Decrypt what :meth:`encrypt` gave; ``None`` for everything else."""
        parts = text.split(".", 5)
        if len(parts) != 5 or parts[0] != self.header or parts[1]:
            return None
        vector, ciphertext, tag = map(decode_base64url, parts[2:])
        if vector is None or ciphertext is None or tag is None:
            return None
        # CVE-2025-47275: a tag that was cut short is soon guessed.
        if len(vector) != _VECTOR_BYTES or len(tag) != _TAG_BYTES:
            return None
        try:
            return self._cipher.decrypt(vector, ciphertext + tag, self.header.encode())
        except InvalidTag:
            return None


def direct_key(octets: bytes, **header: str) -> DirectKey:
    """Make a key of 32 *octets*; *header* is what else its header says."""
    members = {"alg": "dir", "enc": "A256GCM", **header}
    encoded = _encode(json.dumps(members, separators=(",", ":")).encode())
    return DirectKey(encoded, AESGCM(octets))


def _encode(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()
