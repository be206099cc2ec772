"""A token as text and as JSON: what it is, its header, its claims, and who acts.

Every report that shows claims or actors uses this module: ``inspect`` for a whole token,
``exchange`` and ``demo`` for what came back. The text of an unverified token says so before
its first claim, because anyone can write any claims into a JWT.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.jose.claims import actor_chain
from .style import Style
from .text import format_rows, format_value, make_printable
from .times import DATES, describe_date, parse_date
from .token_reading import ReadToken

NOT_VERIFIED = (
    "Not verified: nobody has checked the signature, so do not trust the claims."
)

_TITLES = {
    "JWT": "A JWT",
    "JWS": "A signed token (JWS), but not a JWT",
    "JWE": "An encrypted token (JWE)",
    "opaque": "An opaque token",
}
_OPAQUE_ADVICE = "Only the server that issued it can tell what it stands for."

# Beyond this column a long name stands out, instead of moving all roles off the screen.
_ROLE_COLUMN = 64


def format_token(token: ReadToken, now: float, style: Style) -> str:
    """Format a token for reading.

    Args:
        token: the token, as far as it could be read.
        now: epoch seconds.
        style: how to set off the lines.
    """
    title = f"{_TITLES[token.kind]}, {token.length:,} characters"
    lines = [style.strong(title)]
    if token.header is not None:
        lines.append(style.warning(NOT_VERIFIED))
    if token.reason:
        lines += [f"{token.reason[0].upper()}{token.reason[1:]}."]
    if token.kind == "opaque":
        lines.append(_OPAQUE_ADVICE)
    lines += [style.warning(f"Note: {note}.") for note in token.notes]
    if token.header is not None:
        lines += ["", style.strong("Header"), *format_claims(token.header, None, style)]
    if token.claims is not None:
        lines += ["", style.strong("Claims"), *format_claims(token.claims, now, style)]
    if token.act is not None:
        tree = format_actors(token.act, (token.claims or {}).get("sub"), style)
        lines += ["", style.strong("Actors"), *tree]
    return "\n".join(lines)


def token_to_json(token: ReadToken, now: float) -> dict[str, Any]:
    """Return what ``--json`` shows of a token.

    Args:
        token: the token, as far as it could be read.
        now: epoch seconds.
    """
    claims = token.claims or {}
    expires = parse_date(claims.get("exp"))
    return {
        "verified": False,
        "kind": token.kind,
        "length": token.length,
        "reason": token.reason,
        "notes": list(token.notes),
        "header": token.header,
        "claims": token.claims,
        "times": {
            name: describe_date(name, claims[name], now)
            for name in DATES
            if name in claims
        },
        # RFC 7519 section 4.1.4: on or after exp it must not be accepted.
        "expired": None if expires is None else expires <= now,
        "actors": list(actor_chain(token.act)),
    }


def format_claims(
    claims: Mapping[str, Any], now: float | None, style: Style, indent: int = 2
) -> list[str]:
    """Format members in rows; with *now*, dates are explained in words."""
    return format_rows(
        [
            (name, _format_claim(name, value, now, style))
            for name, value in claims.items()
        ],
        style,
        indent,
    )


def _format_claim(name: str, value: object, now: float | None, style: Style) -> str:
    text = format_value(value)
    if now is None or name not in DATES:
        return text
    words = describe_date(name, value, now)
    date = parse_date(value)
    if name == "exp" and date is not None and date <= now:
        return f"{text}  {style.bad(words)}"
    return f"{text}  {style.faint(words)}"


def format_actors(
    act: Mapping[str, Any], subject: object, style: Style, indent: int = 2
) -> list[str]:
    """Draw the ``act`` claim as a tree: who acts now, who acted before, and for whom.

    RFC 8693 section 4.1: the outermost actor is the current one, and the only one that
    counts for access; those nested in it acted before, the earliest innermost.

    Args:
        act: the claim.
        subject: the token's ``sub``, for whom all of them act; ``None`` if it has none.
        style: how to set off the lines.
        indent: spaces before each line.

    Raises:
        InvalidInputError: *act* is not a valid ``act`` claim.
    """
    nodes = [
        (_format_actor(actor), "earlier actor" if level else "current actor")
        for level, actor in enumerate(actor_chain(act))
    ]
    if subject is not None:
        nodes.append((format_value(subject), "subject"))
    rows = []
    for level, (name, role) in enumerate(nodes):
        branch = "   " * (level - 1) + style.branch if level else ""
        rows.append((f"{' ' * indent}{branch}{name}", role))
    column = min(max(len(text) for text, _ in rows), _ROLE_COLUMN)
    return [f"{text.ljust(column)}  {style.faint(role)}" for text, role in rows]


def _format_actor(actor: Mapping[str, Any]) -> str:
    others = [
        f"{make_printable(name)}: {format_value(value)}"
        for name, value in actor.items()
        if name != "sub"
    ]
    details = f" ({', '.join(others)})" if others else ""
    return format_value(actor["sub"]) + details
