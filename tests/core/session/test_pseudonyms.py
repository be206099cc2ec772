"""Pseudonyms: the same for the same user of the same application, and no clue who it is."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from itertools import combinations
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.session.pseudonyms import derive_pseudonym_key, make_pseudonym
from tests.core.vectors_tokens import RSA

SECRET = "needle-of-the-session-secret-012"
KEY = derive_pseudonym_key("client", None, [SECRET])


def test_key() -> None:
    """The key is derived from the newest secret as RFC 5869 has it, for one application."""
    derivation = HKDF(SHA256(), 32, None, b"auth0-tx audit client")

    assert derivation.derive(SECRET.encode()) == KEY
    assert derive_pseudonym_key("client", "credential", [SECRET, "older"]) == KEY
    assert "needle" not in repr(KEY)
    assert KEY.hex() not in repr(KEY)


def test_sources() -> None:
    """Other secrets, credentials and applications have other keys."""
    jwk = RSA.as_dict(private=True)
    keys = [
        KEY,
        derive_pseudonym_key("other", None, [SECRET]),
        derive_pseudonym_key("client", None, [SECRET + "x", SECRET]),
        derive_pseudonym_key("client", "client-secret", []),
        derive_pseudonym_key("client", b"-----BEGIN PRIVATE KEY-----", []),
        derive_pseudonym_key("client", jwk, []),
    ]

    assert all(first != second for first, second in combinations(keys, 2))
    assert {32} == set(map(len, keys))


def test_same_credential() -> None:
    """A credential has one key, as text or bytes, and whatever the order of its members."""
    jwk = RSA.as_dict(private=True)
    backwards = dict(reversed(jwk.items()))

    assert derive_pseudonym_key("c", jwk, []) == derive_pseudonym_key(
        "c", backwards, []
    )
    assert derive_pseudonym_key("c", "pem", []) == derive_pseudonym_key("c", b"pem", [])


def test_nothing_secret() -> None:
    """Without anything secret there is no key: one made of the client id would hide nothing."""
    assert b"" == derive_pseudonym_key("client", None, [])


def test_pseudonym() -> None:
    """A pseudonym is an HMAC-SHA256, in base64url."""
    octets = hmac.digest(KEY, b"subject 11:example.comauth0|alice", hashlib.sha256)

    assert urlsafe_b64encode(octets).decode().rstrip("=") == make_pseudonym(
        KEY, "subject", "example.com", "auth0|alice"
    )


@pytest.mark.parametrize(
    "other",
    [
        (KEY[::-1], "subject", "a.com", "x"),
        (KEY, "session", "a.com", "x"),
        (KEY, "subject", "a.co", "x"),
        (KEY, "subject", "a.co", "mx"),
        (KEY, "subject", "a.com", "y"),
    ],
)
def test_pseudonyms_differ(other: tuple[Any, ...]) -> None:
    """Another key, kind, tenant or identifier has another pseudonym."""
    assert make_pseudonym(KEY, "subject", "a.com", "x") != make_pseudonym(*other)


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_identifier(identifier: str) -> None:
    """A pseudonym has 43 characters of ASCII, whatever the identifier."""
    pseudonym = make_pseudonym(KEY, "session", "example.com", identifier)

    assert 43 == len(pseudonym)
    assert pseudonym.isascii()
    assert len(identifier) < 4 or identifier not in pseudonym
