"""Claims that several kinds of token share: who acts for whom, and until when."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.jose.claims import (
    MAX_ACTORS,
    actor_chain,
    check_actors,
    is_date,
    read_claimed_expiry,
)
from auth0_tx.core.session.state import is_whole_date
from auth0_tx.errors import InvalidInputError
from tests.core.exposure import collect_texts
from tests.core.vectors_tokens import encode


def build_actors(depth: int) -> dict[str, Any]:
    """Return an act claim of *depth* actors, the current one with the highest number."""
    act: dict[str, Any] = {"sub": "actor 1"}
    for number in range(2, depth + 1):
        act = {"sub": f"actor {number}", "act": act}
    return act


def test_nobody() -> None:
    """Without the claim nobody acts."""
    assert () == actor_chain(None)


def test_rfc_8693_figure_6() -> None:
    """The outermost actor is the current one, and the innermost came first."""
    act = {
        "sub": "https://service16.example.com",
        "act": {"sub": "https://service77.example.com"},
    }

    assert (
        {"sub": "https://service16.example.com"},
        {"sub": "https://service77.example.com"},
    ) == actor_chain(act)


def test_other_members() -> None:
    """An actor keeps its other members, and the claim itself is not changed."""
    act = {"sub": "a", "role": "support", "act": {"sub": "b", "sub_profile": "human"}}

    chain = actor_chain(act)
    assert ({"sub": "a", "role": "support"}, {"sub": "b", "sub_profile": "human"}) == (
        chain
    )
    chain[0]["role"] = "admin"
    assert {"sub": "b", "sub_profile": "human"} == act["act"]
    assert "support" == act["role"]


@pytest.mark.parametrize("depth", range(1, MAX_ACTORS + 1))
def test_depth(depth: int) -> None:
    """A chain of up to eight actors is read whole, the current one first."""
    assert [f"actor {number}" for number in range(depth, 0, -1)] == [
        actor["sub"] for actor in actor_chain(build_actors(depth))
    ]


CIRCLE: dict[str, Any] = {"sub": "a"}
CIRCLE["act"] = CIRCLE

MALFORMED: dict[str, Any] = {
    "a string": "auth0|agent",
    "a list": [{"sub": "a"}],
    "a number": 7,
    "an empty object": {},
    "no sub": {"role": "support"},
    "sub is null": {"sub": None},
    "sub is empty": {"sub": ""},
    "sub is a number": {"sub": 7},
    "sub is a list": {"sub": ["a"]},
    "nested string": {"sub": "a", "act": "b"},
    "nested without sub": {"sub": "a", "act": {"role": "b"}},
    "nine deep": build_actors(MAX_ACTORS + 1),
    "ninety deep": build_actors(90),
    "without end": CIRCLE,
}


@pytest.mark.parametrize("act", MALFORMED.values(), ids=MALFORMED)
def test_malformed(act: Any) -> None:
    """A claim with an unnamed actor at any level is refused as a whole."""
    with pytest.raises(InvalidInputError) as refused:
        actor_chain(act)

    assert "act" == refused.value.parameter
    assert refused.value.message == check_actors(act)


def test_null() -> None:
    """An actor whose own ``act`` is null acts for nobody else."""
    assert ({"sub": "a"},) == actor_chain({"sub": "a", "act": None})


def test_error_shows_nothing() -> None:
    """The error does not say who acted."""
    with pytest.raises(InvalidInputError) as refused:
        actor_chain({"sub": "hidden-actor", "act": {"role": "hidden-role"}})

    assert "hidden" not in collect_texts(refused.value)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: st.dictionaries(st.sampled_from(["sub", "act", "role"]), inner),
    )
)
def test_any_claim(act: Any) -> None:
    """Any value is a chain of actors with names, or refused."""
    if act is not None and check_actors(act) is not None:
        with pytest.raises(InvalidInputError):
            actor_chain(act)
    else:
        assert all(actor["sub"] and "act" not in actor for actor in actor_chain(act))


def build_jwt(claims: Any) -> str:
    """Build a JWT whose signature nobody verifies."""
    return f"e30.{encode(json.dumps(claims).encode())}.c2ln"


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (None, inf),
        ("opaque", inf),
        ("a.b.c", inf),
        ("a.b.c.d.e", inf),
        (build_jwt({"sub": "alice"}), inf),
        (build_jwt([]), inf),
        (build_jwt({"exp": 1_700_000_000}), 1_700_000_000),
        (build_jwt({"exp": 1_700_000_000.5}), 1_700_000_000.5),
        (build_jwt({"exp": True}), 0),
        (build_jwt({"exp": "tomorrow"}), 0),
        (build_jwt({"exp": None}), inf),
        (build_jwt({"exp": -1}), 0),
        (build_jwt({"exp": 10**400}), 0),
        (build_jwt({"exp": float("nan")}), 0),
    ],
    ids=lambda value: str(value)[-12:],
)
def test_claimed_expiry(token: str | None, expected: float) -> None:
    """A JWT expires at its ``exp``; one whose ``exp`` is not a date may have expired."""
    assert expected == read_claimed_expiry(token)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, (True, True)),
        (253_402_300_799, (True, True)),
        (1.5, (True, False)),
        (253_402_300_800, (False, False)),
        (-1, (False, False)),
        (True, (False, False)),
        (inf, (False, False)),
        ("1", (False, False)),
        (None, (False, False)),
    ],
    ids=repr,
)
def test_date(value: object, expected: tuple[bool, bool]) -> None:
    """A date is a number of seconds up to the year 9999, and some are whole."""
    assert expected == (is_date(value), is_whole_date(value))
