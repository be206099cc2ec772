"""Sealed payloads open with the right secret and purpose, and not otherwise."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.jose.keys import decode_base64url
from auth0_tx.core.session.seal import (
    MAX_SEALED_LENGTH,
    SLOTS,
    Opened,
    Sealer,
    sealer,
)

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
    whole, one, two = make_sealer(), b"1" * 43, b"2" * 43
    sealed = whole.seal(PAYLOAD, one)

    assert Opened(PAYLOAD, True) == whole.open(sealed, one)
    assert Opened(PAYLOAD, True) == make_sealer().open(sealed, one)
    assert whole.open(sealed, two) is None
    assert whole.open(sealed) is None
    assert whole.open(whole.seal(PAYLOAD), one) is None


def test_without_secret() -> None:
    """A session's id alone makes a key if the application has no secret."""
    whole, one, two = sealer(("",), PURPOSE), b"1" * 43, b"2" * 43

    assert Opened(PAYLOAD, True) == whole.open(whole.seal(PAYLOAD, one), one)
    assert whole.open(whole.seal(PAYLOAD, one), two) is None


APPLICATIONS = [
    (issuer, client_id)
    for issuer in ("https://a/", "https://a/b", "https://")
    for client_id in ("b", "", "bb", "a/b", "https://a/")
]


@pytest.mark.parametrize("salt", [b"", b"1" * 43])
def test_application(salt: bytes) -> None:
    """A text sealed for one application opens for no other with the same secret."""
    for application in APPLICATIONS:
        sealed = sealer((SECRET,), PURPOSE, application).seal(PAYLOAD, salt)
        for other in APPLICATIONS:
            whole = sealer((SECRET,), PURPOSE, other)
            opened = whole.open(sealed, salt)
            assert (Opened(PAYLOAD, True) if other == application else None) == opened
            assert whole.is_foreign(sealed) is (other != application)


def test_foreign() -> None:
    """What another application with one of our secrets sealed is told from junk."""
    ours = sealer((SECRET, OLD_SECRET), PURPOSE, ("https://a/", "ours"))
    theirs = sealer((OLD_SECRET,), PURPOSE, ("https://a/", "theirs"))
    sealed = theirs.seal(PAYLOAD)
    unrelated = sealer(("a secret of somebody else's, long enough",), PURPOSE, ("", ""))

    assert [False, True] == [each.is_own(sealed) for each in (ours, theirs)]
    assert ours.is_own(ours.seal(PAYLOAD))
    assert not ours.is_own("")
    assert ours.is_foreign(sealed)
    # A tampered one says so as well: it is a hint.
    assert ours.is_foreign(sealed[:-2])
    assert not ours.is_foreign(ours.seal(PAYLOAD))
    assert not ours.is_foreign(ours.seal(PAYLOAD)[:-2])
    assert not ours.is_foreign(sealer((SECRET,), "vault", ("", "")).seal(PAYLOAD))
    assert not ours.is_foreign(unrelated.seal(PAYLOAD))
    assert not ours.is_foreign("")
    assert not ours.is_foreign("eyJhbGciOiJkaXIifQ....")


def test_slots() -> None:
    """Texts are spread over 256 keys at random, each with a header of its own."""
    whole = make_sealer()
    sealed = [whole.seal(PAYLOAD) for _ in range(6_000)]
    headers = {text.partition(".")[0] for text in sealed}
    kids = {json.loads(decode_base64url(header) or b"")["kid"] for header in headers}

    # That one of 256 is missing after so many has a chance of 1 in 60 million.
    assert SLOTS == len(headers) == len({kid.rpartition(".")[2] for kid in kids})
    assert 1 == len({kid.rpartition(".")[0] for kid in kids})
    assert all(Opened(PAYLOAD, True) == make_sealer().open(text) for text in sealed[:9])


def test_slots_are_apart() -> None:
    """A text does not open with the key of another slot."""
    whole = make_sealer()
    (one, *_), (two, *_) = (whole.seal(PAYLOAD).split(".", 1) for _ in range(2))
    while one == two:
        two = whole.seal(PAYLOAD).partition(".")[0]
    sealed = whole.seal(PAYLOAD)
    header, _, rest = sealed.partition(".")
    other = one if one != header else two

    assert whole.open(sealed) is not None
    assert whole.open(f"{other}.{rest}") is None


def test_keys_of_slots() -> None:
    """Each slot has a key of its own: a text opens with no other, whatever its header says."""
    (ring,) = make_sealer()._rings
    one = ring.get_key(0, b"")
    for slot in range(1, SLOTS):
        other = attrs.evolve(ring.get_key(slot, b""), header=one.header)
        assert other.decrypt(one.encrypt(PAYLOAD)) is None
    assert PAYLOAD == one.decrypt(one.encrypt(PAYLOAD))


def test_headers_that_are_not_ours() -> None:
    """A header that differs from ours in any way is refused, undecoded."""
    header, _, rest = make_sealer().seal(PAYLOAD).partition(".")
    members = json.loads(decode_base64url(header) or b"")
    head, _, slot = members["kid"].rpartition(".")
    kids = [
        *(
            f"{head}.{text}"
            for text in (slot.upper() + "G", "100", "0", "", "zz", " 1")
        ),
        f"{head}.{slot}.",
        f"{head}{slot}",
        slot,
    ]
    others = [
        *({**members, "kid": kid} for kid in kids),
        {**members, "zip": "DEF"},
        {**members, "alg": "A256KW"},
        {"kid": members["kid"], "alg": "dir", "enc": "A256GCM"},
    ]
    for other in others:
        text = json.dumps(other, separators=(",", ":")).encode()
        encoded = urlsafe_b64encode(text).rstrip(b"=").decode()
        assert make_sealer().open(f"{encoded}.{rest}") is None
    assert make_sealer().open(f"{header}=.{rest}") is None
    assert make_sealer().open(f"{header}{rest}") is None
    assert make_sealer().open(header) is None


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
    """Anything but a string does not open, and is nobody's."""
    assert make_sealer().open(sealed) is None
    assert not make_sealer().is_foreign(sealed)


@given(
    st.text()
    | st.text(alphabet="AQgw-_.=").map(lambda t: f"{make_sealer().seal(b'')}{t}.")
)
def test_any_text(text: str) -> None:
    """Any text opens or returns ``None``, and nothing is raised."""
    assert make_sealer().open(text) is None
    assert not make_sealer().is_foreign(text)


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
