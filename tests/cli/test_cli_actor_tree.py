"""The ``act`` claim as a tree."""

from __future__ import annotations

import pytest

from auth0_tx import InvalidInputError
from auth0_tx.cli.rendering.actor_tree import actor_tree
from auth0_tx.cli.rendering.style import Style

CHAIN = {"sub": "agent|copilot", "act": {"sub": "auth0|support_agent"}}


def test_chain() -> None:
    """The current actor is first, those before it below, the subject last."""
    assert [
        "  agent|copilot           current actor",
        "  └─ auth0|support_agent  earlier actor",
        "     └─ auth0|alice       subject",
    ] == actor_tree(CHAIN, "auth0|alice", Style())


def test_without_subject() -> None:
    """A token without a sub has a tree of actors only."""
    assert ["  agent|copilot  current actor"] == actor_tree(
        {"sub": "agent|copilot"}, None, Style()
    )


def test_without_unicode() -> None:
    """Where the encoding has no lines, the tree is drawn in ASCII."""
    assert "  `- auth0|support_agent  earlier actor" == actor_tree(
        CHAIN, "auth0|alice", Style(unicode=False)
    )[1].replace("           ", "  ")


def test_properties() -> None:
    """An actor's other properties stand beside its name."""
    act = {"sub": "agent|copilot", "team": "support", "level": 3}

    assert ["  agent|copilot (team: support, level: 3)  current actor"] == actor_tree(
        act, None, Style()
    )


def test_control_characters() -> None:
    """A name that would move the cursor is shown as JSON."""
    (line,) = actor_tree({"sub": "a\x1b[2J", "b\r": "\u202e"}, None, Style())

    assert '  "a\\u001b[2J" (b\\r: "\\u202e")  current actor' == line


def test_one_long_name_does_not_push_all() -> None:
    """A name longer than a line stands out, and the others stay where they were."""
    lines = actor_tree({"sub": "a" * 100}, "auth0|alice", Style())

    assert f"  {'a' * 100}  current actor" == lines[0]
    assert 66 == lines[1].index("subject")


def test_no_act() -> None:
    """What is no act claim is refused."""
    with pytest.raises(InvalidInputError):
        actor_tree({"name": "x"}, None, Style())
