"""What is sealed opens with the right secret, for the right purpose, and not otherwise."""

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


def current() -> Sealer:
    """Give a sealer with one secret."""
    return sealer((SECRET,), PURPOSE)


def test_round_trip() -> None:
    """What was sealed opens, in another process too, and is of the newest secret."""
    sealed = current().seal(PAYLOAD)

    assert Opened(PAYLOAD, True) == current().open(sealed)


def test_fit_for_a_cookie() -> None:
    """What was sealed has characters that every cookie may have (RFC 6265 section 4.1.1)."""
    sealed = current().seal(bytes(range(256)))

    assert sealed.isascii()
    assert set(sealed) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
    )


def test_rotation() -> None:
    """An older secret still opens what it sealed, and the newest one seals."""
    both, old = sealer((SECRET, OLD_SECRET), PURPOSE), sealer((OLD_SECRET,), PURPOSE)

    assert Opened(PAYLOAD, False) == both.open(old.seal(PAYLOAD))
    assert Opened(PAYLOAD, True) == both.open(both.seal(PAYLOAD))
    assert Opened(PAYLOAD, True) == current().open(both.seal(PAYLOAD))
    assert old.open(both.seal(PAYLOAD)) is None


def test_retired_secret() -> None:
    """A secret that was taken out opens nothing any more."""
    assert current().open(sealer((OLD_SECRET,), PURPOSE).seal(PAYLOAD)) is None


def test_purpose() -> None:
    """What was sealed for one purpose is nothing for another (F6)."""
    sealed = current().seal(PAYLOAD)

    for purpose in ("session auth0_tx", "transaction __Host-auth0_tx", PURPOSE + "2"):
        assert sealer((SECRET,), purpose).open(sealed) is None


def test_salt() -> None:
    """What was sealed for one session does not open as another, nor as one without id."""
    one, two = (sealer((SECRET,), PURPOSE, salt) for salt in (b"1" * 43, b"2" * 43))
    sealed = one.seal(PAYLOAD)

    assert Opened(PAYLOAD, True) == one.open(sealed)
    assert two.open(sealed) is None
    assert current().open(sealed) is None
    assert one.open(current().seal(PAYLOAD)) is None


def test_without_secret() -> None:
    """A session's id makes a key where the application has no secret."""
    one, two = (sealer(("",), PURPOSE, salt) for salt in (b"1" * 43, b"2" * 43))

    assert Opened(PAYLOAD, True) == one.open(one.seal(PAYLOAD))
    assert two.open(one.seal(PAYLOAD)) is None


def test_any_secret() -> None:
    """A secret may be any text."""
    for secret in ("ü" * 16, "\ud800 half a pair", "x" * 10_000):
        sealed = sealer((secret,), PURPOSE).seal(PAYLOAD)
        assert Opened(PAYLOAD, True) == sealer((secret,), PURPOSE).open(sealed)


def test_longest() -> None:
    """What is longer than any session is refused before it is decoded."""
    spare = MAX_SEALED_LENGTH - len(current().seal(b""))
    fits = current().seal(b"x" * (spare * 3 // 4))
    too_long = current().seal(b"x" * (spare * 3 // 4 + 1))

    assert len(fits) <= MAX_SEALED_LENGTH < len(too_long)
    assert current().open(fits) is not None
    assert current().open(too_long) is None


@pytest.mark.parametrize(
    "sealed", [None, b"x", 7, ["x"], {}, current().seal(PAYLOAD).encode()], ids=type
)
def test_not_text(sealed: Any) -> None:
    """What is no text was not sealed."""
    assert current().open(sealed) is None


@given(
    st.text() | st.text(alphabet="AQgw-_.=").map(lambda t: f"{current().seal(b'')}{t}.")
)
def test_any_text(text: str) -> None:
    """Whatever a browser sends, it opens or is nothing, and nothing is raised."""
    assert current().open(text) is None


@given(st.binary(max_size=2_000))
def test_any_payload(payload: bytes) -> None:
    """Any octets come back as they were."""
    assert Opened(payload, True) == current().open(current().seal(payload))


def test_pickle() -> None:
    """A pickle in the place of a session is refused unread (F14)."""
    assert current().open("gASVBAAAAAAAAACMAWGULg==") is None


def test_prints_nothing() -> None:
    """Neither a sealer nor what it opened prints a secret, a key or what was sealed."""
    whole = current()
    shown = repr(whole) + repr(whole.open(whole.seal(PAYLOAD)))

    assert "alice" not in shown
    assert SECRET not in shown
    assert "Key" not in shown
