"""Colour and signs: on a terminal that wants them, where rich is installed, and nowhere else."""

from __future__ import annotations

import pytest

from auth0_tx.cli.rendering.style import RichStyle, Style, choose_style

LOOKS = ["strong", "faint", "name", "good", "warning", "bad"]


def choose(
    terminal: bool = True,
    windows: bool = False,
    encoding: str = "utf-8",
    has_rich: bool = True,
    **environ: str,
) -> Style:
    """Return the style for a stream."""
    return choose_style(
        environ,
        is_terminal=terminal,
        encoding=encoding,
        windows=windows,
        has_rich=has_rich,
    )


@pytest.mark.parametrize(
    ("style", "is_rich"),
    [
        (choose(), True),
        (choose(TERM="xterm"), True),
        (choose(NO_COLOR=""), True),
        (choose(NO_COLOR="1"), False),
        (choose(NO_COLOR="0"), False),
        (choose(TERM="dumb"), False),
        (choose(terminal=False), False),
        (choose(has_rich=False), False),
        (choose(windows=True), False),
        (choose(windows=True, WT_SESSION="x"), True),
        (choose(windows=True, TERM="xterm"), True),
        (choose(windows=True, WT_SESSION="x", NO_COLOR="1"), False),
    ],
)
def test_choice(style: Style, is_rich: bool) -> None:
    """Rich is for terminals that understand colour, unless NO_COLOR is set."""
    assert is_rich is isinstance(style, RichStyle)


@pytest.mark.parametrize("has_rich", [True, False])
@pytest.mark.parametrize(
    ("encoding", "branch"),
    [
        ("utf-8", "└─ "),
        ("cp437", "└─ "),
        ("ascii", "`- "),
        ("cp1252", "`- "),
        ("?", "`- "),
    ],
)
def test_signs(encoding: str, branch: str, has_rich: bool) -> None:
    """The tree is drawn with signs that the encoding has."""
    assert branch == choose(encoding=encoding, has_rich=has_rich).branch


def test_rule_sign() -> None:
    """So are lines."""
    assert ("─", "-") == (choose().rule, choose(encoding="ascii").rule)


@pytest.mark.parametrize("name", LOOKS)
def test_painting(name: str) -> None:
    """With rich, each kind of text is between one escape sequence and its reset."""
    painted = getattr(choose(), name)("text")

    assert painted.startswith("\x1b[")
    assert painted.endswith("mtext\x1b[0m")


@pytest.mark.parametrize("name", LOOKS)
def test_no_painting(name: str) -> None:
    """Without rich, every text is shown as it is."""
    assert "text" == getattr(Style(), name)("text")


@pytest.mark.parametrize("style", [choose(), Style()], ids=["rich", "plain"])
def test_empty_text(style: Style) -> None:
    """Empty text stays empty."""
    assert "" == style.bad("")
