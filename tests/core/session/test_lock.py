"""The mark of a session's lock: behind the sealed text, and renewed beat by beat."""

from __future__ import annotations

import pytest

from auth0_tx.core.session.lock import (
    LOCK_SECONDS,
    LockWatches,
    first_mark,
    is_mark_of,
    next_mark,
    split_mark,
)

KEY = "session:of-alice"


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (b"ab_c.de-f", (b"ab_c.de-f", b"")),
        (b"abc~owner.7", (b"abc", b"~owner.7")),
        (b"abc~", (b"abc", b"~")),
        (b"abc~one.1~two.2", (b"abc", b"~one.1~two.2")),
        (b"", (b"", b"")),
    ],
)
def test_split(value: bytes, parts: tuple[bytes, bytes]) -> None:
    """A value is a sealed text, and a mark or nothing."""
    assert parts == split_mark(value)


def test_beats() -> None:
    """Each mark of an owner differs from the one before, and is the owner's."""
    marks = [first_mark(b"owner")]
    for _ in range(12):
        marks.append(next_mark(marks[-1]))

    assert (b"~owner.0", b"~owner.12") == (marks[0], marks[-1])
    assert all(is_mark_of(mark, b"owner") for mark in marks)
    assert not is_mark_of(marks[0], b"own")
    assert not is_mark_of(b"", b"owner")


def test_watch() -> None:
    """A lock is free without a mark, or if its mark stays the same for long enough."""
    watches = LockWatches()

    assert watches.is_free(KEY, b"", 0.0)
    assert not watches.is_free(KEY, b"~one.0", 100.0)
    assert not watches.is_free(KEY, b"~one.0", 100.0 + LOCK_SECONDS - 0.1)
    # The holder lives: its mark is another.
    assert not watches.is_free(KEY, b"~one.1", 100.0 + LOCK_SECONDS)
    assert not watches.is_free(KEY, b"~two.1", 100.0 + 2 * LOCK_SECONDS - 0.1)
    assert not watches.is_free(KEY, b"~two.1", 100.0 + 3 * LOCK_SECONDS - 0.2)
    assert watches.is_free(KEY, b"~two.1", 100.0 + 3 * LOCK_SECONDS - 0.1)
    # Nothing is known of another session's.
    assert not watches.is_free("session:of-bob", b"~two.1", 200.0)
