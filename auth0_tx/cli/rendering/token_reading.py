"""Reading a token that nobody has verified, for people to look at.

The parts are decoded strictly, with the rules of the JOSE RFCs, so that what is shown is
what a verifier would see: a token with two ``sub`` members is reported, not shown with one
of them. Whatever the text is, nothing is raised: :func:`read_token` classifies it as far as
it can be read, and says in ``reason`` why it is not a JWT.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from typing import Any, Literal

import attrs

from ...core.jose.claims import check_actors
from ...core.wire.reading import read_json

Kind = Literal["JWT", "JWS", "JWE", "opaque"]

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_SCHEME = re.compile(r"(?:bearer|dpop)[ \t]+", re.I).match


@attrs.frozen(kw_only=True)
class ReadToken:
    """A token's parts, as far as they can be read.

    Attributes:
        kind: ``JWT``; ``JWS`` if it signs anything but claims; ``JWE`` if it is encrypted;
            ``opaque`` otherwise.
        length: its number of characters.
        header: the JOSE header; ``None`` for an opaque token.
        claims: the claims of a JWT.
        reason: why it is not a JWT.
        notes: warnings about it.
    """

    kind: Kind
    length: int
    header: dict[str, Any] | None = None
    claims: dict[str, Any] | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def act(self) -> dict[str, Any] | None:
        """The ``act`` claim, if there is a valid one."""
        act = (self.claims or {}).get("act")
        return act if isinstance(act, dict) and check_actors(act) is None else None


def read_token(text: str) -> ReadToken:
    """Read *text* as a token; white space and a scheme around it become notes."""
    notes = []
    token = text.strip()
    if token != text:
        notes.append(
            "there is white space around the token; an exchange would refuse it"
        )
    scheme = _SCHEME(token)
    if scheme:
        token = token[scheme.end() :]
        notes.append("the scheme before the token is not part of it; remove it")
    parts = token.split(".")
    if len(parts) not in (3, 5):
        reason = "it has neither the three parts of a JWT nor the five of a JWE"
        return _make_opaque(token, reason, notes)
    header, problem = _read_object(parts[0])
    if header is None:
        return _make_opaque(
            token, f"its first part is not a JOSE header: {problem}", notes
        )
    if len(parts) == 5:
        return ReadToken(
            kind="JWE",
            length=len(token),
            header=header,
            reason="it is encrypted; only the holder of the key can read its claims",
            notes=tuple(notes),
        )
    claims, problem = _read_object(parts[1])
    if claims is None:
        return ReadToken(
            kind="JWS",
            length=len(token),
            header=header,
            reason=f"its payload is not a set of claims: {problem}",
            notes=tuple(notes),
        )
    notes += _list_notes(header, claims, parts[2])
    return ReadToken(
        kind="JWT", length=len(token), header=header, claims=claims, notes=tuple(notes)
    )


def describe_token(token: str) -> str:
    """Say what *token* is without showing any of it."""
    read = read_token(token)
    return f"{read.kind}, {read.length:,} characters"


def _make_opaque(token: str, reason: str, notes: list[str]) -> ReadToken:
    return ReadToken(
        kind="opaque", length=len(token), reason=reason, notes=tuple(notes)
    )


def _list_notes(
    header: dict[str, Any], claims: dict[str, Any], signature: str
) -> list[str]:
    notes = []
    algorithm = header.get("alg")
    # RFC 8725 section 3.2: libraries have accepted "None" and "nOnE" after a check for
    # "none", so the case does not count, nor does what the last part contains.
    if isinstance(algorithm, str) and algorithm.lower() == "none":
        notes.append("alg is none: anyone could have made this token")
    elif not signature:
        notes.append("it has no signature: anyone could have made this token")
    if "act" in claims:
        problem = check_actors(claims["act"])
        if problem is not None:
            notes.append(f"the act claim is not valid: {problem}")
    return notes


def _read_object(part: str) -> tuple[dict[str, Any] | None, str]:
    # RFC 7515 section 2: base64url without padding. Four characters make three octets,
    # so no encoder leaves a single character over.
    if not _BASE64URL(part) or len(part) % 4 == 1:
        return None, "it is not base64url"
    value, problem = read_json(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if problem is not None:
        return None, f"it {problem}"
    return (value, "") if isinstance(value, dict) else (None, "it is not a JSON object")
