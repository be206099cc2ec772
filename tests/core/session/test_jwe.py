"""Encrypted texts: their form is RFC 7516's, and only the key's own texts decrypt."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import OctKey

from auth0_tx.core.session.seal import direct_key

PAYLOAD = b'{"user":{"sub":"auth0|alice"}}'
OCTETS = bytes(range(32))
KEY = direct_key(OCTETS, kid="a")


def encrypt_with_joserfc(header: dict[str, Any]) -> str:
    """Encrypt with joserfc and the same key."""
    registry = jwe.JWERegistry(
        algorithms=["dir", "A256GCM", "DEF"], strict_check_header=False
    )
    sealed: str = jwe.encrypt_compact(
        {"alg": "dir", "enc": "A256GCM", **header},
        PAYLOAD,
        OctKey.import_key(OCTETS),
        registry=registry,
    )
    return sealed


def test_round_trip() -> None:
    """Any payload is decrypted again, and the same text never results twice."""
    for payload in (b"", b"x", PAYLOAD, bytes(range(256)) * 40):
        assert payload == KEY.decrypt(KEY.encrypt(payload))
    assert KEY.encrypt(PAYLOAD) != KEY.encrypt(PAYLOAD)


def test_published_form() -> None:
    """Joserfc decrypts our texts, and we decrypt its texts."""
    key = OctKey.import_key(OCTETS)
    read = jwe.decrypt_compact(KEY.encrypt(PAYLOAD), key, algorithms=["dir", "A256GCM"])

    assert PAYLOAD == read.plaintext
    assert {"alg": "dir", "enc": "A256GCM", "kid": "a"} == read.protected
    assert PAYLOAD == KEY.decrypt(encrypt_with_joserfc({"kid": "a"}))


def test_every_bit() -> None:
    """A text with any bit flipped does not decrypt."""
    text = KEY.encrypt(PAYLOAD)
    flipped = [
        text[:place] + chr(ord(text[place]) ^ 1 << bit) + text[place + 1 :]
        for place in range(len(text))
        for bit in range(8)
    ]

    assert [None] * len(flipped) == [KEY.decrypt(text) for text in flipped]


def test_every_cut() -> None:
    """A text that is cut at either end, or lengthened, does not decrypt."""
    text = KEY.encrypt(PAYLOAD)
    cut = [text[:end] for end in range(len(text))]
    cut += [text[start:] for start in range(1, len(text) + 1)]
    longer = [text + more for more in ("A", "=", ".", ".A", "\n", " ")]
    longer += [more + text for more in ("A", ".", " ")]

    assert {None} == {KEY.decrypt(text) for text in cut + longer}


def test_short_tag() -> None:
    """A tag shortened until it can be guessed is refused (CVE-2025-47275)."""
    *head, tag = KEY.encrypt(PAYLOAD).split(".")
    octets = urlsafe_b64decode(tag + "==")
    assert 16 == len(octets)

    for length in range(len(octets)):
        shorter = urlsafe_b64encode(octets[:length]).rstrip(b"=").decode()
        assert KEY.decrypt(".".join([*head, shorter])) is None
    doubled = urlsafe_b64encode(octets * 2).rstrip(b"=").decode()
    assert KEY.decrypt(".".join([*head, doubled])) is None


def test_other_vector() -> None:
    """An initialization vector has one length."""
    head, _, vector, *rest = KEY.encrypt(PAYLOAD).split(".")
    octets = urlsafe_b64decode(vector + "==")
    assert 12 == len(octets)

    for other in (b"", octets[:8], octets[:-1], octets + b"\0", octets * 3):
        text = urlsafe_b64encode(other).rstrip(b"=").decode()
        assert KEY.decrypt(".".join([head, "", text, *rest])) is None


HEADERS: dict[str, dict[str, Any]] = {
    "no kid": {},
    "another kid": {"kid": "b"},
    "zip": {"kid": "a", "zip": "DEF"},
    "critical": {"kid": "a", "crit": ["x"], "x": 1},
    "a key of its own": {"kid": "a", "jwk": {"kty": "oct", "k": "AAAA"}},
    "a URL of keys": {"kid": "a", "jku": "https://evil.example/keys"},
    "a type": {"kid": "a", "typ": "JWT"},
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_other_header(header: dict[str, Any]) -> None:
    """A header other than the key's is refused, although the key fits the ciphertext."""
    if "crit" in header:
        text = swap_header({"alg": "dir", "enc": "A256GCM", **header})
    else:
        text = encrypt_with_joserfc(header)

    assert KEY.decrypt(text) is None


def swap_header(header: Any) -> str:
    """Return a well-encrypted text with another header in front."""
    octets = header if isinstance(header, bytes) else json.dumps(header).encode()
    encoded = urlsafe_b64encode(octets).rstrip(b"=").decode()
    return ".".join([encoded, *KEY.encrypt(PAYLOAD).split(".")[1:]])


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "enc": "A256GCM", "kid": "a"},
        {"alg": "A256KW", "enc": "A256GCM", "kid": "a"},
        {"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 10**9, "p2s": "AA"},
        {"alg": "RSA-OAEP", "enc": "A256GCM", "kid": "a"},
        {"alg": "dir", "enc": "A128GCM", "kid": "a"},
        {"alg": "dir", "enc": "A256CBC-HS512", "kid": "a"},
        {"alg": "dir", "enc": "none", "kid": "a"},
        {"alg": ["dir"], "enc": "A256GCM", "kid": "a"},
        {"enc": "A256GCM", "kid": "a", "alg": "dir"},
        {"alg": "dir", "enc": "A256GCM", "kid": "a"},
        b'{"alg":"dir","enc":"A256GCM","kid":"a","kid":"a"}',
        b"[" * 700,
        b"",
        b"\xff",
        b"alg enc",
    ],
    ids=repr,
)
def test_swapped_header(header: Any) -> None:
    """Only the exact header decrypts, and not an equal one spelled differently."""
    assert KEY.decrypt(swap_header(header)) is None


def test_encrypted_key() -> None:
    """With a key used directly, the encrypted key must be empty."""
    head, _, *rest = KEY.encrypt(PAYLOAD).split(".")

    assert KEY.decrypt(".".join([head, "AAAA", *rest])) is None


def test_other_key() -> None:
    """A key decrypts what it encrypted, and no other key does."""
    other = direct_key(b"\1" * 32, kid="a")

    assert other.decrypt(KEY.encrypt(PAYLOAD)) is None
    assert KEY.decrypt(other.encrypt(PAYLOAD)) is None


def test_mixed_parts() -> None:
    """Parts of two texts do not combine to a third."""
    one, two = KEY.encrypt(PAYLOAD).split("."), KEY.encrypt(PAYLOAD).split(".")

    for place in (2, 3, 4):
        mixed = [*one[:place], two[place], *one[place + 1 :]]
        assert KEY.decrypt(".".join(mixed)) is None


PARTS = st.one_of(
    st.sampled_from(["", *KEY.encrypt(PAYLOAD).split(".")]),
    st.text(alphabet="AQgw-_=+/", max_size=30),
    st.text(max_size=8),
    st.binary(max_size=40).map(lambda octets: urlsafe_b64encode(octets).decode()),
)


@given(st.text() | st.lists(PARTS, min_size=3, max_size=7).map(".".join))
def test_any_text(text: str) -> None:
    """Nothing is raised, and only encrypted texts decrypt."""
    assert KEY.decrypt(text) in (None, PAYLOAD)


def test_prints_no_key() -> None:
    """A key's repr shows its header and nothing of the key."""
    assert f"DirectKey(header={KEY.header!r})" == repr(KEY)
