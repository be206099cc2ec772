"""A token as text and as JSON, and the ``act`` claim as a tree."""

from __future__ import annotations

import pytest

from auth0_tx import InvalidInputError
from auth0_tx.cli.rendering.style import RichStyle, Style
from auth0_tx.cli.rendering.token_reading import read_token
from auth0_tx.cli.rendering.token_report import (
    NOT_VERIFIED,
    format_actors,
    format_token,
    token_to_json,
)
from tests.cli.command_runs import encode, jwt

NOW = 1_700_000_000
CLAIMS = {
    "iss": "https://tenant.example.com/",
    "sub": "auth0|alice",
    "aud": ["https://api.example.com", "other"],
    "iat": NOW - 180,
    "exp": NOW + 23 * 3600,
    "act": {"sub": "agent|copilot", "act": {"sub": "auth0|support_agent"}},
}
CHAIN = {"sub": "agent|copilot", "act": {"sub": "auth0|support_agent"}}


def test_jwt_text() -> None:
    """A JWT is shown as not verified, with header, claims, dates in words, and actors."""
    token = jwt(CLAIMS)

    assert f"""\
A JWT, {len(token)} characters
{NOT_VERIFIED}

Header
  alg  RS256
  typ  JWT

Claims
  iss  https://tenant.example.com/
  sub  auth0|alice
  aud  ["https://api.example.com", "other"]
  iat  1699999820  issued 3 minutes ago, 2023-11-14 22:10:20 UTC
  exp  1700082800  expires in 23 hours, 2023-11-15 21:13:20 UTC
  act  {{"sub": "agent|copilot", "act": {{"sub": "auth0|support_agent"}}}}

Actors
  agent|copilot           current actor
  └─ auth0|support_agent  earlier actor
     └─ auth0|alice       subject""" == format_token(read_token(token), NOW, Style())


def test_opaque_text() -> None:
    """An opaque token is called opaque, and nothing of it is shown."""
    assert """\
An opaque token, 6 characters
It has neither the three parts of a JWT nor the five of a JWE.
Only the server that issued it can tell what it stands for.""" == format_token(
        read_token("secret"), NOW, Style()
    )


def test_jwe_text() -> None:
    """An encrypted token shows its header, and why its claims are missing."""
    token = f"{encode({'alg': 'dir'})}..a.b.c"

    assert f"""\
An encrypted token (JWE), {len(token)} characters
{NOT_VERIFIED}
It is encrypted; only the holder of the key can read its claims.

Header
  alg  dir""" == format_token(read_token(token), NOW, Style())


def test_notes_text() -> None:
    """Notes come before what they are about."""
    lines = format_token(read_token(f"Bearer {jwt({})}"), NOW, Style()).split("\n")

    assert "Note: the scheme before the token is not part of it; remove it." == lines[2]


def test_expiry_is_red() -> None:
    """An expiry that has passed is set off from dates that explain."""
    read = read_token(jwt({"exp": NOW - 180, "iat": NOW}))
    text = format_token(read, NOW, RichStyle(width=200))

    assert "\x1b[31mexpired 3 minutes ago, 2023-11-14 22:10:20 UTC\x1b[0m" in text
    assert "\x1b[2missued just now, 2023-11-14 22:13:20 UTC\x1b[0m" in text


def test_jwt_members() -> None:
    """As JSON, a token has its parts, its dates in words, and its actors in a list."""
    token = jwt(CLAIMS)

    assert {
        "verified": False,
        "kind": "JWT",
        "length": len(token),
        "reason": None,
        "notes": [],
        "header": {"alg": "RS256", "typ": "JWT"},
        "claims": CLAIMS,
        "times": {
            "exp": "expires in 23 hours, 2023-11-15 21:13:20 UTC",
            "iat": "issued 3 minutes ago, 2023-11-14 22:10:20 UTC",
        },
        "expired": False,
        "actors": [{"sub": "agent|copilot"}, {"sub": "auth0|support_agent"}],
    } == token_to_json(read_token(token), NOW)


def test_expired_member() -> None:
    """A token has expired at its exp, no second later; without one it is not known."""
    assert token_to_json(read_token(jwt({"exp": NOW})), NOW)["expired"] is True
    assert token_to_json(read_token(jwt({"exp": NOW + 1})), NOW)["expired"] is False
    assert token_to_json(read_token(jwt({"exp": "soon"})), NOW)["expired"] is None


def test_actors() -> None:
    """The current actor is first, those before it below, the subject last."""
    assert [
        "  agent|copilot           current actor",
        "  └─ auth0|support_agent  earlier actor",
        "     └─ auth0|alice       subject",
    ] == format_actors(CHAIN, "auth0|alice", Style())


def test_actors_without_subject() -> None:
    """A token without a sub has a tree of actors only."""
    assert ["  agent|copilot  current actor"] == format_actors(
        {"sub": "agent|copilot"}, None, Style()
    )


def test_actors_without_unicode() -> None:
    """Where the encoding has no lines, the tree is drawn in ASCII."""
    assert "  `- auth0|support_agent  earlier actor" == format_actors(
        CHAIN, "auth0|alice", Style(unicode=False)
    )[1].replace("           ", "  ")


def test_properties_of_an_actor() -> None:
    """An actor's other properties stand beside its name."""
    act = {"sub": "agent|copilot", "team": "support", "level": 3}

    assert [
        "  agent|copilot (team: support, level: 3)  current actor"
    ] == format_actors(act, None, Style())


def test_control_characters_of_an_actor() -> None:
    """A name that would move the cursor is shown as JSON."""
    (line,) = format_actors({"sub": "a\x1b[2J", "b\r": "\u202e"}, None, Style())

    assert '  "a\\u001b[2J" (b\\r: "\\u202e")  current actor' == line


def test_one_long_actor_does_not_push_all() -> None:
    """A name longer than a line stands out, and the others stay where they were."""
    lines = format_actors({"sub": "a" * 100}, "auth0|alice", Style())

    assert f"  {'a' * 100}  current actor" == lines[0]
    assert 66 == lines[1].index("subject")


def test_invalid_act() -> None:
    """A claim that is not a valid ``act`` is refused."""
    with pytest.raises(InvalidInputError):
        format_actors({"name": "x"}, None, Style())
