"""The two clients: generated, current, and alike."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from auth0_tx import AsyncServerClient, ServerClient
from tests.house.source import ROOT

METHODS = [
    name
    for name, member in vars(ServerClient).items()
    if inspect.isfunction(member) and not name.startswith("_")
]


def test_shells_are_current() -> None:
    """The clients are what the generator would write now."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "tools/generate_shells.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (ran.returncode, ran.stdout)


def test_every_method_is_in_both() -> None:
    """Both clients have the same methods."""
    other = [
        name
        for name, member in vars(AsyncServerClient).items()
        if inspect.isfunction(member) and not name.startswith("_")
    ]

    assert METHODS == other


@pytest.mark.parametrize("name", [*METHODS, "__init__"])
def test_methods_agree(name: str) -> None:
    """A method has the same parameters and docstring in both, and awaits in one only."""
    blocking, awaiting = getattr(ServerClient, name), getattr(AsyncServerClient, name)

    assert [*inspect.signature(blocking).parameters] == [
        *inspect.signature(awaiting).parameters
    ]
    assert blocking.__doc__ == awaiting.__doc__
    assert (False, name != "__init__") == (
        inspect.iscoroutinefunction(blocking),
        inspect.iscoroutinefunction(awaiting),
    )
