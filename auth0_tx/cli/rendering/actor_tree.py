"""The ``act`` claim as a tree: who acts now, for whom, down to the subject.

RFC 8693 section 4.1: the outermost actor is the current one; those nested in it acted
before, the earliest innermost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.jose.claims import actor_chain
from .plain import printable, value_text
from .style import Style


def actor_tree(
    act: Mapping[str, Any], subject: object, style: Style, indent: int = 2
) -> list[str]:
    """Draw the chain, the current actor first.

    Args:
        act: the claim.
        subject: the token's ``sub``, for whom all of them act; None if it has none.
        style: how to set off the lines.
        indent: spaces before each line.

    Raises:
        InvalidInputError: *act* is no such claim.
    """
    nodes = [
        (_named(actor), "earlier actor" if level else "current actor")
        for level, actor in enumerate(actor_chain(act))
    ]
    if subject is not None:
        nodes.append((value_text(subject), "subject"))
    drawn = [
        (
            " " * indent + ("   " * (level - 1) + style.branch if level else ""),
            name,
            role,
        )
        for level, (name, role) in enumerate(nodes)
    ]
    width = min(max(len(stem) + len(name) for stem, name, _ in drawn), 64)
    return [
        f"{stem}{name}{' ' * (width - len(stem) - len(name))}  {style.faint(role)}"
        for stem, name, role in drawn
    ]


def _named(actor: Mapping[str, Any]) -> str:
    others = [
        f"{printable(name)}: {value_text(value)}"
        for name, value in actor.items()
        if name != "sub"
    ]
    aside = f" ({', '.join(others)})" if others else ""
    return value_text(actor["sub"]) + aside
