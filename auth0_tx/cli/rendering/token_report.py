"""What `inspect` says of a token: that nothing was verified, and all that it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.jose.claims import actor_chain
from .actor_tree import actor_tree
from .plain import rows, value_text
from .style import Style
from .times import DATES, as_date, date_words
from .token_reading import ReadToken

NOT_VERIFIED = (
    "Not verified: nothing below is proven, neither who made it nor for whom."
)

_TITLES = {
    "JWT": "A JWT",
    "JWS": "A signed token (JWS) that is no JWT",
    "JWE": "An encrypted token (JWE)",
    "opaque": "An opaque token",
}
_WHO_KNOWS = "Only the server that issued it can say what it stands for."


def token_text(token: ReadToken, now: float, style: Style) -> str:
    """Set out a token for reading.

    Args:
        token: as it was read.
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
        lines.append(_WHO_KNOWS)
    lines += [style.warning(f"Note: {note}.") for note in token.notes]
    if token.header is not None:
        lines += ["", style.strong("Header"), *claim_rows(token.header, None, style)]
    if token.claims is not None:
        lines += ["", style.strong("Claims"), *claim_rows(token.claims, now, style)]
    if token.act is not None:
        tree = actor_tree(token.act, (token.claims or {}).get("sub"), style)
        lines += ["", style.strong("Who acts"), *tree]
    return "\n".join(lines)


def claim_rows(
    claims: Mapping[str, Any], now: float | None, style: Style, indent: int = 2
) -> list[str]:
    """Set out members in rows, with dates in words where the time is given."""
    return rows(
        [(name, _claim(name, value, now, style)) for name, value in claims.items()],
        style,
        indent,
    )


def token_members(token: ReadToken, now: float) -> dict[str, Any]:
    """Give what ``--json`` says of a token.

    Args:
        token: as it was read.
        now: epoch seconds.
    """
    claims = token.claims or {}
    expires = as_date(claims.get("exp"))
    return {
        "verified": False,
        "kind": token.kind,
        "length": token.length,
        "reason": token.reason,
        "notes": list(token.notes),
        "header": token.header,
        "claims": token.claims,
        "times": {
            name: date_words(name, claims[name], now)
            for name in DATES
            if name in claims
        },
        # RFC 7519 section 4.1.4: on or after exp it must not be accepted.
        "expired": None if expires is None else expires <= now,
        "actors": list(actor_chain(token.act)),
    }


def _claim(name: str, value: object, now: float | None, style: Style) -> str:
    text = value_text(value)
    if now is None or name not in DATES:
        return text
    words = date_words(name, value, now)
    date = as_date(value)
    if name == "exp" and date is not None and date <= now:
        return f"{text}  {style.bad(words)}"
    return f"{text}  {style.faint(words)}"
