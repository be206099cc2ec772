"""Sealing: sessions are encrypted, and open for the one purpose they were sealed for.

The form is JWE (RFC 7516) with a key used directly (``dir``) and AES-256-GCM.  From each of
the application's secrets a key is derived (HKDF, RFC 5869) for a purpose and a salt: a
sealed cookie does not open under another cookie's name, nor a stored session under another
id.  ``Sealer`` seals with the key of the newest secret and opens with any, so a secret can
be replaced without logging anybody out.

Opening never raises.  A browser may send anything, and a traceback that passes a frame with a
key in it would show the key to an error tracker.  Each key writes one constant header: a text
with another header was not sealed by this key, and nothing of it is decoded, so a cookie
cannot choose an algorithm, a key or a compression.
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
"""Characters: more than a browser sends.  A longer text is refused before any of it is
decoded, so that a made-up value costs nothing."""

_ID_BYTES = 6


class Opened(NamedTuple):
    """An opened payload, and whether the newest secret sealed it: if not, seal it anew."""

    payload: bytes
    is_current: bool


@attrs.frozen(eq=False)
class Sealer:
    """Seals with the newest of its keys and opens with any of them."""

    _keys: tuple[DirectKey, ...] = attrs.field(repr=False)

    def seal(self, payload: bytes) -> str:
        """Return *payload* encrypted, as text that fits a cookie."""
        return self._keys[0].encrypt(payload)

    def open(self, sealed: str) -> Opened | None:
        """Return what :meth:`seal` sealed, or ``None`` for anything else."""
        if not isinstance(sealed, str) or len(sealed) > MAX_SEALED_LENGTH:
            return None
        for key in self._keys:
            payload = key.decrypt(sealed)
            if payload is not None:
                return Opened(SecretBytes(payload), key is self._keys[0])
        return None


def sealer(secrets: Sequence[str], purpose: str, salt: bytes = b"") -> Sealer:
    """Return the sealer of one purpose.

    Args:
        secrets: the application's secrets, newest first.
        purpose: what is sealed, such as ``session __Host-auth0_tx``.
        salt: what else the key depends on, such as a session's secret id.
    """
    return Sealer(tuple(_key(secret, purpose, salt) for secret in secrets))


def _key(secret: str, purpose: str, salt: bytes) -> DirectKey:
    derivation = HKDF(
        SHA256(), KEY_BYTES + _ID_BYTES, salt, f"auth0-tx {purpose}".encode()
    )
    octets = derivation.derive(secret.encode("utf-8", "surrogatepass"))
    # The id finds the key of a text without trying each.  Derived beside the key, not from
    # it, it reveals nothing of it.
    kid = urlsafe_b64encode(octets[KEY_BYTES:]).decode()
    return direct_key(octets[:KEY_BYTES], kid=kid)


KEY_BYTES = 32

# RFC 7518 section 5.3 allows one length of each.
_VECTOR_BYTES = 12
_TAG_BYTES = 16

(_A256GCM,) = (model for model in JWE_ENC_MODELS if model.name == "A256GCM")


@attrs.frozen(eq=False)
class DirectKey:
    """A key that encrypts and decrypts under one header.

    Attributes:
        header: the encoded header with which everything it encrypts begins.
    """

    header: str
    _cipher: AESGCM = attrs.field(repr=False)

    def encrypt(self, payload: bytes) -> str:
        """Return *payload* encrypted, with a new random vector each time."""
        # A vector that is used twice under one key breaks AES-GCM: both texts can be
        # worked out from each other, and tags forged (NIST SP 800-38D section 8).
        vector = _A256GCM.generate_iv()
        # RFC 7516 section 5.1, step 14: the tag covers the encoded header too.
        octets = self._cipher.encrypt(vector, payload, self.header.encode())
        ciphertext, tag = _encode(octets[:-_TAG_BYTES]), _encode(octets[-_TAG_BYTES:])
        # RFC 7518 section 4.5: with "dir" the encrypted key is empty.
        return f"{self.header}..{_encode(vector)}.{ciphertext}.{tag}"

    def decrypt(self, text: str) -> bytes | None:
        """Return what :meth:`encrypt` encrypted, or ``None`` for anything else."""
        # Six parts at most: a made-up text full of dots is refused without splitting it all.
        parts = text.split(".", 5)
        if len(parts) != 5 or parts[0] != self.header or parts[1]:
            return None
        vector, ciphertext, tag = map(decode_base64url, parts[2:])
        if vector is None or ciphertext is None or tag is None:
            return None
        # A shortened tag would be verified as far as it goes, and one of four bytes can be
        # guessed (CVE-2025-47275).
        if len(vector) != _VECTOR_BYTES or len(tag) != _TAG_BYTES:
            return None
        try:
            return self._cipher.decrypt(vector, ciphertext + tag, self.header.encode())
        except InvalidTag:
            return None


def direct_key(octets: bytes, **header: str) -> DirectKey:
    """Return the key made of 32 *octets*, with *header* as further members of its header."""
    members = {"alg": "dir", "enc": "A256GCM", **header}
    encoded = _encode(json.dumps(members, separators=(",", ":")).encode())
    return DirectKey(encoded, AESGCM(octets))


def _encode(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()
