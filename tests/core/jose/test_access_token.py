"""Reading access tokens: their audience and expiry, and never an error."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.jose.access_token import (
    AccessTokenClaims,
    read_access_token,
    read_unverified_claims,
)

API = "https://api.example.com"
OPAQUE = AccessTokenClaims(None, None)


def encode_claims(claims: object) -> str:
    """Return a JWT, unsigned, with *claims* as its payload."""
    octets = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return f"head.{urlsafe_b64encode(octets).decode().rstrip('=')}.signature"


@pytest.mark.parametrize(
    ("audience", "names"),
    [
        (API, (API,)),
        ([API], (API,)),
        ([API, "urn:b"], (API, "urn:b")),
        ([], None),
        ("", None),
        ([""], None),
        (None, None),
        (7, None),
        ([API, 7, None], (API,)),
        ([[API]], None),
        ({"a": API}, None),
    ],
    ids=repr,
)
def test_audience(audience: object, names: tuple[str, ...] | None) -> None:
    """The audience is a text or a list of texts (RFC 7519 section 4.1.3); nothing else is a name."""
    assert names == read_access_token(encode_claims({"aud": audience})).audience


@pytest.mark.parametrize(
    ("exp", "expires_at"),
    [
        (1_700_000_000, 1_700_000_000.0),
        (1_700_000_000.5, 1_700_000_000.5),
        (0, 0.0),
        (-1, None),
        (10**30, None),
        (10**400, None),
        (True, None),
        ("1700000000", None),
        (None, None),
        ([], None),
        (float("nan"), None),
        (float("inf"), None),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_expiry(exp: object, expires_at: float | None) -> None:
    """The expiry is a date, whole or not, or says nothing."""
    assert expires_at == read_access_token(encode_claims({"exp": exp})).expires_at


def test_one_without_the_other() -> None:
    """A token may name its audience and no expiry, or the other way round."""
    assert AccessTokenClaims((API,)) == read_access_token(encode_claims({"aud": API}))
    assert AccessTokenClaims(None, 5.0) == read_access_token(encode_claims({"exp": 5}))


@pytest.mark.parametrize(
    "token",
    [
        None,
        7,
        "",
        "opaque",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        encode_claims({"aud": API}) + ".x.y",
        "a.\u00fc.c",
        "a.!!.c",
        encode_claims([API]),
        encode_claims(7),
        encode_claims(b"\xff"),
        encode_claims(b"{"),
        encode_claims(b"[" * 100_000),
        encode_claims(b"9" * 5_000),
    ],
    ids=lambda token: str(token)[:12],
)
def test_opaque(token: object) -> None:
    """Anything but a signed JWT is opaque, and nothing is raised."""
    assert OPAQUE == read_access_token(token)
    assert {} == read_unverified_claims(token)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
)


@given(JSON, JSON)
def test_any_claims(audience: object, exp: object) -> None:
    """Whatever a token says, what is read is of the types that are promised."""
    read = read_access_token(encode_claims({"aud": audience, "exp": exp}))

    assert read.audience is None or all(isinstance(name, str) for name in read.audience)
    assert read.expires_at is None or 0 <= read.expires_at


@given(st.text(max_size=60))
def test_any_text(token: str) -> None:
    """Any text is read without an error."""
    read_access_token(token)
    read_access_token(f"a.{token}.c")
