"""Sealing: what leaves the library's hands is encrypted, and opens for one purpose only.

The form is JWE (RFC 7516) with a key used directly (``dir``) and AES-256-GCM.  The key is
derived from the application's secret (RFC 5869) for one purpose, which it is thereby bound
to: what was sealed for one cookie, or for one session, does not open as another.

A key raises nothing, so no traceback passes a frame that holds one.  Its header is a
constant: a text with any other header is not for that key, and none of it is looked at.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import NamedTuple

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc.jwa import JWE_ENC_MODELS

from ...secret import SecretBytes
from ..jose.keys import decode_base64url

MAX_SEALED_LENGTH = 131_072
"""Characters: more than a browser sends, and more is refused before any of it is decoded."""

_ID_BYTES = 6


class Opened(NamedTuple):
    """What was sealed, and whether by the newest secret."""

    payload: bytes
    is_current: bool


@attrs.frozen(eq=False)
class Sealer:
    """Seals with the newest of its keys, and opens with any."""

    _keys: tuple[DirectKey, ...] = attrs.field(repr=False)

    def seal(self, payload: bytes) -> str:
        """Encrypt *payload*, as text fit for a cookie."""
        return self._keys[0].encrypt(payload)

    def open(self, sealed: str) -> Opened | None:
        """Decrypt what :meth:`seal` gave; ``None`` for everything else, whatever it is."""
        if not isinstance(sealed, str) or len(sealed) > MAX_SEALED_LENGTH:
            return None
        for key in self._keys:
            payload = key.decrypt(sealed)
            if payload is not None:
                return Opened(SecretBytes(payload), key is self._keys[0])
        return None


def sealer(secrets: Sequence[str], purpose: str, salt: bytes = b"") -> Sealer:
    """Make what seals for one purpose.

    Args:
        secrets: the application's, newest first.
        purpose: what is sealed, such as ``session __Host-auth0_tx``.
        salt: what else the key depends upon, such as a session's secret id.
    """
    return Sealer(tuple(_key(secret, purpose, salt) for secret in secrets))


def _key(secret: str, purpose: str, salt: bytes) -> DirectKey:
    derivation = HKDF(
        SHA256(), KEY_BYTES + _ID_BYTES, salt, f"auth0-tx {purpose}".encode()
    )
    octets = derivation.derive(secret.encode("utf-8", "surrogatepass"))
    # The id tells keys apart, and nothing of them.
    kid = urlsafe_b64encode(octets[KEY_BYTES:]).decode()
    return direct_key(octets[:KEY_BYTES], kid=kid)


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
