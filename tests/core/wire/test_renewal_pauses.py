"""The pauses between tokens that replace those an API refused."""

from __future__ import annotations

from auth0_tx.core.wire.renewal_pauses import (
    LONGEST_RENEWAL_PAUSE,
    SHORTEST_RENEWAL_PAUSE,
    RenewalPauses,
)


def test_pause() -> None:
    """After a token was replaced, the next one is not replaced for half a minute."""
    pauses = RenewalPauses()

    assert pauses.may_renew(b"a", 0.0)
    pauses.note_renewal(b"a", 0.0)
    assert not pauses.may_renew(b"a", SHORTEST_RENEWAL_PAUSE - 1)
    assert pauses.may_renew(b"b", SHORTEST_RENEWAL_PAUSE - 1)
    assert pauses.may_renew(b"a", SHORTEST_RENEWAL_PAUSE)


def test_pause_is_noted_once() -> None:
    """Of several who note the same renewal the first one counts."""
    pauses = RenewalPauses()
    for now in (0.0, 1.0, 2.0):
        pauses.note_renewal(b"a", now)

    assert pauses.may_renew(b"a", SHORTEST_RENEWAL_PAUSE)


def test_pauses_grow() -> None:
    """While every token is refused, each pause is twice as long, up to a quarter of an hour."""
    pauses, now, lengths = RenewalPauses(), 0.0, []
    for _ in range(8):
        pauses.note_renewal(b"a", now)
        begun = now
        while not pauses.may_renew(b"a", now):
            now += 1.0
        lengths.append(now - begun)

    assert [30.0, 60.0, 120.0, 240.0, 480.0] == lengths[:5]
    assert [LONGEST_RENEWAL_PAUSE] * 3 == lengths[5:]


def test_pauses_start_over() -> None:
    """A token that served for longer than the pause was makes the next pause short again."""
    pauses = RenewalPauses()
    pauses.note_renewal(b"a", 0.0)
    pauses.note_renewal(b"a", 30.0)
    pauses.note_renewal(b"a", 90.0 + 60.0)

    assert pauses.may_renew(b"a", 150.0 + SHORTEST_RENEWAL_PAUSE)
