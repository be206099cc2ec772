"""What `inspect` says of a token."""

from __future__ import annotations

from command_runs import encoded, jwt

from auth0_tx.cli.rendering.style import Style
from auth0_tx.cli.rendering.token_reading import read_token
from auth0_tx.cli.rendering.token_report import NOT_VERIFIED, token_members, token_text

NOW = 1_700_000_000
CLAIMS = {
    "iss": "https://tenant.example.com/",
    "sub": "auth0|alice",
    "aud": ["https://api.example.com", "other"],
    "iat": NOW - 180,
    "exp": NOW + 23 * 3600,
    "act": {"sub": "agent|copilot", "act": {"sub": "auth0|support_agent"}},
}


def test_jwt_text() -> None:
    """A JWT is set out: not verified, header, claims with dates in words, who acts."""
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

Who acts
  agent|copilot           current actor
  └─ auth0|support_agent  earlier actor
     └─ auth0|alice       subject""" == token_text(read_token(token), NOW, Style())


def test_opaque_text() -> None:
    """An opaque token is called opaque, and nothing of it is shown."""
    assert """\
An opaque token, 6 characters
It has neither the three parts of a JWT nor the five of a JWE.
Only the server that issued it can say what it stands for.""" == token_text(
        read_token("secret"), NOW, Style()
    )


def test_jwe_text() -> None:
    """An encrypted token shows its header, and why there is no more."""
    token = f"{encoded({'alg': 'dir'})}..a.b.c"

    assert f"""\
An encrypted token (JWE), {len(token)} characters
{NOT_VERIFIED}
It is encrypted; only who has the key can read its claims.

Header
  alg  dir""" == token_text(read_token(token), NOW, Style())


def test_notes_text() -> None:
    """Notes come before what they are about."""
    lines = token_text(read_token(f"Bearer {jwt({})}"), NOW, Style()).split("\n")

    assert (
        "Note: the scheme in front is not part of the token; leave it out." == lines[2]
    )


def test_expiry_is_red() -> None:
    """An expiry that has passed is set off from dates that explain."""
    read = read_token(jwt({"exp": NOW - 180, "iat": NOW}))
    text = token_text(read, NOW, Style(colour=True))

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
    } == token_members(read_token(token), NOW)


def test_expired_member() -> None:
    """A token has expired at its exp, no second later; without one it is not known."""
    assert token_members(read_token(jwt({"exp": NOW})), NOW)["expired"] is True
    assert token_members(read_token(jwt({"exp": NOW + 1})), NOW)["expired"] is False
    assert token_members(read_token(jwt({"exp": "soon"})), NOW)["expired"] is None
