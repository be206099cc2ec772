"""`auth0-tx inspect`, run."""

from __future__ import annotations

from pathlib import Path

import pytest

from auth0_tx.cli.rendering.token_report import NOT_VERIFIED
from tests.cli.command_runs import InProcess, jwt

TOKEN = jwt({"sub": "auth0|alice", "exp": 1_700_000_000})
OPAQUE = "opaque-token-that-is-a-secret"


def test_from_stdin(command: InProcess) -> None:
    """A token on standard input is decoded, and marked as not verified."""
    outcome = command("inspect", stdin=f"{TOKEN}\n".encode())

    assert (0, "") == (outcome.status, outcome.err)
    assert NOT_VERIFIED in outcome.out
    assert "  sub  auth0|alice\n" in outcome.out
    assert "expired" in outcome.out
    assert [] == outcome.shown(TOKEN.split(".")[1])


def test_dash_is_stdin(command: InProcess) -> None:
    """A dash means standard input, even if the variable is set."""
    outcome = command(
        "inspect", "-", "--json", stdin=TOKEN.encode(), environ={"AUTH0_TX_TOKEN": "x"}
    )

    assert "JWT" == outcome.members["kind"]


def test_from_file(command: InProcess, tmp_path: Path) -> None:
    """A token in a file is decoded."""
    path = tmp_path / "token"
    path.write_text(TOKEN)

    assert "JWT" == command("inspect", str(path), "--json").members["kind"]


def test_from_variable(command: InProcess) -> None:
    """The token in the variable is decoded if no file is named."""
    outcome = command("inspect", "--json", environ={"AUTH0_TX_TOKEN": TOKEN})

    assert {"sub": "auth0|alice", "exp": 1_700_000_000} == outcome.members["claims"]
    assert outcome.members["expired"] is True


def test_opaque(command: InProcess) -> None:
    """An opaque token is called so, and not shown."""
    outcome = command("inspect", stdin=OPAQUE.encode())

    assert (0, []) == (outcome.status, outcome.shown(OPAQUE))
    assert outcome.out.startswith("An opaque token, 29 characters\n")


def test_no_token(command: InProcess) -> None:
    """A user at a terminal is told how to pass a token, and not left waiting."""
    outcome = command("inspect", terminal=True)

    assert (2, "") == (outcome.status, outcome.out)
    assert [
        "auth0-tx inspect: no token was passed",
        "hint: pass a file, pass - for standard input, or set AUTH0_TX_TOKEN",
    ] == outcome.err.splitlines()


@pytest.mark.parametrize(
    ("words", "environ", "what"),
    [
        ([], {}, "standard input is empty"),
        (["-"], {}, "standard input is empty"),
        ([], {"AUTH0_TX_TOKEN": " "}, "AUTH0_TX_TOKEN is empty"),
    ],
)
def test_empty(
    command: InProcess, words: list[str], environ: dict[str, str], what: str
) -> None:
    """An empty input is refused."""
    outcome = command("inspect", *words, stdin=b"\n", environ=environ)

    assert (2, f"auth0-tx inspect: {what}\n") == (outcome.status, outcome.err)


def test_token_as_file(command: InProcess) -> None:
    """A token where a file's name belongs is refused with advice, and not shown."""
    outcome = command("inspect", TOKEN, "--json")

    assert (2, []) == (outcome.status, outcome.shown(TOKEN))
    assert {
        "code": "usage",
        "message": "cannot read the file: No such file or directory",
        "hint": "the argument is a file's name, not a token; pass the token in a file, "
        "on standard input, or in AUTH0_TX_TOKEN",
    } == outcome.members["error"]


def test_hostile_claims(command: InProcess) -> None:
    """Control characters of a token never reach the terminal."""
    token = jwt({"sub": "\x1b[2J\x1b]0;title\x07", "a\x9b": "\u202e"}, {"kid": "\x1b"})
    outcome = command("inspect", stdin=token.encode(), terminal=False)

    assert [] == [
        char for char in outcome.out if not (char.isprintable() or char == "\n")
    ]


def test_colour_on_a_terminal(command: InProcess) -> None:
    """On a terminal headings are set off, unless NO_COLOR is set."""
    words = ("inspect", "-")
    painted = command(*words, stdin=TOKEN.encode(), terminal=True)
    plain = command(
        *words, stdin=TOKEN.encode(), terminal=True, environ={"NO_COLOR": "1"}
    )

    assert painted.out.startswith("\x1b[1mA JWT")
    assert "\x1b" not in plain.out


def test_ascii_terminal(command: InProcess) -> None:
    """A stream whose encoding is ASCII gets a tree in ASCII."""
    token = jwt({"sub": "Zoë", "act": {"sub": "agent"}})
    outcome = command("inspect", stdin=token.encode(), encoding="ascii")

    assert "  `- Zo\\xeb  subject" in outcome.out
