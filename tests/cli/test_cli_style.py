"""Colour and signs: on a terminal that wants them, and nowhere else."""

from __future__ import annotations

import pytest

from auth0_tx.cli.rendering.style import Style, style_for


def styled(
    terminal: bool = True,
    windows: bool = False,
    encoding: str = "utf-8",
    **environ: str,
) -> Style:
    """Return the style for a stream."""
    return style_for(environ, is_terminal=terminal, encoding=encoding, windows=windows)


@pytest.mark.parametrize(
    ("style", "colour"),
    [
        (styled(), True),
        (styled(TERM="xterm"), True),
        (styled(NO_COLOR=""), True),
        (styled(NO_COLOR="1"), False),
        (styled(NO_COLOR="0"), False),
        (styled(TERM="dumb"), False),
        (styled(terminal=False), False),
        (styled(windows=True), False),
        (styled(windows=True, WT_SESSION="x"), True),
        (styled(windows=True, TERM="xterm"), True),
        (styled(windows=True, WT_SESSION="x", NO_COLOR="1"), False),
    ],
)
def test_colour(style: Style, colour: bool) -> None:
    """Colour is for terminals that understand it, unless NO_COLOR is set."""
    assert colour is style.colour


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
def test_signs(encoding: str, branch: str) -> None:
    """The tree is drawn with what the encoding has."""
    assert branch == styled(encoding=encoding).branch


def test_rule_sign() -> None:
    """So are lines."""
    assert ("─", "-") == (styled().rule, styled(encoding="ascii").rule)


@pytest.mark.parametrize("name", ["strong", "faint", "name", "good", "warning", "bad"])
def test_painting(name: str) -> None:
    """Each kind of text is set off by one escape sequence, which is taken back."""
    painted = getattr(Style(colour=True), name)("text")

    assert painted.startswith("\x1b[")
    assert painted.endswith("mtext\x1b[0m")
    assert "text" == getattr(Style(colour=False), name)("text")


def test_nothing_is_not_painted() -> None:
    """Empty text stays empty."""
    assert "" == Style(colour=True).bad("")
