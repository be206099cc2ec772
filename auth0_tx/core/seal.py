"""Sealing: what leaves the library's hands is encrypted, and opens for one purpose only.

The form is JWE (RFC 7516) with a key used directly (``dir``) and AES-256-GCM.  The key is
derived from the application's secret (RFC 5869) for one purpose, which it is thereby bound
to: what was sealed for one cookie, or for one session, does not open as another.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import NamedTuple

import attrs
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..secret import SecretBytes
from .jwe import KEY_BYTES, DirectKey, direct_key

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
