"""Sealing: sessions are encrypted, and open for the one purpose they were sealed for.

The form is JWE (RFC 7516) with a key used directly (``dir``) and AES-256-GCM.  From each of
the application's secrets keys are derived (HKDF, RFC 5869) for a purpose, an application and
a salt: a sealed cookie does not open under another cookie's name or in another application
with the same secret, nor a stored session under another id.  ``Sealer`` seals with a key of
the newest secret and opens with any, so a secret can be replaced without logging anybody out.

AES-GCM with random vectors bears 2**32 texts under one key (NIST SP 800-38D section 8.3), and
a busy site writes as many cookies.  So there are 256 keys in the place of one, and each text
is sealed with one that is chosen at random: 2**40 texts for each secret.  A key is derived
when it is first needed.

The header's ``kid`` has three parts: the id of the secret and the purpose, the id of the
application, and the slot of the key among the 256.  The first two tell what an application
with our secret sealed from junk (``Sealer.is_foreign``).

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

SLOTS = 256
"""The keys that are derived from each secret for one purpose, application and salt."""

# A multiple of three bytes is encoded for itself, whatever follows.  So headers are compared
# part by part in their encoded form: the beginning, 9 bytes for each id with its dot, and the
# slot.
_BEGINNING = '{"alg":"dir","enc":"A256GCM","kid":"'
_ID_BYTES = 6


class Opened(NamedTuple):
    """An opened payload, and whether the newest secret sealed it: if not, seal it anew."""

    payload: bytes
    is_current: bool


@attrs.frozen(eq=False)
class Sealer:
    """Seals with the newest of its secrets and opens with any of them."""

    _rings: tuple[_KeyRing, ...] = attrs.field(repr=False)

    def seal(self, payload: bytes, salt: bytes = b"") -> str:
        """Return *payload* encrypted, as text that fits a cookie.

        Args:
            payload: the bytes.
            salt: what else the key depends on, such as a session's secret id.
        """
        # As random as the vectors are, and from the same source.
        slot = _A256GCM.generate_iv()[0] % SLOTS
        return self._rings[0].get_key(slot, salt).encrypt(payload)

    def open(self, sealed: str, salt: bytes = b"") -> Opened | None:
        """Return what :meth:`seal` sealed with *salt*, or ``None`` for anything else."""
        if not isinstance(sealed, str) or not self.may_open(sealed):
            return None
        for ring in self._rings:
            slot = ring.find_slot(sealed)
            if slot is not None:
                payload = ring.get_key(slot, salt).decrypt(sealed)
                if payload is not None:
                    return Opened(payload, ring is self._rings[0])
        return None

    def is_own(self, sealed: str) -> bool:
        """Return whether *sealed* says that this application sealed it: a hint, and no proof."""
        return any(sealed.startswith(ring.prefix) for ring in self._rings)

    def may_open(self, sealed: str) -> bool:
        """Return whether a text is short enough for :meth:`open`."""
        return len(sealed) <= MAX_SEALED_LENGTH

    def is_foreign(self, sealed: str) -> bool:
        """Return whether *sealed* says that another application with our secret sealed it.

        That is a hint for whoever looks for the cause, and proves nothing: the header of a
        cookie can be copied.
        """
        return isinstance(sealed, str) and any(
            sealed.startswith(ring.family) and not sealed.startswith(ring.prefix)
            for ring in self._rings
        )


def sealer(
    secrets: Sequence[str], purpose: str, application: Sequence[str] = ()
) -> Sealer:
    """Return the sealer of one purpose of one application.

    Args:
        secrets: the application's secrets, newest first.
        purpose: what is sealed, such as ``session __Host-auth0_tx``.
        application: the texts that name the application.
    """
    return Sealer(tuple(_KeyRing(secret, purpose, application) for secret in secrets))


class _KeyRing:
    """The keys of one secret, for one purpose of one application.

    Attributes:
        family: how each header begins that this secret writes for the purpose.
        prefix: how each header begins that it writes for the application too.
    """

    def __init__(self, secret: str, purpose: str, application: Sequence[str]) -> None:
        self._secret = SecretBytes(secret.encode("utf-8", "surrogatepass"))
        self._fields = (purpose, *application)
        # Derived beside the keys, not from them, ids reveal nothing of them.
        family = f"{_BEGINNING}{self._derive_id('secret', purpose)}."
        prefix = f"{family}{self._derive_id('application', *self._fields)}."
        self.family, self.prefix = _encode(family.encode()), _encode(prefix.encode())
        # Those of a salt are used once or twice, and are not kept.
        self._keys: list[DirectKey | None] = [None] * SLOTS

    def find_slot(self, sealed: str) -> int | None:
        """Return the slot of the key that sealed a text, or ``None`` if none of these did."""
        if not sealed.startswith(self.prefix):
            return None
        start = len(self.prefix)
        return _SLOTS_BY_END.get(sealed[start : start + _END_LENGTH])

    def get_key(self, slot: int, salt: bytes) -> DirectKey:
        """Return the key in a slot."""
        key = None if salt else self._keys[slot]
        if key is None:
            octets = self._derive(KEY_BYTES, salt, "key", *self._fields, str(slot))
            key = DirectKey(self.prefix + _ENDS[slot], AESGCM(octets))
            if not salt:
                self._keys[slot] = key
        return key

    def _derive_id(self, *fields: str) -> str:
        return urlsafe_b64encode(self._derive(_ID_BYTES, b"", *fields)).decode()

    def _derive(self, length: int, salt: bytes, *fields: str) -> bytes:
        # The length of each field keeps "ab" with "c" apart from "a" with "bc".
        info = "".join(["auth0-tx ", *(f"{len(field)}:{field}" for field in fields)])
        derivation = HKDF(SHA256(), length, salt, info.encode("utf-8", "surrogatepass"))
        return derivation.derive(self._secret)


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

    def decrypt(self, text: str) -> SecretBytes | None:
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
            return SecretBytes(
                self._cipher.decrypt(vector, ciphertext + tag, self.header.encode())
            )
        except InvalidTag:
            return None


def direct_key(octets: bytes, **header: str) -> DirectKey:
    """Return the key made of 32 *octets*, with *header* as further members of its header."""
    members = {"alg": "dir", "enc": "A256GCM", **header}
    encoded = _encode(json.dumps(members, separators=(",", ":")).encode())
    return DirectKey(encoded, AESGCM(octets))


def _encode(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


# The slot in two hexadecimal digits, and the end of the header.
_ENDS = tuple(_encode(f'{slot:02x}"}}'.encode()) for slot in range(SLOTS))
_SLOTS_BY_END = {end: slot for slot, end in enumerate(_ENDS)}
_END_LENGTH = len(_ENDS[0])
