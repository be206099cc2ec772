"""The keys and labels of sessions: none opens a session or reveals a user."""

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


def list_labels(**claims: Any) -> list[str]:
    """Return the labels of the session of a user with *claims*."""
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
    """Anything else isn't a session id, so no store is asked for it."""
    assert not is_session_id(text)


def test_keys() -> None:
    """A key is a hash that does not reveal the id, and each kind of key differs."""
    keys = [session_key(SESSION_ID), lock_key(SESSION_ID), session_key("y" * 43)]

    assert 3 == len(set(keys))
    assert keys[0] == session_key(SESSION_ID)
    for key in keys:
        assert PLAIN(key)
        assert SESSION_ID not in key


def test_logout_token_keys() -> None:
    """A logout token is recognised by its issuer and its id together."""
    key = logout_token_key(ISSUER, "jti-1")

    assert PLAIN(key)
    assert key == logout_token_key(ISSUER, "jti-1")
    assert key != logout_token_key(ISSUER, "jti-2")
    assert key != logout_token_key(ISSUER + "j", "ti-1")


def test_labels() -> None:
    """A session with a ``sid`` is found by it, or by its user."""
    expected = [
        index_label("sub", ISSUER, "auth0|alice"),
        index_label("sid", ISSUER, "sid-1"),
    ]

    assert expected == list_labels(sub="auth0|alice", sid="sid-1")


@pytest.mark.parametrize("sid", [None, 7, ["sid-1"]], ids=repr)
def test_labels_without_sid(sid: object) -> None:
    """A session without a ``sid`` is found by its user in two ways."""
    expected = [
        index_label("sub", ISSUER, "auth0|alice"),
        index_label("sub without sid", ISSUER, "auth0|alice"),
    ]

    assert expected == list_labels(sub="auth0|alice", sid=sid)
    assert expected == list_labels(sub="auth0|alice")


def test_no_labels() -> None:
    """A session without a user or an issuer has no labels."""
    assert [] == list_labels(sub=7)
    assert [] == index_labels({"user": {"sub": "auth0|alice", "sid": "sid-1"}})
    assert [] == list_labels(sub="auth0|alice", iss=None)


def test_labels_are_apart() -> None:
    """Labels differ if the kind, the issuer or the value differs."""
    made = {
        index_label(kind, issuer, value)
        for kind in ("sub", "sid", "sub without sid")
        for issuer in (ISSUER, ISSUER + "a", "")
        for value in ("", "a", "aa", ISSUER)
    }

    assert 3 * 3 * 4 == len(made)


@given(st.text(), st.text())
def test_any_text(issuer: str, value: str) -> None:
    """A label is plain ASCII for any input, and reveals nothing."""
    for name in (index_label("sub", issuer, value), logout_token_key(issuer, value)):
        assert PLAIN(name)
