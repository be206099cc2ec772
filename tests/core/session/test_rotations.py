"""The outcome of refreshes is remembered for ten minutes, under a hash, and bounded."""

from __future__ import annotations

from auth0_tx.core.session.refresh_outcome import RefreshOutcome
from auth0_tx.core.session.rotations import LONGEST_MEMORY, Rotations, refresh_key
from auth0_tx.errors import RefusedError
from auth0_tx.values import TokenExchangeResponse

PROCESS_KEY = b"k" * 32
OUTCOME = RefreshOutcome(
    None,
    "openid",
    TokenExchangeResponse(access_token="at-2", token_type="Bearer"),
    {"sub": "auth0|alice"},
    7.0,
)


def test_remembered() -> None:
    """Callers that come a moment later get the tokens of the refresh."""
    rotations = Rotations()
    rotations.add(b"a", OUTCOME, 100.0)

    assert OUTCOME is rotations.get(b"a", 100.0)
    assert OUTCOME is rotations.get(b"a", 100.0 + LONGEST_MEMORY - 0.001)
    assert rotations.get(b"b", 100.0) is None


def test_forgotten() -> None:
    """An outcome is forgotten after ten minutes, and stays forgotten."""
    rotations = Rotations()
    rotations.add(b"a", OUTCOME, 100.0)

    assert rotations.get(b"a", 100.0 + LONGEST_MEMORY) is None
    assert rotations.get(b"a", 100.0) is None


def test_refusal() -> None:
    """A refusal is remembered in the same way."""
    rotations, refusal = Rotations(), RefusedError("no", "invalid_grant", 403)
    rotations.add(b"a", refusal, 0.0)

    assert refusal is rotations.get(b"a", 1.0)


def test_newest_counts() -> None:
    """The last outcome of a token counts."""
    rotations = Rotations()
    rotations.add(b"a", RefusedError("no", "invalid_grant", 403), 0.0)
    rotations.add(b"a", OUTCOME, 50.0)

    assert OUTCOME is rotations.get(b"a", 50.0 + LONGEST_MEMORY - 1)


def test_bounded() -> None:
    """About a thousand outcomes are remembered, and the oldest is forgotten first."""
    rotations = Rotations()
    for number in range(1_025):
        rotations.add(b"%d" % number, OUTCOME, 0.0)

    assert rotations.get(b"0", 0.0) is None
    assert OUTCOME is rotations.get(b"1", 0.0)
    assert OUTCOME is rotations.get(b"1024", 0.0)


def test_key() -> None:
    """A token's key differs from other tokens' and from other processes'."""
    key = refresh_key(PROCESS_KEY, "rt-1")

    assert key == refresh_key(PROCESS_KEY, "rt-1")
    assert key != refresh_key(PROCESS_KEY, "rt-2")
    assert key != refresh_key(b"l" * 32, "rt-1")
    assert 32 == len(key)
    assert b"rt-1" not in key


def test_prints_no_token() -> None:
    """An outcome prints neither a token nor who its user is."""
    assert "at-2" not in repr(OUTCOME)
    assert "alice" not in repr(OUTCOME)
