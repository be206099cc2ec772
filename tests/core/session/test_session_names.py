"""The keys and labels of sessions: none opens a session or reveals a user."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.session.store import (
    Application,
    index_label,
    index_labels,
    is_session_id,
    logout_token_key,
    session_key,
)

ISSUER = "https://tenant.us.auth0.com/"
HERE = Application(ISSUER, "the-client")
SESSION_ID = "x" * 43
PLAIN = re.compile(r"[a-z]+(?::[a-z-]+)?:[A-Za-z0-9_-]{43}").fullmatch


def list_labels(**claims: Any) -> list[str]:
    """Return the labels of the session of a user with *claims*."""
    return index_labels(HERE, {"user": {"iss": ISSUER, **claims}})


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
    """A key is a hash that does not reveal the id, and each id has its own."""
    keys = [
        session_key(HERE, SESSION_ID),
        session_key(HERE, "y" * 43),
    ]

    assert 2 == len(set(keys))
    assert keys[0] == session_key(HERE, SESSION_ID)
    for key in keys:
        assert PLAIN(key)
        assert SESSION_ID not in key


def test_logout_token_keys() -> None:
    """A logout token is recognised by its application and its id together."""
    key = logout_token_key(HERE, "jti-1")

    assert PLAIN(key)
    assert key == logout_token_key(HERE, "jti-1")
    assert key != logout_token_key(HERE, "jti-2")


def test_labels() -> None:
    """A session with a ``sid`` is found by it, or by its user."""
    expected = [
        index_label("sub", HERE, "auth0|alice"),
        index_label("sid", HERE, "sid-1"),
    ]

    assert expected == list_labels(sub="auth0|alice", sid="sid-1")


@pytest.mark.parametrize("sid", [None, 7, ["sid-1"], {}, True, 1.5, b"sid-1"], ids=repr)
def test_labels_without_sid(sid: object) -> None:
    """A session without a ``sid``, or with one that isn't text, is found by its user."""
    expected = [
        index_label("sub", HERE, "auth0|alice"),
        index_label("sub without sid", HERE, "auth0|alice"),
    ]

    assert expected == list_labels(sub="auth0|alice", sid=sid)
    assert expected == list_labels(sub="auth0|alice")


@pytest.mark.parametrize("issuer", [None, 7, "https://elsewhere/", ["x"]], ids=repr)
def test_labels_whatever_the_claims_say(issuer: object) -> None:
    """The application says where a session is found, and no claim of its user does."""
    assert index_label("sub", HERE, "a") in list_labels(sub="a", iss=issuer)


APPLICATIONS = [
    Application(issuer, client_id)
    for issuer in ("https://a/", "https://a/b", "", "https://")
    for client_id in ("b", "", "bb", "a/b", "https://a/")
]


def test_labels_are_apart() -> None:
    """Labels differ if the kind, the issuer, the client id or the value differs."""
    labels = {
        index_label(kind, application, value)
        for kind in ("sub", "sid", "sub without sid")
        for application in APPLICATIONS
        for value in ("", "a", "aa", ISSUER, "b")
    }

    assert 3 * len(APPLICATIONS) * 5 == len(labels)


def test_keys_are_apart() -> None:
    """Keys differ if the issuer, the client id or the id differs, however they are cut."""
    for name in (session_key, logout_token_key):
        keys = {
            name(application, text)
            for application in APPLICATIONS
            for text in ("", "b", "bb", "/b")
        }
        assert len(APPLICATIONS) * 4 == len(keys)


@given(st.text(), st.text(), st.text())
def test_any_text(issuer: str, client_id: str, value: str) -> None:
    """A key or label is plain ASCII for any input, and reveals nothing."""
    application = Application(issuer, client_id)
    for name in (
        index_label("sub", application, value),
        session_key(application, value),
        logout_token_key(application, value),
    ):
        assert PLAIN(name)
