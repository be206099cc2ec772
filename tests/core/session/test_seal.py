"""Sealed payloads open with the right secret and purpose, and not otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.session.seal import MAX_SEALED_LENGTH, Opened, Sealer, sealer

SECRET = "a secret of at least thirty-two characters"
OLD_SECRET = "the secret that was in use a year ago, and is known"
PURPOSE = "session __Host-auth0_tx"
PAYLOAD = b'{"user":{"sub":"auth0|alice"}}'


def make_sealer() -> Sealer:
    """Return a sealer with one secret."""
    return sealer((SECRET,), PURPOSE)


def test_round_trip() -> None:
    """A sealed payload opens, in another process too, and is marked as current."""
    sealed = make_sealer().seal(PAYLOAD)

    assert Opened(PAYLOAD, True) == make_sealer().open(sealed)


def test_fit_for_a_cookie() -> None:
    """A sealed text has only characters that a cookie may have (RFC 6265 section 4.1.1)."""
    sealed = make_sealer().seal(bytes(range(256)))

    assert sealed.isascii()
    assert set(sealed) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
    )


def test_rotation() -> None:
    """An older secret still opens what it sealed, and the newest one seals."""
    both, old = sealer((SECRET, OLD_SECRET), PURPOSE), sealer((OLD_SECRET,), PURPOSE)

    assert Opened(PAYLOAD, False) == both.open(old.seal(PAYLOAD))
    assert Opened(PAYLOAD, True) == both.open(both.seal(PAYLOAD))
    assert Opened(PAYLOAD, True) == make_sealer().open(both.seal(PAYLOAD))
    assert old.open(both.seal(PAYLOAD)) is None


def test_retired_secret() -> None:
    """A secret that was removed opens nothing any more."""
    assert make_sealer().open(sealer((OLD_SECRET,), PURPOSE).seal(PAYLOAD)) is None


def test_purpose() -> None:
    """A text sealed for one purpose does not open for another (F6)."""
    sealed = make_sealer().seal(PAYLOAD)

    for purpose in ("session auth0_tx", "transaction __Host-auth0_tx", PURPOSE + "2"):
        assert sealer((SECRET,), purpose).open(sealed) is None


def test_salt() -> None:
    """A text sealed for one session does not open for another, nor without an id."""
    one, two = (sealer((SECRET,), PURPOSE, salt) for salt in (b"1" * 43, b"2" * 43))
    sealed = one.seal(PAYLOAD)

    assert Opened(PAYLOAD, True) == one.open(sealed)
    assert two.open(sealed) is None
    assert make_sealer().open(sealed) is None
    assert one.open(make_sealer().seal(PAYLOAD)) is None


def test_without_secret() -> None:
    """A session's id alone makes a key if the application has no secret."""
    one, two = (sealer(("",), PURPOSE, salt) for salt in (b"1" * 43, b"2" * 43))

    assert Opened(PAYLOAD, True) == one.open(one.seal(PAYLOAD))
    assert two.open(one.seal(PAYLOAD)) is None


def test_any_secret() -> None:
    """A secret may be any text."""
    for secret in ("ü" * 16, "\ud800 half a pair", "x" * 10_000):
        sealed = sealer((secret,), PURPOSE).seal(PAYLOAD)
        assert Opened(PAYLOAD, True) == sealer((secret,), PURPOSE).open(sealed)


def test_longest() -> None:
    """A text longer than any session is refused before it is decoded."""
    spare = MAX_SEALED_LENGTH - len(make_sealer().seal(b""))
    fits = make_sealer().seal(b"x" * (spare * 3 // 4))
    too_long = make_sealer().seal(b"x" * (spare * 3 // 4 + 1))

    assert len(fits) <= MAX_SEALED_LENGTH < len(too_long)
    assert make_sealer().open(fits) is not None
    assert make_sealer().open(too_long) is None


@pytest.mark.parametrize(
    "sealed", [None, b"x", 7, ["x"], {}, make_sealer().seal(PAYLOAD).encode()], ids=type
)
def test_not_text(sealed: Any) -> None:
    """Anything but a string does not open."""
    assert make_sealer().open(sealed) is None


@given(
    st.text()
    | st.text(alphabet="AQgw-_.=").map(lambda t: f"{make_sealer().seal(b'')}{t}.")
)
def test_any_text(text: str) -> None:
    """Any text opens or returns ``None``, and nothing is raised."""
    assert make_sealer().open(text) is None


@given(st.binary(max_size=2_000))
def test_any_payload(payload: bytes) -> None:
    """Any bytes come back unchanged."""
    assert Opened(payload, True) == make_sealer().open(make_sealer().seal(payload))


def test_pickle() -> None:
    """A pickle in place of a session is refused unread (F14)."""
    assert make_sealer().open("gASVBAAAAAAAAACMAWGULg==") is None


def test_prints_nothing() -> None:
    """Neither a sealer nor an opened payload prints a secret, a key or the payload."""
    whole = make_sealer()
    shown = repr(whole) + repr(whole.open(whole.seal(PAYLOAD)))

    assert "alice" not in shown
    assert SECRET not in shown
    assert "Key" not in shown
