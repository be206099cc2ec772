"""What sessions are called: nothing in a name opens or reveals anything."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.session.store import (
    index_label,
    index_labels,
    is_session_id,
    lock_key,
    logout_token_key,
    session_key,
)

ISSUER = "https://tenant.us.auth0.com/"
SESSION_ID = "x" * 43
PLAIN = re.compile(r"[a-z]+(?::[a-z-]+)?:[A-Za-z0-9_-]{43}").fullmatch


def labels(**claims: Any) -> list[str]:
    """Give the labels of the session of a user with *claims*."""
    return index_labels({"user": {"iss": ISSUER, **claims}})


@pytest.mark.parametrize("text", ["A" * 43, "0aZ-_" * 8 + "abc"])
def test_session_id(text: str) -> None:
    """The id of a session is 256 bits of base64url."""
    assert is_session_id(text)


@pytest.mark.parametrize(
    "text",
    ["", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 43 + "\n", "ü" * 43, "../" * 14],
)
def test_no_session_id(text: str) -> None:
    """Nothing else is asked of a store."""
    assert not is_session_id(text)


def test_keys() -> None:
    """A key is a hash that neither reveals the id nor is taken for another key."""
    keys = [session_key(SESSION_ID), lock_key(SESSION_ID), session_key("y" * 43)]

    assert 3 == len(set(keys))
    assert keys[0] == session_key(SESSION_ID)
    for key in keys:
        assert PLAIN(key)
        assert SESSION_ID not in key


def test_logout_token_keys() -> None:
    """A logout token is known again by its issuer and its id, and by both together."""
    key = logout_token_key(ISSUER, "jti-1")

    assert PLAIN(key)
    assert key == logout_token_key(ISSUER, "jti-1")
    assert key != logout_token_key(ISSUER, "jti-2")
    assert key != logout_token_key(ISSUER + "j", "ti-1")


def test_labels() -> None:
    """A session with a sid is found by it, or by its user."""
    expected = [
        index_label("sub", ISSUER, "auth0|alice"),
        index_label("sid", ISSUER, "sid-1"),
    ]

    assert expected == labels(sub="auth0|alice", sid="sid-1")


@pytest.mark.parametrize("sid", [None, 7, ["sid-1"]], ids=repr)
def test_labels_without_sid(sid: object) -> None:
    """A session that an exchange began has no sid, and is found by its user in two ways."""
    expected = [
        index_label("sub", ISSUER, "auth0|alice"),
        index_label("sub without sid", ISSUER, "auth0|alice"),
    ]

    assert expected == labels(sub="auth0|alice", sid=sid)
    assert expected == labels(sub="auth0|alice")


def test_no_labels() -> None:
    """A session that names no user, or no issuer, is found by nobody."""
    assert [] == labels(sub=7)
    assert [] == index_labels({"user": {"sub": "auth0|alice", "sid": "sid-1"}})
    assert [] == labels(sub="auth0|alice", iss=None)


def test_labels_are_apart() -> None:
    """No two of kind, issuer and value that differ have one label."""
    made = {
        index_label(kind, issuer, value)
        for kind in ("sub", "sid", "sub without sid")
        for issuer in (ISSUER, ISSUER + "a", "")
        for value in ("", "a", "aa", ISSUER)
    }

    assert 3 * 3 * 4 == len(made)


@given(st.text(), st.text())
def test_any_text(issuer: str, value: str) -> None:
    """Whatever it is made of, a label is plain ASCII and reveals nothing."""
    for name in (index_label("sub", issuer, value), logout_token_key(issuer, value)):
        assert PLAIN(name)
