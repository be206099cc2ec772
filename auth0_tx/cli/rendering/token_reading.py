"""What a token says of itself, read and not verified.

Nothing is raised, whatever the text is.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from typing import Any, Literal

import attrs

from ...core.jose.claims import actor_problem
from ...core.wire.reading import read_json

Kind = Literal["JWT", "JWS", "JWE", "opaque"]

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_SCHEME = re.compile(r"(?:bearer|dpop)[ \t]+", re.I).match


@attrs.frozen(kw_only=True)
class ReadToken:
    """A token's parts, as far as they can be read.

    Attributes:
        kind: ``JWT``; ``JWS`` for one that signs something else than claims; ``JWE``
            for one that is encrypted; ``opaque`` for all others.
        length: its characters.
        header: of any but an opaque one.
        claims: of a JWT.
        reason: why it is no JWT.
        notes: what to mind.
    """

    kind: Kind
    length: int
    header: dict[str, Any] | None = None
    claims: dict[str, Any] | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def act(self) -> dict[str, Any] | None:
        """Give the ``act`` claim, where there is one that holds together."""
        act = (self.claims or {}).get("act")
        return act if isinstance(act, dict) and actor_problem(act) is None else None


def read_token(text: str) -> ReadToken:
    """Read *text* as a token, forgiving white space and a scheme around it."""
    notes = []
    token = text.strip()
    if token != text:
        notes.append("there is white space around the token; an exchange refuses it")
    scheme = _SCHEME(token)
    if scheme:
        token = token[scheme.end() :]
        notes.append("the scheme in front is not part of the token; leave it out")
    parts = token.split(".")
    if len(parts) not in (3, 5):
        reason = "it has neither the three parts of a JWT nor the five of a JWE"
        return _opaque(token, reason, notes)
    header, problem = _object(parts[0])
    if header is None:
        return _opaque(token, f"its first part is no JOSE header: {problem}", notes)
    if len(parts) == 5:
        return ReadToken(
            kind="JWE",
            length=len(token),
            header=header,
            reason="it is encrypted; only who has the key can read its claims",
            notes=tuple(notes),
        )
    claims, problem = _object(parts[1])
    if claims is None:
        return ReadToken(
            kind="JWS",
            length=len(token),
            header=header,
            reason=f"its second part is no claims: {problem}",
            notes=tuple(notes),
        )
    notes += _notes_of(header, claims, parts[2])
    return ReadToken(
        kind="JWT", length=len(token), header=header, claims=claims, notes=tuple(notes)
    )


def description(token: str) -> str:
    """Say what *token* is without showing it."""
    read = read_token(token)
    return f"{read.kind}, {read.length:,} characters"


def _opaque(token: str, reason: str, notes: list[str]) -> ReadToken:
    return ReadToken(
        kind="opaque", length=len(token), reason=reason, notes=tuple(notes)
    )


def _notes_of(
    header: dict[str, Any], claims: dict[str, Any], signature: str
) -> list[str]:
    notes = []
    algorithm = header.get("alg")
    # RFC 8725 section 3.2: "none" in any case, and whatever the last part holds.
    if isinstance(algorithm, str) and algorithm.lower() == "none":
        notes.append("alg is none: anybody could have made this token")
    elif not signature:
        notes.append("it has no signature: anybody could have made this token")
    if "act" in claims:
        problem = actor_problem(claims["act"])
        if problem is not None:
            notes.append(f"the act claim does not hold: {problem}")
    return notes


def _object(part: str) -> tuple[dict[str, Any] | None, str]:
    # RFC 7515 section 2: base64url without padding; none leaves one character over.
    if not _BASE64URL(part) or len(part) % 4 == 1:
        return None, "it is not base64url"
    value, problem = read_json(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if problem is not None:
        return None, f"it {problem}"
    return (value, "") if isinstance(value, dict) else (None, "it is not a JSON object")
