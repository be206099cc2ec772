"""What the whole suite shares: every test is searched for the secrets it used."""

from __future__ import annotations

import pytest

pytest_plugins = ["tests.secret_scanner"]


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker by which what takes long can be left out."""
    config.addinivalue_line("markers", "heavy: takes long, and all of the machine")
