"""With *rich* and without it: what a terminal gets, and what every other reader does."""

from __future__ import annotations

import re
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from command_runs import InProcess, jwt, python
from rich.cells import cell_len

from auth0_tx.cli.rendering.plain import rows
from auth0_tx.cli.rendering.rich_style import RichStyle
from auth0_tx.cli.rendering.style import Style, style_for
from auth0_tx.cli.rendering.tenant_report import ConnectionFacts, facts_text, snippet

WORDS = "one two three four five six seven eight nine ten"
TOKEN = jwt({"sub": "auth0|alice", "note": WORDS, "exp": 1_700_000_000})


def styled(width: int = 40) -> Style:
    """Return the style of a terminal where rich is installed."""
    return style_for(
        {},
        is_terminal=True,
        encoding="utf-8",
        windows=False,
        width=width,
        has_rich=True,
    )


def bare(text: str) -> str:
    """Return *text* without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.fixture
def without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no import find rich, as where it was never installed."""
    for name in [*sys.modules]:
        if name.partition(".")[0] == "rich" or name.endswith(".rich_style"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)


@pytest.mark.parametrize(
    ("terminal", "no_color", "has_rich", "rich"),
    [
        (True, "", True, True),
        (True, "", False, False),
        (True, "1", True, False),
        (False, "", True, False),
    ],
)
def test_who_gets_it(terminal: bool, no_color: str, has_rich: bool, rich: bool) -> None:
    """Rich is for a terminal that wants colour, where it is installed."""
    style = style_for(
        {"NO_COLOR": no_color},
        is_terminal=terminal,
        encoding="utf-8",
        windows=False,
        has_rich=has_rich,
    )

    assert rich is isinstance(style, RichStyle)


def test_value_is_broken_below_itself() -> None:
    """A value longer than the terminal is wide goes on below where it began."""
    shown = [bare(line) for line in rows([("sub", "alice"), ("note", WORDS)], styled())]

    assert [
        "  sub   alice",
        "  note  one two three four five six",
        "        seven eight nine ten",
    ] == shown


def test_colour_goes_over_the_break() -> None:
    """Each line of a value that is set off is set off, and none after it."""
    style = styled()
    _, first, second = rows([("a", "x"), ("note", style.faint(WORDS))], style)

    assert first.endswith("\x1b[2mone two three four five six\x1b[0m")
    assert "\x1b[2mseven eight nine ten\x1b[0m" == second.strip()


def test_token_stays_whole() -> None:
    """What has no space to break it at is one line, so that it can be copied."""
    (line,) = rows([("access_token", "x" * 200)], styled())

    assert f"  access_token  {'x' * 200}" == bare(line)


def test_wide_characters() -> None:
    """Values stand in one column also where a name has characters of two cells."""
    lines = rows([("名前", "a"), ("abcd", "b"), ("n" * 40, "c")], styled())
    starts = [cell_len(bare(line)[: bare(line).rindex(" ")]) for line in lines[:2]]

    assert starts[0] == starts[1]
    assert f"  {'n' * 40}  c" == bare(lines[2])


def test_markup_is_text() -> None:
    """What rich would take for markup, an emoji or a link is shown as it stands."""
    text = "[b]bold[/b] :smile: [link=https://evil.example]x[/link]"

    assert f"  sub  {text}" == bare(rows([("sub", text)], styled(200))[0])


@pytest.mark.parametrize("pairs", [[], [("sub", "")]])
def test_nothing(pairs: list[tuple[str, str]]) -> None:
    """Nothing is set out as nothing, and an empty value still has its row."""
    assert len(pairs) == len(rows(pairs, styled()))


def test_code_can_be_copied() -> None:
    """A snippet is highlighted, and is the same program to whoever copies it."""
    facts = ConnectionFacts(
        issuer="https://localhost:1/",
        domain="localhost:1",
        ca_file="/tmp/ca.pem",
        client_id="local-client",
        client_secret="a" * 60,
        subject_token="t" * 300,
    )
    text = facts_text(facts, styled())

    assert bare(text).endswith("\n" + snippet(facts))
    assert snippet(facts) not in text
    assert text == text.rstrip()


def test_inspect_with_rich(command: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal that is narrow no line of words is longer than it."""
    monkeypatch.setenv("COLUMNS", "40")
    outcome = command("inspect", "-", stdin=TOKEN.encode(), terminal=True)

    assert 0 == outcome.status
    assert "\n        seven eight nine ten" in bare(outcome.out)


def test_inspect_without_rich(
    command: InProcess, monkeypatch: pytest.MonkeyPatch, without_rich: None
) -> None:
    """Without rich a terminal has the colours, and its own way with long lines."""
    monkeypatch.setenv("COLUMNS", "40")
    outcome = command("inspect", "-", stdin=TOKEN.encode(), terminal=True)

    assert 0 == outcome.status
    assert outcome.out.startswith("\x1b[1mA JWT")
    assert f"  note  {WORDS}\n" in bare(outcome.out)


@pytest.mark.parametrize("words", [("inspect",), ("inspect", "--json")])
def test_no_terminal(
    command: InProcess, words: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    """Whoever is no terminal reads the same, with rich and without it."""
    with_rich = command(*words, stdin=TOKEN.encode())
    request.getfixturevalue("without_rich")
    without = command(*words, stdin=TOKEN.encode())

    assert bare(with_rich.out) == with_rich.out
    assert [line for line in with_rich.out.splitlines() if "expired" not in line] == [
        line for line in without.out.splitlines() if "expired" not in line
    ]


def test_help_does_not_wait_for_it() -> None:
    """Rich is imported where something is set out with it, and not before."""
    outcome = python(
        "-c",
        "import sys; from auth0_tx.cli.rendering.style import style_for; "
        "style_for({}, is_terminal=True, encoding='utf-8', windows=False, has_rich=True); "
        "print('rich' in sys.modules, 'auth0_tx.cli.rendering.rich_style' in sys.modules)",
    )

    assert ("False True\n", "") == (outcome.out, outcome.err)


def test_extra() -> None:
    """Rich comes with the extra *cli* and with nothing else; nothing else needs it."""
    needed = [line for line in requires("auth0-tx") or () if line.startswith("rich")]
    package = Path(sys.modules["auth0_tx"].__file__ or "").parent
    importers = [
        path.name
        for path in package.rglob("*.py")
        if re.search(r"^\s*(?:from|import) rich\b", path.read_text("utf-8"), re.M)
    ]

    assert 1 == len(needed)
    assert 'extra == "cli"' in needed[0]
    assert ["rich_style.py"] == importers
