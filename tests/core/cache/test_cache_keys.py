"""The key of cached tokens: equal for equal inputs, and only for those."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.cache.tokens import cache_key, client_hash_key
from auth0_tx.core.wire.grants import exchange_fields, normalise_scope
from tests.core.world import SECRETS, build_options

KEY = b"k" * 64
TEXTS = st.none() | st.text(max_size=5)
CLIENT = {
    "client_id": "the-client",
    "method": "client_secret_post",
    "credential": SECRETS["client_secret"],
    "secret": "",
}


def make_hash_key(**changes: Any) -> bytes:
    """Return the key of a client's hashes."""
    return client_hash_key(**{**CLIENT, **changes})


@given(st.lists(TEXTS, max_size=6), st.lists(TEXTS, max_size=6))
def test_fields(some: list[str | None], others: list[str | None]) -> None:
    """Two lists of fields have the same key if they are equal, and only then."""
    assert (some == others) == (cache_key(KEY, some) == cache_key(KEY, others))


@given(st.lists(st.text(max_size=9), min_size=2, max_size=2), st.integers(0, 9))
def test_boundaries(texts: list[str], at: int) -> None:
    """Characters that move from one field to the next change the key."""
    whole = "".join(texts)
    moved = [whole[:at], whole[at:]]

    assert (moved == texts) == (cache_key(KEY, moved) == cache_key(KEY, texts))


ALL = {
    "subject_token": SECRETS["subject_token"],
    "subject_token_type": "urn:acme:legacy-token",
    "actor_token": SECRETS["actor_token"],
    "actor_token_type": "urn:acme:agent-token",
    "audience": "https://api.example.com",
    "scope": "openid read:data",
    "organization": "org_a",
    "authorization_params": {"device": "one", "campaign": "two"},
}
CHANGED = {
    "subject_token": "another-token",
    "subject_token_type": "urn:acme:other-token",
    "actor_token": "another-agent",
    "actor_token_type": "urn:acme:other-agent",
    "audience": "https://other.example.com",
    "scope": "openid read:data write:data",
    "organization": "org_b",
    "authorization_params": {"device": "one", "campaign": "three"},
}


def test_every_option() -> None:
    """The table above has every option of an exchange."""
    names = {field.name for field in attrs.fields(type(build_options()))}

    assert names - {"subject_token_reusable"} == set(ALL) == set(CHANGED)


@pytest.mark.parametrize("name", sorted(CHANGED))
@pytest.mark.parametrize("value", ["other", "absent"])
def test_any_one_option(name: str, value: str) -> None:
    """A different or absent option changes the key."""
    changed = CHANGED[name] if value == "other" else None
    one = exchange_fields(build_options(**ALL))
    other = exchange_fields(build_options(**{**ALL, name: changed}))

    assert cache_key(KEY, one) != cache_key(KEY, other)


@given(st.data())
def test_users(data: Any) -> None:
    """Two users never share a key, however alike their tokens and parameters."""
    text = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=4)
    parameters = st.dictionaries(text, text, max_size=3)
    ones = {
        "subject_token": data.draw(text),
        "authorization_params": data.draw(parameters),
    }
    others = {
        "subject_token": data.draw(text),
        "authorization_params": data.draw(parameters),
    }
    same = ones == others

    assert same == (
        exchange_fields(build_options(**ones))
        == exchange_fields(build_options(**others))
    )


def test_order() -> None:
    """The order of scopes and of extension parameters makes no difference."""
    turned = {
        **ALL,
        "scope": "read:data openid",
        "authorization_params": {"campaign": "two", "device": "one"},
    }

    assert exchange_fields(build_options(**ALL)) == exchange_fields(
        build_options(**turned)
    )
    assert normalise_scope("b a") == normalise_scope("a b b") == "a b"
    assert normalise_scope("a") == "a"
    assert normalise_scope(None) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client_id", "another-client"),
        ("method", "client_secret_basic"),
        ("credential", "a-wrong-secret"),
        ("credential", None),
        ("credential", b"a-private-key"),
        ("credential", {"kty": "EC", "d": "a-private-key"}),
        ("secret", "a-session-secret"),
    ],
    ids=["id", "method", "wrong", "none", "pem", "jwk", "secret"],
)
def test_clients(name: str, value: Any) -> None:
    """A client with another credential does not find this client's entries."""
    assert make_hash_key() != make_hash_key(**{name: value})
    assert make_hash_key(**{name: value}) == make_hash_key(**{name: value})


def test_nothing_shows() -> None:
    """A key does not print, and the half that a cache sees isn't the half that seals."""
    key = cache_key(make_hash_key(), exchange_fields(build_options()))

    assert "<redacted>" == repr(key)
    assert key.seal.hex() not in key.name
    assert 64 == len(key.name)
    assert 32 == len(key.seal)
