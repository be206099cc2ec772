"""Reading the command line without ever repeating it."""

from __future__ import annotations

import argparse

import pytest

from auth0_tx.cli.arguments import parse_parameter, parse_port, parse_seconds
from auth0_tx.version import __version__
from tests.cli.command_runs import InProcess

NEEDLE = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhdXRoMHxhbGljZSJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "words",
    [
        [NEEDLE],
        ["--secret", NEEDLE],
        [f"--{NEEDLE}"],
        [f"--version={NEEDLE}"],
        ["demo", NEEDLE],
        ["demo", f"--json={NEEDLE}"],
        ["demo", f"--token={NEEDLE}"],
        ["tenant", "--port", NEEDLE],
        ["tenant", "--no-tls", NEEDLE],
        ["tenant", f"--no-tls={NEEDLE}"],
        ["inspect", NEEDLE],
        ["inspect", "--token", NEEDLE],
        ["inspect", f"--token={NEEDLE}"],
        ["inspect", "-", NEEDLE],
        ["exchange", NEEDLE],
        ["exchange", "--subject-token", NEEDLE],
        ["exchange-many", "tokens.csv", NEEDLE],
        ["exchange-many", NEEDLE, "--out", NEEDLE],
        ["exchange-many", "tokens.csv", "--out", "/dev/null", "--concurrency", NEEDLE],
        ["exchange-many", "tokens.csv", "--out", "/dev/null", "--rate", NEEDLE],
        ["exchange", f"--subject-token={NEEDLE}"],
        ["exchange", "--actor-token", NEEDLE],
        ["exchange", "--client-secret", NEEDLE],
        ["exchange", "--signing-key", NEEDLE],
        ["exchange", "--subject-tok", NEEDLE],
        ["exchange", "-s", NEEDLE],
        ["exchange", f"-s{NEEDLE}"],
        ["exchange", "--timeout", NEEDLE],
        ["exchange", "--param", NEEDLE],
        ["exchange", f"--async={NEEDLE}"],
        ["exchange", "--domain", NEEDLE],
        ["exchange", "--domain", "a.eu", "--client-id", NEEDLE],
        ["exchange", "--domain", "a.eu", "--client-id", "c", "--client-auth", NEEDLE],
        ["exchange", "--domain", "a.eu", "--subject-token-file", NEEDLE],
        [
            "exchange",
            *("--domain", "a.eu", "--client-id", "c", "--client-auth", "none"),
            *("--subject-token-type", "urn:x:y", "--subject-token-file", NEEDLE),
        ],
    ],
    ids=lambda words: " ".join(words).replace(NEEDLE, "TOKEN"),
)
def test_no_word_is_repeated(command: InProcess, words: list[str]) -> None:
    """A secret in the wrong place is refused in two lines at most, and not shown."""
    outcome = command(*words, terminal=True)

    assert (2, "", []) == (outcome.status, outcome.out, outcome.shown(NEEDLE))
    assert 1 <= len(outcome.err.splitlines()) <= 2


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        ("--subject-token", "set AUTH0_TX_SUBJECT_TOKEN, or pass --subject-token-file"),
        ("--actor-token", "set AUTH0_TX_ACTOR_TOKEN, or pass --actor-token-file"),
        ("--client-secret", "set AUTH0_CLIENT_SECRET, or pass --client-secret-file"),
        ("--signing-key", "pass --signing-key-file"),
    ],
)
def test_secret_option_explains(command: InProcess, option: str, instead: str) -> None:
    """An option that would take a secret says why it is refused, and what to use."""
    outcome = command("exchange", option, "value")

    assert [
        f"auth0-tx exchange: {option} is not supported: a secret on the command line is "
        "visible in the process list and stays in the shell's history",
        f"hint: {instead} PATH (- for standard input)",
    ] == outcome.err.splitlines()


def test_unknown_option_is_named(command: InProcess) -> None:
    """A misspelt option is named, so that it can be found."""
    outcome = command("demo", "--colour=never")

    assert [
        "auth0-tx demo: unrecognized option --colour",
        "hint: see auth0-tx demo --help",
    ] == outcome.err.splitlines()


def test_unknown_command(command: InProcess) -> None:
    """The error for an unknown command lists those that exist."""
    outcome = command("test")

    assert 2 == outcome.status
    assert (
        "auth0-tx: argument command: must be one of demo, doctor, exchange, "
        "exchange-many, inspect, tenant" == outcome.err.splitlines()[0]
    )


def test_no_command(command: InProcess) -> None:
    """Without a command the help goes to standard error."""
    outcome = command()

    assert (2, "") == (outcome.status, outcome.out)
    assert outcome.err.startswith("usage: auth0-tx")


@pytest.mark.parametrize("name", ["demo", "doctor", "exchange", "inspect", "tenant"])
def test_help(command: InProcess, name: str) -> None:
    """Each command has help, which explains the exit status."""
    outcome = command(name, "--help")

    assert (0, "") == (outcome.status, outcome.err)
    assert outcome.out.startswith(f"usage: auth0-tx {name}")
    assert "Exit status" in outcome.out
    assert "--subject-token " not in outcome.out


def test_top_help_lists_commands(command: InProcess) -> None:
    """The help of the whole lists the commands."""
    outcome = command("--help")

    assert 0 == outcome.status
    for name in ("demo", "doctor", "exchange", "inspect", "tenant"):
        assert f"\n  {name} " in outcome.out


def test_version(command: InProcess) -> None:
    """The version is the package's."""
    outcome = command("--version")

    assert (0, f"auth0-tx {__version__}\n") == (outcome.status, outcome.out)


@pytest.mark.parametrize(
    ("word", "number"), [("0", 0), ("8443", 8443), ("65535", 65535)]
)
def test_port(word: str, number: int) -> None:
    """A port is a number up to 65535."""
    assert number == parse_port(word)


@pytest.mark.parametrize("word", ["", "-1", "65536", "٣", "1.5", "9" * 5000, "x"])
def test_no_port(word: str) -> None:
    """Nothing else is accepted."""
    with pytest.raises(argparse.ArgumentTypeError, match="must be a port"):
        parse_port(word)


@pytest.mark.parametrize(
    ("word", "number"), [("0.5", 0.5), ("10", 10.0), ("1e2", 100.0)]
)
def test_seconds(word: str, number: float) -> None:
    """Seconds are a positive number."""
    assert number == parse_seconds(word)


@pytest.mark.parametrize("word", ["", "0", "-1", "nan", "inf", "1e400", "ten"])
def test_no_seconds(word: str) -> None:
    """Nothing else is accepted."""
    with pytest.raises(argparse.ArgumentTypeError, match="must be a positive number"):
        parse_seconds(word)


@pytest.mark.parametrize(
    ("word", "pair"),
    [("a=b", ("a", "b")), ("a=", ("a", "")), ("a=b=c\n", ("a", "b=c\n"))],
)
def test_parameter(word: str, pair: tuple[str, str]) -> None:
    """A parameter is split at its first equals sign."""
    assert pair == parse_parameter(word)


@pytest.mark.parametrize("word", ["", "a", "=b", "a b=c", "é=c"])
def test_no_parameter(word: str) -> None:
    """A parameter needs a name."""
    with pytest.raises(argparse.ArgumentTypeError, match="must be name=value"):
        parse_parameter(word)
