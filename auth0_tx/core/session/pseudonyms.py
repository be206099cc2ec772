"""Pseudonyms of users and sessions in audit events: keyed hashes.

A log reaches people who must not learn who did what, and they still need to see which events
are of one user or one session.  Usernames can be guessed, so a plain hash of one tells as
much as the name.  These are HMACs, under a key that no log has.

All processes of an application derive the same key, so their events can be joined: from the
newest secret of its sessions or, if it has none, from its credential at Auth0.  When that is
replaced, pseudonyms change.  A public application has neither: its pseudonyms are made with a
random key of each process.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ...secret import SecretBytes

_NO_SALT = bytes(32)


def derive_pseudonym_key(
    client_id: str,
    credential: str | bytes | Mapping[str, Any] | None,
    secrets: Sequence[str],
) -> bytes:
    """Return the key of an application's pseudonyms; empty if there is nothing secret.

    Args:
        client_id: the application's id: another one with the same secret has another key.
        credential: its secret or its private key; ``None`` for a public application.
        secrets: those of its sessions, newest first.
    """
    source = secrets[0] if secrets else credential
    if source is None:
        return b""
    if isinstance(source, Mapping):
        # A JWK is the same key in any order of its members.
        source = json.dumps(source, sort_keys=True, default=str)
    octets = source if isinstance(source, bytes) else _encode(source)
    # HKDF (RFC 5869) for 32 bytes: one block.  By hand, as importing it from cryptography
    # takes longer than most exchanges that need nothing else of it.
    extracted = hmac.digest(_NO_SALT, octets, "sha256")
    purpose = f"auth0-tx audit {client_id}".encode()
    return SecretBytes(hmac.digest(extracted, purpose + b"\x01", "sha256"))


def make_pseudonym(
    key: bytes, kind: Literal["subject", "session"], domain: str, identifier: str
) -> str:
    """Return the pseudonym of a user or a session: an HMAC-SHA256 in base64url.

    Args:
        key: the application's, from :func:`derive_pseudonym_key`.
        kind: which of the two it is.
        domain: the tenant's: users of two tenants may have one ``sub``.
        identifier: the ``sub``, or the session's id.
    """
    # The length keeps a domain "ab" with "c" apart from "a" with "bc".
    text = f"{kind} {len(domain)}:{domain}{identifier}"
    digest = hmac.digest(key, _encode(text), "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
