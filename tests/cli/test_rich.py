"""With *rich* and without it: what a terminal gets, and what every other stream gets."""

from __future__ import annotations

import re
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from rich.cells import cell_len

from auth0_tx.cli.rendering.style import Style, choose_style
from auth0_tx.cli.rendering.tenant_report import (
    ConnectionFacts,
    format_facts,
    write_snippet,
)
from auth0_tx.cli.rendering.text import format_rows
from tests.cli.command_runs import InProcess, jwt, python

WORDS = "one two three four five six seven eight nine ten"
TOKEN = jwt({"sub": "auth0|alice", "note": WORDS, "exp": 1_700_000_000})


def make_style(width: int = 40) -> Style:
    """Return the style of a terminal where rich is installed."""
    return choose_style(
        {},
        is_terminal=True,
        encoding="utf-8",
        windows=False,
        width=width,
        has_rich=True,
    )


def strip_colours(text: str) -> str:
    """Return *text* without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.fixture
def without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no import find rich, as if it were not installed."""
    for name in [*sys.modules]:
        if name.partition(".")[0] == "rich":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)


def test_value_is_broken_below_itself() -> None:
    """A value that is wider than the terminal goes on below its beginning."""
    shown = [
        strip_colours(line)
        for line in format_rows([("sub", "alice"), ("note", WORDS)], make_style())
    ]

    assert [
        "  sub   alice",
        "  note  one two three four five six",
        "        seven eight nine ten",
    ] == shown


def test_colour_goes_over_the_break() -> None:
    """A colour is repeated on each line of a value, and ends with it."""
    style = make_style()
    _, first, second = format_rows([("a", "x"), ("note", style.faint(WORDS))], style)

    assert first.endswith("\x1b[2mone two three four five six\x1b[0m")
    assert "\x1b[2mseven eight nine ten\x1b[0m" == second.strip()


def test_token_stays_whole() -> None:
    """A value without spaces is one line, so that it can be copied."""
    (line,) = format_rows([("access_token", "x" * 200)], make_style())

    assert f"  access_token  {'x' * 200}" == strip_colours(line)


def test_wide_characters() -> None:
    """Values stand in one column also where a name has characters of two cells."""
    lines = format_rows([("名前", "a"), ("abcd", "b"), ("n" * 40, "c")], make_style())
    starts = [
        cell_len(strip_colours(line)[: strip_colours(line).rindex(" ")])
        for line in lines[:2]
    ]

    assert starts[0] == starts[1]
    assert f"  {'n' * 40}  c" == strip_colours(lines[2])


def test_markup_is_text() -> None:
    """Markup, emoji codes and links in a value are shown as they are."""
    text = "[b]bold[/b] :smile: [link=https://evil.example]x[/link]"

    assert f"  sub  {text}" == strip_colours(
        format_rows([("sub", text)], make_style(200))[0]
    )


@pytest.mark.parametrize("pairs", [[], [("sub", "")]])
def test_empty(pairs: list[tuple[str, str]]) -> None:
    """No pairs make no rows, and an empty value still has its row."""
    assert len(pairs) == len(format_rows(pairs, make_style()))


def test_code_can_be_copied() -> None:
    """A snippet is highlighted, and copying it gives the same program."""
    facts = ConnectionFacts(
        issuer="https://localhost:1/",
        domain="localhost:1",
        ca_file="/tmp/ca.pem",
        client_id="local-client",
        client_secret="a" * 60,
        subject_token="t" * 300,
    )
    text = format_facts(facts, make_style())

    assert strip_colours(text).endswith("\n" + write_snippet(facts))
    assert write_snippet(facts) not in text
    assert text == text.rstrip()


def test_inspect_with_rich(command: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a narrow terminal no line of words is wider than it."""
    monkeypatch.setenv("COLUMNS", "40")
    outcome = command("inspect", "-", stdin=TOKEN.encode(), terminal=True)

    assert 0 == outcome.status
    assert "\n        seven eight nine ten" in strip_colours(outcome.out)


def test_inspect_without_rich(
    command: InProcess, monkeypatch: pytest.MonkeyPatch, without_rich: None
) -> None:
    """Without rich a terminal gets plain text, and breaks long lines itself."""
    monkeypatch.setenv("COLUMNS", "40")
    outcome = command("inspect", "-", stdin=TOKEN.encode(), terminal=True)

    assert 0 == outcome.status
    assert "\x1b" not in outcome.out
    assert f"  note  {WORDS}\n" in outcome.out


@pytest.mark.parametrize("words", [("inspect",), ("inspect", "--json")])
def test_no_terminal(
    command: InProcess, words: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    """A stream that is not a terminal gets the same, with rich and without it."""
    with_rich = command(*words, stdin=TOKEN.encode())
    request.getfixturevalue("without_rich")
    without = command(*words, stdin=TOKEN.encode())

    assert strip_colours(with_rich.out) == with_rich.out
    assert [line for line in with_rich.out.splitlines() if "expired" not in line] == [
        line for line in without.out.splitlines() if "expired" not in line
    ]


def test_rich_is_imported_late() -> None:
    """Rich is imported when something is shown with it, and not before."""
    outcome = python(
        "-c",
        "import sys; from auth0_tx.cli.rendering.style import choose_style; "
        "style = choose_style({}, is_terminal=True, encoding='utf-8', windows=False, "
        "has_rich=True); print(type(style).__name__, 'rich' in sys.modules)",
    )

    assert ("RichStyle False\n", "") == (outcome.out, outcome.err)


def test_extra() -> None:
    """The extra *cli* installs rich, and only two modules import it."""
    needed = [line for line in requires("auth0-tx") or () if line.startswith("rich")]
    package = Path(sys.modules["auth0_tx"].__file__ or "").parent
    importers = [
        path.name
        for path in package.rglob("*.py")
        if re.search(r"^\s*(?:from|import) rich\b", path.read_text("utf-8"), re.M)
    ]

    assert 1 == len(needed)
    assert 'extra == "cli"' in needed[0]
    assert ["progress.py", "style.py"] == sorted(importers)
