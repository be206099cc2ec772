"""The end-to-end tests: those that take long run under one Python only (``-m "not heavy"``)."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
HEAVY = (HERE / "concurrency", HERE / "faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes long: volume, and deadlines that must pass."""
    for item in items:
        if any(folder in item.path.parents for folder in HEAVY):
            item.add_marker(pytest.mark.heavy)
