"""What is public is listed, documented, and told in the changelog."""

from __future__ import annotations

import inspect
import re

import pytest

import auth0_tx

from .source import ROOT


def test_all_is_sorted() -> None:
    """``__all__`` is in order and names nothing twice."""
    assert sorted(set(auth0_tx.__all__)) == list(auth0_tx.__all__)


@pytest.mark.parametrize("name", auth0_tx.__all__)
def test_public_names_exist(name: str) -> None:
    """Each public name is there, and says what it is."""
    member = getattr(auth0_tx, name)

    assert inspect.getdoc(member)
    assert name in dir(auth0_tx)


def test_unknown_names_are_refused() -> None:
    """A name that is not there is an AttributeError, as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = auth0_tx.Nothing


def test_every_public_exception_is_in_the_tree() -> None:
    """Each public error derives from the root and stands in the tree that errors.py draws."""
    drawn = set(re.findall(r"[├└]── (\w+)", auth0_tx.errors.__doc__ or "")) | {
        "Auth0Error"
    }
    errors = {
        name
        for name, member in vars(auth0_tx.errors).items()
        if inspect.isclass(member) and issubclass(member, Exception)
    }

    assert errors == drawn
    assert errors <= set(auth0_tx.__all__)


def test_changelog_tells_of_the_version() -> None:
    """The changelog has an entry for what is unreleased, or for this very version."""
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)

    assert headings[0] in ("Unreleased", auth0_tx.__version__)


def test_top_level_is_as_laid_out() -> None:
    """The repository's top level holds what its readers expect, and nothing else."""
    laid_out = {
        *("setup.cfg", "setup.py", "pyproject.toml", "LICENSE"),
        *("tox.ini", "toxfile.py"),
        *("README.md", "CHANGELOG.md", "CONTRIBUTING.md"),
        *("auth0_tx", "tests", "benchmarks", "tools", "docs", "examples"),
    }
    passing = {"build", "dist", "auth0_tx.egg-info", "__pycache__"}

    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

    assert found - passing <= laid_out
